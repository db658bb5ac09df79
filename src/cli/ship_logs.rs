//! `agent ship-logs`: ships logs until it is told to stop. The service of that name, and whoever wants only this of the agent.

mod service;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use self::service::{Service, Source};
use super::terminal;
use crate::engine::run::network_threads;
use crate::engine::stop::Stop;
use crate::error::{Kind, Result};
use crate::host::aws::Aws;
use crate::host::clock::RealClock;
use crate::host::process;
use crate::host::state::StateFolder;
use crate::logs::control::Server;
use crate::logs::delivery::Compression;
use crate::logs::secrets::Knowledge;
use crate::logs::{Keeper, Means};
use crate::playbook::LogConfiguration;
use crate::secret::Redactor;

/// How often what runs said is removed, if it has arrived.
const SWEEP: Duration = Duration::from_mins(1);
/// By then, a start is over.
const STARTED: Duration = Duration::from_secs(5);
/// What is left of the five seconds that an end may take, when the rest has been set aside for the records.
const LAST: Duration = Duration::from_secs(4);

/// Ship logs to `CloudWatch` Logs until told to stop
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent ship-logs --config logs.yaml --state-dir /var/lib/bootstrap-agent/logs\n\n\
    FILE is a `logs:` block as a playbook has it:\n\n  \
    logs:\n    group: /web\n    stream: \"{{ instance.id }}\"\n    retention: 7d\n    \
    sources: [{ file: /var/log/nginx/*.log }, { unit: app.service }]\n\n\
    SIGTERM ends it within five seconds: what has been read is sent, what was acknowledged is recorded.\n\n\
    Exit codes: 0 it was told to stop; 2 FILE is wrong; 3 another shipper works with the same state")]
pub struct Arguments {
    /// What is shipped; written anew, it is read again when a run says so
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where it records how far the service has everything
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// A folder in memory in which a run finds it: its socket, and the secrets it masks [default: no run finds it]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Whether requests are compressed
    #[arg(long, value_name = "HOW", default_value = "gzip")]
    compression: Compressed,
}

/// How requests leave.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compressed {
    /// Compressed from a kilobyte on
    Gzip,
    /// As they are
    None,
}

impl From<Compressed> for Compression {
    fn from(asked: Compressed) -> Self {
        match asked {
            Compressed::Gzip => Self::Gzip,
            Compressed::None => Self::None,
        }
    }
}

/// Ships.
///
/// # Errors
/// When it cannot begin.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    process::forbid_core_dumps()?;
    let stop = Stop::default();
    let stopping = stop.clone();
    process::on_termination(move |signal| stopping.stop(signal))?;
    let configuration = match LogConfiguration::load(&arguments.config) {
        Ok(configuration) => configuration,
        Err(problems) => {
            terminal::problems(&problems);
            return Ok(ExitCode::from(Kind::Playbook.exit_code()));
        }
    };
    let runtime = network_threads()?;
    let aws = Aws::new(runtime.handle().clone());
    let redactor = Redactor::new();
    let means = Means {
        service: Arc::new(aws.clone()),
        clock: RealClock::shared(),
        compression: arguments.compression.into(),
        state: StateFolder::new(&arguments.state_dir),
        redactor: redactor.clone(),
        say: Arc::new(|text| terminal::complain(&format!("{text}\n"))),
    };
    let knowledge = Knowledge::new(redactor, arguments.runtime_dir.as_deref());
    let keeper = Keeper::take(means, knowledge)?;
    let source = Source { file: arguments.config.clone(), aws, stop: stop.clone() };
    let service = Arc::new(Service::new(source, keeper.clone()));
    // Before anything that may wait: a run may speak to us at once.
    let server = arguments.runtime_dir.as_deref().map(|folder| Server::start(folder, &arguments.state_dir, service.clone()));
    let server = server.transpose()?;
    let begun = service.begin(configuration);
    if begun.is_ok() {
        process::let_go_of_code();
        let mut pause = STARTED;
        while stop.wait_until(Instant::now() + pause).is_ok() {
            keeper.sweep();
            process::let_go_of_code();
            pause = SWEEP;
        }
    }
    drop(server);
    keeper.stop(LAST);
    runtime.shutdown_background();
    match begun {
        // Told to stop while it waited for the instance to be known.
        Err(_) if stop.reason().is_some() => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS),
    }
}
