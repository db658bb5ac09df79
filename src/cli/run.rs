//! `agent run`: carries out a playbook, or shows what would be done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::installed::{self, Installed};
use super::json::JsonLines;
use super::overrides::OverrideArguments;
use super::{STATE, fail, terminal};
use crate::engine::event::Listener;
use crate::engine::options::{RunOptions, Trigger};
use crate::engine::run::run as carry_out;
use crate::engine::stop::Stop;
use crate::engine::tally::Refusal;
use crate::error::{Error, Kind, Result};
use crate::host::process;
use crate::playbook::Location;

/// Make this machine what the playbook says; with --dry-run, show what would be done
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    agent run --dry-run --diff playbook.yaml\n  \
    sudo agent run --set environment=dev playbook.yaml\n  \
    sudo agent run --only web --only settings playbook.yaml\n  \
    agent run --dry-run --facts facts.json --secrets-from secrets.yaml playbook.yaml\n\n\
    Exit codes: 0 done, or nothing to do; 1 a step failed; 2 the command line or the playbook is wrong, nothing was touched;\n\
    3 another run is under way; 10 a dry-run found changes, or something it cannot tell.")]
#[allow(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct Arguments {
    /// A file, folder or `.tar.gz`, `s3://bucket/key`, `ssm:/name`, `https://…#sha256=…`, or `user-data` [default: the installed one]
    playbook: Option<Location>,
    /// Carry out this step with everything that it needs, and no other; may be given more than once. No verdict comes of it
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Show what would be done; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Show how files would change
    #[arg(long)]
    diff: bool,
    /// Print events as JSON lines
    #[arg(long)]
    json: bool,
    /// Show the output of programs
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// Read `os` and `instance` from this file instead of asking the instance
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Take secrets from this file, a map of their names to values; AWS is asked for the others (a dry-run goes without)
    #[arg(long, value_name = "FILE")]
    secrets_from: Option<PathBuf>,
    /// Let a dry-run ask AWS and git servers (never for a secret's value)
    #[arg(long)]
    online: bool,
    /// Let a dry-run run `unless` and `only_if`
    #[arg(long)]
    run_guards: bool,
    /// Deploy a revision once more that failed its health
    #[arg(long)]
    retry_revision: bool,
    /// Who starts the run
    #[arg(long, value_enum, default_value_t = By::Manual)]
    trigger: By,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The boot service: waits for other runs, and its verdict answers the lifecycle hook
    Boot,
    /// The timer
    Timer,
    /// A person
    Manual,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.only.is_empty() && !matches!(arguments.trigger, By::Manual) {
        let error = Error::new(Kind::Usage, "a part of a playbook is carried out by hand only");
        return Err(error.hint("leave out `--trigger`: with `--only` nobody is given a verdict"));
    }
    let overrides = arguments.overrides.overrides();
    let (location, overrides) = match &arguments.playbook {
        Some(named) => (named.clone(), overrides),
        None => Installed::read(Path::new(installed::FOLDER))?.with(overrides)?,
    };
    let options = RunOptions {
        location,
        overrides,
        only: arguments.only.clone(),
        dry_run: arguments.dry_run,
        online: arguments.online,
        run_guards: arguments.run_guards,
        retry_revision: arguments.retry_revision,
        trigger: match arguments.trigger {
            By::Boot => Trigger::Boot,
            By::Timer => Trigger::Timer,
            By::Manual => Trigger::Manual,
        },
        state: arguments.state_dir.clone(),
        facts: arguments.facts.clone(),
        secrets_from: arguments.secrets_from.clone(),
    };
    let listener: Arc<dyn Listener> =
        if arguments.json { Arc::new(JsonLines) } else { terminal::listener(arguments.diff, arguments.verbose) };
    carry_out_and_show(&options, listener)
}

/// Carries out a run until it is over or somebody ends us, and gives its exit code.
///
/// # Errors
/// When the process cannot be prepared for it.
pub fn carry_out_and_show(options: &RunOptions, listener: Arc<dyn Listener>) -> Result<ExitCode> {
    process::forbid_core_dumps()?;
    let stop = Stop::default();
    let stopping = stop.clone();
    // Before any other thread exists, so that they all leave these signals to the one that waits for them.
    process::on_termination(move |signal| stopping.stop(signal))?;
    Ok(match carry_out(options, &stop, &[listener]) {
        Ok(tally) => ExitCode::from(tally.exit_code()),
        Err(Refusal::Problems(problems)) => {
            terminal::problems(&problems);
            ExitCode::from(Kind::Playbook.exit_code())
        }
        Err(Refusal::Error(error)) => fail(&error),
    })
}
