//! `agent install`: leaves the agent, the playbook and the units on the machine, starts the boot run, follows it to its verdict.
//!
//! The playbook is judged first; a machine with a wrong playbook stays untouched. The run belongs to systemd, not to us: it
//! outlives the user-data that called us.

mod follow;
mod units;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::installed::{FOLDER, Installed, RECORD};
use super::overrides::OverrideArguments;
use super::{STATE, terminal};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::deadline::Deadline;
use crate::host::documents::{self, Beside, PLAYBOOK};
use crate::host::files::NewFile;
use crate::host::systemd::Verb;
use crate::host::write::Attributes;
use crate::host::{Facts, Host, StepScope, World, WorldOptions, process};
use crate::playbook::{Location, Overrides, Playbook};
use crate::step::fields::Span;
use units::Wish;

/// Where the binary belongs: the units name it.
const AGENT: &str = "/usr/local/bin/agent";
/// Where a package puts it. It stays there, and is replaced by the package's next version only.
const PACKAGED: &str = "/usr/bin/agent";
/// Where units are written.
const UNITS: &str = "/etc/systemd/system";
/// Following has no limit of its own: no lifecycle action lives longer than this.
const LIMIT: Duration = Duration::from_hours(48);

/// Install the boot service and the timer for a playbook, start the boot run, follow it to its verdict
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo agent install --playbook s3://bucket/playbook.yaml --set environment=prod\n\n\
    Exit codes: those of the boot run (0 converged, 1 a step failed); 2 the playbook is wrong, nothing was touched.")]
pub struct Arguments {
    /// A file, folder or `.tar.gz` (copied), or `s3://bucket/key`, `ssm:/name`, `https://…#sha256=…`, `user-data` (read by every run)
    #[arg(long)]
    playbook: Location,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// Do not wait for the boot run
    #[arg(long)]
    no_follow: bool,
    /// How often drift is looked for
    #[arg(long, value_name = "SPAN", default_value = "1h", conflicts_with = "no_timer")]
    timer: Span,
    /// Do not look for drift
    #[arg(long)]
    no_timer: bool,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
}

/// Does it, and gives the exit code of the boot run.
///
/// # Errors
/// Whatever keeps it from being installed.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let overrides = arguments.overrides.overrides();
    let playbook = match Playbook::load_unattended(&arguments.playbook, &overrides) {
        Ok(playbook) => playbook,
        Err(problems) => {
            terminal::problems(&problems);
            return Ok(ExitCode::from(Kind::Playbook.exit_code()));
        }
    };
    if !process::is_root() {
        return Err(Error::new(Kind::Denied, "only root can install services").hint("try again with `sudo`"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().doing(|| "starting".into())?;
    let host = hands(playbook.beside(), &arguments.state_dir, runtime.handle());
    let agent = if host.runs_from(Path::new(PACKAGED)) { PACKAGED } else { AGENT };
    if agent == AGENT {
        host.copy_own_binary(Path::new(AGENT))?;
    }
    let (location, overrides) = put_in_place(&host, &arguments.playbook, playbook.beside(), &overrides)?;
    let record = Installed { playbook: location.clone(), vars: overrides.files.clone(), set: overrides.values.clone() };
    let text = serde_json::to_string(&record).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    let path = Path::new(FOLDER).join(RECORD);
    host.write_file(&NewFile { path, content: text.into(), owner: None, group: None, mode: 0o600 })?;
    let wish =
        Wish { agent, location: Some(location), overrides, state: absolute(&arguments.state_dir)?, every: arguments.timer };
    for (name, text) in units::texts(&wish, !arguments.no_timer) {
        let root = Some("root".to_owned());
        let path = Path::new(UNITS).join(name);
        host.write_file(&NewFile { path, content: text.into(), owner: root.clone(), group: root, mode: 0o644 })?;
    }
    if arguments.no_timer {
        remove_timer(&host)?;
    }
    host.daemon_reload()?;
    host.act_on_unit(units::BOOT, Verb::Enable)?;
    host.act_on_unit(units::LOGS, Verb::Enable)?;
    if host.unit(units::LOGS)?.is_active() {
        // It may be of another version, and speak another protocol.
        host.act_on_unit(units::LOGS, Verb::Restart)?;
    }
    if !arguments.no_timer {
        host.act_on_unit(units::TIMER, Verb::Enable)?;
        host.act_on_unit(units::TIMER, Verb::Start)?;
    }
    let follower = follow::Follower::before_the_start(&arguments.state_dir, &host)?;
    host.start_without_waiting(units::BOOT)?;
    if arguments.no_follow {
        terminal::complain(&format!("the boot run is under way; `journalctl -fu {}` follows it\n", units::BOOT));
        return Ok(ExitCode::SUCCESS);
    }
    follower.wait_for_verdict(&host, terminal::listener(false, false).as_ref())
}

/// Hands outside of any run: for the files and units that a run itself needs.
fn hands(beside: &Beside, state: &Path, runtime: &tokio::runtime::Handle) -> Host {
    let options = WorldOptions {
        online: true,
        guards: false,
        stay_on_revision: false,
        retry_revision: false,
        by_timer: false,
        environment: indexmap::IndexMap::new(),
        state: state.to_owned(),
        redactor: crate::secret::Redactor::new(),
        runtime: runtime.clone(),
    };
    let world = World::new(options, Aws::new(runtime.clone()));
    let scope = StepScope {
        deadline: Deadline::at(Instant::now() + LIMIT),
        fingerprints: Arc::new(HashMap::new()),
        lines: Arc::new(|line| terminal::complain(&format!("{line}\n"))),
        waiting: Arc::new(|reason| terminal::complain(&format!("{reason}\n"))),
        beside: beside.clone(),
    };
    Host::new(Facts::new(world, scope))
}

/// The units as a package holds them: for the playbook that is installed, whichever that is.
#[must_use]
pub fn packaged_units() -> Vec<(&'static str, String)> {
    let every = Span(Duration::from_hours(1));
    let wish = Wish { agent: PACKAGED, location: None, overrides: Overrides::default(), state: STATE.into(), every };
    units::packaged(&wish)
}

/// What of the playbook is on this machine. Gives where the units find the playbook and its variables.
fn put_in_place(host: &Host, location: &Location, beside: &Beside, overrides: &Overrides) -> Result<(String, Overrides)> {
    let folder = Path::new(FOLDER);
    host.make_directory(folder, &Attributes { mode: Some(0o700), ..Attributes::default() })?;
    let mut installed = Overrides { files: Vec::new(), values: overrides.values.clone() };
    let Location::Path(path) = location else {
        installed.files = copy_vars(host, &overrides.files, beside, None)?;
        return Ok((location.to_string(), installed));
    };
    let file = absolute(path)?;
    let file = if documents::is_folder(&file) { file.join(PLAYBOOK) } else { file };
    let name = file.file_name().ok_or_else(|| Error::new(Kind::Usage, format!("`{}` is no file", file.display())))?;
    let copy = folder.join(name);
    if matches!(beside, Beside::Archive(_)) {
        // All that belongs to it is in it.
        host.copy_file(&file, &copy)?;
        installed.files = copy_vars(host, &overrides.files, beside, None)?;
    } else {
        let home = file.parent().unwrap_or(Path::new("/")).to_owned();
        host.copy_playbook(&file, &home, folder)?;
        installed.files = copy_vars(host, &overrides.files, beside, Some(&home))?;
    }
    Ok((copy.display().to_string(), installed))
}

/// Variables that came with the playbook's folder or archive are there already; others are copied beside it.
fn copy_vars(host: &Host, files: &[PathBuf], beside: &Beside, home: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut copies = Vec::new();
    for (number, named) in files.iter().enumerate() {
        let file = absolute(named)?;
        // As the runs look for it: here, or else beside the playbook.
        let file = match home.map(|home| home.join(named)) {
            Some(beside) if !documents::is_file(&file) && documents::is_file(&beside) => beside,
            _ => file,
        };
        if let Some(below) = home.and_then(|home| file.strip_prefix(home).ok()) {
            copies.push(Path::new(FOLDER).join(below));
        } else if beside.is_in_archive(named) && !documents::is_file(&file) {
            copies.push(named.clone());
        } else {
            let copy = Path::new(FOLDER).join(format!("override-{}.yaml", number + 1));
            host.copy_file(&file, &copy)?;
            copies.push(copy);
        }
    }
    Ok(copies)
}

fn remove_timer(host: &Host) -> Result<()> {
    if host.look(&Path::new(UNITS).join(units::TIMER))?.is_some() {
        host.act_on_unit(units::TIMER, Verb::Stop)?;
        host.act_on_unit(units::TIMER, Verb::Disable)?;
    }
    host.remove(&Path::new(UNITS).join(units::TIMER))?;
    host.remove(&Path::new(UNITS).join(units::CONVERGE))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).doing(|| format!("finding `{}`", path.display()))
}
