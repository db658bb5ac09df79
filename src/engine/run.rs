//! The whole run, in stages: playbook, instance, lock and state, secrets, order, steps, last word.
//!
//! Nothing is changed before all secrets are there. What was begun is ended with a last word, in the record too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::environment::{Surroundings, fetch_secrets};
use super::event::{Ending, Event, Failure, Listener, Teller};
use super::job::EntryJob;
use super::locks::Locks;
use super::options::{RunOptions, Trigger};
use super::record::{Header, Recorder};
use super::scheduler::{GRACE, Report, Scheduler, Setting, WIDTH};
use super::stop::Stop;
use super::{owner, record};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::instance::boot_id;
use crate::host::run_lock::RunLock;
use crate::host::state::StateFolder;
use crate::host::{World, WorldOptions, process};
use crate::playbook::{Converge, Playbook, Problems, Scope};
use crate::secret::Redactor;

/// Why no run came about.
#[derive(Debug)]
pub enum Refusal {
    /// The playbook is wrong: every problem of it.
    Problems(Problems),
    /// Something else.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Refusal {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Problems(_) => Kind::Playbook.exit_code(),
            Self::Error(error) => error.kind().exit_code(),
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Steps that changed something, or would.
    pub changed: usize,
    /// Steps that failed and were not allowed to, and what kept the run from its steps.
    pub failed: usize,
    /// Steps that were not started.
    pub not_started: usize,
    /// Steps that cannot be told.
    pub unknown: usize,
    /// The signal that ended it.
    pub interrupted: Option<String>,
    /// Whether it only looked.
    pub dry_run: bool,
    /// How each step ended.
    pub reports: Vec<Report>,
}

impl Tally {
    fn of(reports: Vec<Report>, interrupted: Option<String>, dry_run: bool) -> Self {
        let count = |endings: &[Ending]| reports.iter().filter(|report| endings.contains(&report.ending)).count();
        Self {
            changed: count(&[Ending::Changed, Ending::WouldChange]),
            failed: count(&[Ending::Failed]),
            not_started: count(&[Ending::NotStarted]),
            unknown: count(&[Ending::Unknown]),
            interrupted,
            dry_run,
            reports,
        }
    }

    /// Whether the machine is as the playbook wishes.
    #[must_use]
    pub fn converged(&self) -> bool {
        let differs = self.dry_run && self.changed + self.unknown > 0;
        self.failed + self.not_started == 0 && self.interrupted.is_none() && !differs
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.converged() {
            0
        } else if self.failed + self.not_started > 0 || self.interrupted.is_some() {
            1
        } else {
            10
        }
    }
}

/// Runs a playbook, or shows what a run would do.
///
/// # Errors
/// Why no run came about: the playbook or the command line is wrong, or another run is under way. What fails later is told to
/// the listeners and counted.
pub fn run(options: &RunOptions, stop: &Stop, listeners: Vec<Arc<dyn Listener>>) -> Result<Tally, Refusal> {
    let top = Instant::now();
    let redactor = Redactor::new();
    let teller = Teller::new(redactor.clone());
    listeners.into_iter().for_each(|listener| teller.add(listener));

    let runtime = network_threads()?;
    let asking = ask_beside(options, runtime.handle().clone());
    let state = StateFolder::new(&options.state);
    let digesting = (!options.dry_run).then(|| digest_beside(state.clone()));
    let playbook = Playbook::load(&options.location, &options.overrides).map_err(Refusal::Problems)?;
    let surroundings = asking.join().map_err(|_| Error::new(Kind::Bug, "asking about the instance failed"))??;

    let run = Run {
        id: run_id(),
        // A timer run that may only report looks like a dry-run, but it may ask, and it is recorded.
        dry_run: options.dry_run || (options.trigger == Trigger::Timer && playbook.converge == Converge::Report),
        options,
        top,
        stop,
        teller,
        redactor,
        aws: Aws::new(runtime.handle().clone()),
        runtime: runtime.handle().clone(),
        surroundings,
    };
    let _lock = if options.dry_run { None } else { Some(run.lock(&state)?) };
    let recorder = match digesting {
        Some(digesting) => {
            let binary = digesting.join().map_err(|_| Error::new(Kind::Bug, "reading the agent's own binary failed"))??;
            Some(run.begin_record(&state, binary)?)
        }
        None => None,
    };
    let tally = run.carry_out(playbook, recorder.as_ref().map_or("", |(_, digest)| digest));
    if let Some(trouble) = recorder.and_then(|(recorder, _)| recorder.trouble()) {
        run.teller.notice(format!("the record of this run has holes: {trouble}"));
    }
    // Work on the runtime that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    Ok(tally)
}

/// A run that has come about.
struct Run<'a> {
    id: String,
    options: &'a RunOptions,
    dry_run: bool,
    top: Instant,
    stop: &'a Stop,
    teller: Teller,
    redactor: Redactor,
    aws: Aws,
    runtime: tokio::runtime::Handle,
    surroundings: Surroundings,
}

impl Run<'_> {
    /// One run at a time: a boot run waits its turn, any other gives up at once.
    fn lock(&self, state: &StateFolder) -> Result<RunLock> {
        let mut told = false;
        loop {
            let holder = match state.take_run_lock()? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            let under_way = format!("another run is under way ({})", holder.words);
            if self.options.trigger != Trigger::Boot {
                return Err(Error::new(Kind::Locked, under_way));
            }
            if !told {
                self.teller.notice(format!("{under_way}; this one waits for it"));
                told = true;
            }
            self.stop.wait_until(Instant::now() + Duration::from_millis(100))?;
        }
    }

    /// Makes the state ours, reports what earlier runs left unsaid, begins the record. Returns the binary's digest with it.
    fn begin_record(&self, state: &StateFolder, binary: (String, String)) -> Result<(Arc<Recorder>, String)> {
        let instance = self.surroundings.instance.as_ref().map(|instance| instance.id.as_str());
        let set_aside = owner::claim(state, instance)?;
        let boot = boot_id()?;
        let cut_short = record::mark_cut_short(state, &boot)?;
        let recorder = Arc::new(Recorder::begin(state, &Header::new(&self.id, instance, &boot, binary.clone()))?);
        self.teller.add(recorder.clone());
        set_aside.into_iter().chain(cut_short).for_each(|notice| self.teller.notice(notice));
        Ok((recorder, binary.1))
    }

    /// From the first word to the last.
    fn carry_out(&self, playbook: Playbook, binary_digest: &str) -> Tally {
        self.teller.tell(Event::RunStarted {
            run: self.id.clone(),
            playbook: playbook.name.clone(),
            playbook_digest: playbook.digest.clone(),
            binary_digest: binary_digest.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            trigger: self.options.trigger.word().to_owned(),
            dry_run: self.dry_run,
            steps: playbook.entries.len(),
        });
        playbook.warnings.iter().for_each(|warning| self.teller.notice(warning.message.clone()));
        let tally = match self.walk(playbook) {
            Ok(reports) => Tally::of(reports, self.stop.reason(), self.dry_run),
            Err(error) => {
                self.teller.tell(Event::RunFailed { reason: Failure::of(&error, None) });
                Tally { failed: 1, interrupted: self.stop.reason(), dry_run: self.dry_run, ..Tally::default() }
            }
        };
        self.teller.tell(Event::RunFinished {
            run: self.id.clone(),
            converged: tally.converged(),
            changed: tally.changed,
            failed: tally.failed,
            unknown: tally.unknown,
            interrupted: tally.interrupted.clone(),
            milliseconds: u64::try_from(self.top.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        tally
    }

    /// Everything that can fail before the first step, then the steps.
    fn walk(&self, playbook: Playbook) -> Result<Vec<Report>> {
        let deadline = self.top + playbook.deadline.0;
        let mut scope = Scope {
            name: playbook.name.clone(),
            vars: playbook.vars.clone(),
            values: self.surroundings.values.clone(),
            redactor: self.redactor.clone(),
            ..Scope::default()
        };
        let given = self.options.secrets_from.as_deref();
        scope.secrets = fetch_secrets(&playbook, &scope, &self.aws, given, self.options.dry_run, &self.redactor)?;
        let world = World::new(
            WorldOptions {
                online: !self.options.dry_run || self.options.online,
                guards: !self.options.dry_run || self.options.run_guards,
                stay_on_revision: self.options.trigger == Trigger::Timer && playbook.converge == Converge::Config,
                environment: playbook.environment(&scope)?,
                state: self.options.state.clone(),
                redactor: self.redactor.clone(),
                runtime: self.runtime.clone(),
            },
            self.aws.clone(),
        );
        let setting = Setting {
            world,
            teller: self.teller.clone(),
            locks: Locks::new(WIDTH),
            stop: self.stop.clone(),
            folder: Arc::new(playbook.folder),
            deadline,
            dry_run: self.dry_run,
            is_root: process::is_root(),
            grace: GRACE,
        };
        Ok(Scheduler::new(setting, EntryJob::all(playbook.entries), scope)?.walk())
    }
}

/// Asks which instance this is while the playbook is read.
fn ask_beside(
    options: &RunOptions,
    runtime: tokio::runtime::Handle,
) -> std::thread::JoinHandle<Result<Surroundings>> {
    let (given, dry_run) = (options.facts.clone(), options.dry_run);
    std::thread::spawn(move || Surroundings::discover(&runtime, given.as_deref(), dry_run))
}

/// The threads on which everything asynchronous is done.
///
/// # Errors
/// When they cannot be started.
pub fn network_threads() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("network").enable_all().build().doing(|| "starting the network threads".to_owned())
}

/// Sorts by time; two runs in one millisecond differ all the same.
fn run_id() -> String {
    let now = jiff::Timestamp::now();
    let millisecond = now.as_millisecond().rem_euclid(1000);
    format!("{}{millisecond:03}Z-{:04x}", now.strftime("%Y%m%dT%H%M%S"), rand::random::<u16>())
}

/// Reads our binary while the playbook is read and the instance is asked.
fn digest_beside(state: StateFolder) -> std::thread::JoinHandle<Result<(String, String)>> {
    std::thread::spawn(move || own_digest(&state))
}

/// The stamp and digest of our binary. Read anew only when the file is another than the last run's: it has many megabytes.
fn own_digest(state: &StateFolder) -> Result<(String, String)> {
    let stamp = process::own_stamp()?;
    let known = record::newest(state)?.filter(|record| record.header.binary_stamp == stamp);
    let digest = match known {
        Some(record) => record.header.binary_digest,
        None => process::own_digest()?,
    };
    Ok((stamp, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ending: Ending) -> Report {
        Report { number: 1, label: "a".into(), ending, milliseconds: 1, reason: None }
    }

    #[test]
    fn exit_codes_are_those_of_the_readme() {
        let code = |endings: &[Ending], dry_run| {
            Tally::of(endings.iter().copied().map(report).collect(), None, dry_run).exit_code()
        };
        assert_eq!(code(&[Ending::Unchanged, Ending::Changed, Ending::Skipped, Ending::FailedButAllowed], false), 0);
        assert_eq!(code(&[Ending::Changed, Ending::Failed], false), 1);
        assert_eq!(code(&[Ending::Changed, Ending::NotStarted], false), 1);
        assert_eq!(code(&[Ending::Unchanged, Ending::Skipped], true), 0);
        assert_eq!(code(&[Ending::Unchanged, Ending::WouldChange], true), 10);
        assert_eq!(code(&[Ending::Unchanged, Ending::Unknown], true), 10);
        assert_eq!(code(&[Ending::Failed, Ending::WouldChange], true), 1);
        assert_eq!(Tally::of(vec![report(Ending::Unchanged)], Some("SIGTERM".into()), false).exit_code(), 1);
    }

    #[test]
    fn run_ids_sort_by_time() {
        let first = run_id();
        std::thread::sleep(Duration::from_millis(2));
        assert!(first < run_id());
    }
}
