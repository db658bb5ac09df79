//! `agent import FILE`: the way over from Ansible and cloud-config. Whoever has a playbook that works should not have to begin again, and
//! has to know exactly what did not come along.

use std::path::PathBuf;
use std::process::ExitCode;

use super::overrides::OverrideArguments;
use super::terminal;
use crate::error::{Context as _, Error, Kind, Result};
use crate::import::{Imported, Wish, import};

/// Turn an Ansible playbook or a cloud-config into a playbook, and say line by line what could not be translated
///
/// Reads plays, tasks, blocks, includes, handlers, variables and `roles/` beside the file; a cloud-config begins with `#cloud-config`. What
/// has no equivalent stays as a comment in its place, with the reason, and is listed. What is printed is accepted by `agent check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    agent import site.yml > playbook.yaml\n  \
    agent import --hosts web --set app_version=1.4.2 --output playbook.yaml site.yml\n  \
    agent import user-data.yaml\n\n\
    How things come over:\n  \
    apt, dnf, package        packages             template, copy           file, env_file, systemd_unit\n  \
    apt_key, apt_repository  package_source       unit file and systemd    one systemd_unit\n  \
    git, pip                 git, venv            notify and handlers      restart_on, reload_on, on_change\n  \
    get_url, unarchive       file, archive        uri, wait_for            health\n  \
    aws_ssm lookups          secrets              cron                     systemd_unit with a timer\n  \
    creates, stat, when      creates, unless      loops over written lists one step each\n\n\
    Each reported line has one of these words: `left out` (it is not in the playbook; a comment is), `differs` (it is there, and does\n\
    not do quite the same), `not needed` (the agent does it anyway). Paths of templates and files are those beside FILE: keep the\n\
    playbook there.\n\n\
    Exit codes: 0 translated, whatever the share; 1 the output could not be written; 2 the file cannot be read as either.")]
pub struct Arguments {
    /// An Ansible playbook, a file of tasks, or a cloud-config
    file: PathBuf,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// Only the plays for these hosts (and those for `all` or `localhost`)
    #[arg(long, value_name = "PATTERN")]
    hosts: Option<String>,
    /// Write the playbook there, and not to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The report as JSON lines: on stdout with `--output`, else on stderr
    #[arg(long)]
    json: bool,
}

/// Translates, prints and reports.
///
/// # Errors
/// When the output cannot be written, or would not find the files it names.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let overrides = arguments.overrides.overrides();
    let wish = Wish { path: &arguments.file, overrides: &overrides, hosts: arguments.hosts.as_deref() };
    let imported = match import(&wish) {
        Ok(imported) => imported,
        Err(problems) => {
            terminal::problems(&problems);
            return Ok(ExitCode::from(Kind::Playbook.exit_code()));
        }
    };
    match &arguments.output {
        Some(output) => {
            near_its_files(arguments, output, &imported)?;
            std::fs::write(output, &imported.text).doing(|| format!("writing `{}`", output.display()))?;
        }
        None => terminal::print(&imported.text),
    }
    let report = if arguments.json {
        imported.report.json().iter().fold(String::new(), |text, line| text + &format!("{line}\n"))
    } else {
        imported.report.text()
    };
    if arguments.json && arguments.output.is_some() {
        terminal::print(&report);
    } else {
        terminal::complain(&report);
    }
    Ok(ExitCode::SUCCESS)
}

/// A playbook finds its files beside itself.
fn near_its_files(arguments: &Arguments, output: &std::path::Path, imported: &Imported) -> Result<()> {
    let same = output.parent() == arguments.file.parent();
    match imported.files.first().filter(|_| !same) {
        None => Ok(()),
        Some(file) => {
            Err(Error::new(Kind::Usage, format!("the playbook uses `{file}`, which lies beside `{}`", arguments.file.display()))
                .hint("write the playbook there too"))
        }
    }
}
