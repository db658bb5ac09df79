//! The whole run, in stages: playbook, instance, lock and state, secrets, order, steps, last word.
//!
//! Nothing is changed before all secrets are there. What was begun is ended with a last word, in the record too.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::duty::{Duty, Terms};
use super::environment::{Surroundings, fetch_secrets, too_short_to_search};
use super::event::{Event, Failure, Listener, Teller};
use super::horizon::Horizon;
use super::job::EntryJob;
use super::locks::Locks;
use super::options::{RunOptions, Trigger};
use super::own_binary::OwnBinary;
use super::record::{Header, Recorder};
use super::scheduler::{GRACE, Report, Scheduler, Setting, WIDTH};
use super::shipping::{Order, Shipping};
use super::stop::Stop;
use super::tally::{Refusal, Tally};
use super::{duty, owner, reboot, record, refused, selection};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::instance::{Instance, boot_id};
use crate::host::run_lock::RunLock;
use crate::host::state::StateFolder;
use crate::host::traffic::Meter;
use crate::host::{World, WorldOptions, process};
use crate::lifecycle::Line;
use crate::playbook::{Converge, Playbook, Scope};
use crate::secret::Redactor;

/// How long the hook is looked for when there is no playbook that says how long a run may take.
const REFUSED: Duration = Duration::from_mins(2);

/// How long the last lines may take to be shipped.
const LAST_LINES: Duration = Duration::from_secs(5);
/// The same when a signal ended the run, and whoever sent it waits.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs a playbook, or shows what a run would do. On an instance that was prepared for a warm pool, a boot run stays and runs
/// again once the instance is wanted in service.
///
/// # Errors
/// Why no run came about: the playbook or the command line is wrong, or another run is under way. What fails later is told to
/// the listeners and counted.
pub fn run(options: &RunOptions, stop: &Stop, listeners: &[Arc<dyn Listener>]) -> Result<Tally, Refusal> {
    let runtime = network_threads()?;
    let aws = Aws::new(runtime.handle().clone());
    let ended = loop {
        let redactor = Redactor::new();
        let teller = Teller::new(redactor.clone());
        for listener in listeners {
            teller.add(listener.clone());
        }
        match run_once(options, stop, &teller, redactor, &aws) {
            Ok((tally, Some(instance))) => {
                if !duty::second_pass_begins(&aws, instance, stop, &teller) {
                    break Ok(tally);
                }
            }
            Ok((tally, None)) => break Ok(tally),
            Err(refusal) => break Err(refusal),
        }
    };
    // Work on the runtime that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// One run; with it the instance, if there will be a second pass.
fn run_once(
    options: &RunOptions,
    stop: &Stop,
    teller: &Teller,
    redactor: Redactor,
    aws: &Aws,
) -> Result<(Tally, Option<Instance>), Refusal> {
    let top = Instant::now();
    let asking = ask_beside(options, aws.runtime().clone());
    let state = StateFolder::new(&options.state);
    let load = if options.trigger == Trigger::Manual { Playbook::load } else { Playbook::load_unattended };
    let loaded = load(&options.location, &options.overrides);
    let surroundings = asking.join().map_err(|_| Error::new(Kind::Bug, "asking about the instance failed"))??;
    let line = if options.dry_run { None } else { duty::line(aws, surroundings.instance.as_ref(), &state)? };
    let id = record::new_id();
    let decides = options.trigger == Trigger::Boot && !options.dry_run;
    let playbook = match loaded {
        Ok(playbook) => playbook,
        Err(problems) => {
            // Whoever waits for this instance must hear that it will not come.
            let failure = Failure::of(&problems.clone().into(), None);
            if options.trigger != Trigger::Manual && !options.dry_run {
                match refused::record(&id, options, &surroundings, &state, &failure) {
                    Ok(recorder) => recorder.into_iter().for_each(|recorder| teller.add(recorder)),
                    Err(error) => teller.notice(format!("this run is not recorded: {error}")),
                }
            }
            let duty = decides.then(|| Duty::take_on(&id, &surroundings, line, Terms::default(), top + REFUSED, teller));
            duty.flatten().map(|duty| duty.fulfil(Some(duty::record_of(&failure)), &Shipping::none()));
            return Err(Refusal::Problems(problems));
        }
    };
    let scope = Scope {
        name: playbook.name.clone(),
        vars: playbook.vars.clone(),
        values: surroundings.values.clone(),
        redactor: redactor.clone(),
        ..Scope::default()
    };
    let playbook = selection::narrow(playbook, &scope, &options.only)?;
    let hook = playbook.lifecycle(&scope).map(Option::unwrap_or_default);
    let terms = Terms {
        hook: hook.clone().unwrap_or_default(),
        on_failure: playbook.on_failure,
        hold_for: playbook.hold_for.map(|span| span.0),
        digest: playbook.digest.clone(),
    };
    let waiting = if decides || !options.only.is_empty() { None } else { line.clone() };
    let left = if decides { reboot::left_of(playbook.deadline.0, &state, surroundings.instance.as_ref()) } else { None };
    let budget = left.unwrap_or(playbook.deadline.0);
    let duty = if decides { Duty::take_on(&id, &surroundings, line, terms, top + budget, teller) } else { None };
    let mut run = Run {
        id,
        // A timer run that may only report looks like a dry-run, but it may ask, and it is recorded.
        only_looks: options.dry_run || (options.trigger == Trigger::Timer && playbook.converge == Converge::Report),
        options,
        horizon: Horizon::new(top, budget).under(duty.as_ref().map(Duty::clock)),
        stop,
        teller: teller.clone(),
        redactor,
        aws: aws.clone(),
        surroundings,
        duty,
        shipping: OnceLock::new(),
        binary: OnceLock::new(),
        goes_on_with: left,
        reboots: OnceLock::new(),
    };
    let ended = hook.map_err(Refusal::from).and_then(|_| run.under_lock(&state, playbook, scope, waiting.as_ref()));
    let binary = run.binary.take();
    let answered = run.answer(ended);
    // Whoever sent a signal waits for us, and nobody delays a verdict for a digest.
    if let Some(binary) = binary.filter(|_| stop.reason().is_none()) {
        binary.wait();
    }
    answered
}

/// A run that has come about.
struct Run<'a> {
    id: String,
    options: &'a RunOptions,
    only_looks: bool,
    horizon: Horizon,
    stop: &'a Stop,
    teller: Teller,
    redactor: Redactor,
    aws: Aws,
    surroundings: Surroundings,
    duty: Option<Duty>,
    shipping: OnceLock<Arc<Shipping>>,
    binary: OnceLock<OwnBinary>,
    /// What is left of the deadline, where this run goes on after a reboot.
    goes_on_with: Option<Duration>,
    /// Set when the machine is to be rebooted.
    reboots: OnceLock<()>,
}

impl Run<'_> {
    /// The run, from taking the lock to letting it go.
    fn under_lock(
        &self,
        state: &StateFolder,
        playbook: Playbook,
        scope: Scope,
        waiting: Option<&Line>,
    ) -> Result<Tally, Refusal> {
        if self.options.dry_run {
            return Ok(self.carry_out(playbook, scope));
        }
        let _lock = self.lock(state)?;
        let recorder = self.begin_record(state)?;
        self.ship_logs(state, &playbook, &scope);
        if let Some(line) = waiting {
            duty::say_what_waits(line, &self.teller);
        }
        let tally = self.carry_out(playbook, scope);
        if let Some(trouble) = recorder.trouble() {
            self.teller.notice(format!("the record of this run has holes: {trouble}"));
        }
        Ok(tally)
    }

    /// Begins to ship logs, where the playbook wants it and there is an instance whose they are.
    fn ship_logs(&self, state: &StateFolder, playbook: &Playbook, scope: &Scope) {
        let instance = self.surroundings.instance.as_ref().map(|instance| instance.id.as_str());
        let order = match (playbook.logs(scope), instance) {
            (Ok(None), _) => return Shipping::stop_service(state),
            (Ok(Some(settings)), Some(instance)) => Order::new(&self.id, settings, playbook, scope, instance),
            (Ok(Some(_)), None) => {
                let absent = self.surroundings.absent.clone();
                Err(Error::new(Kind::Missing, absent.unwrap_or_else(|| "this is no EC2 instance".to_owned())))
            }
            (Err(error), _) => Err(error),
        };
        match order.and_then(|order| Shipping::start(order, &self.aws, state, &self.redactor, &self.teller)) {
            Ok(shipping) => drop(self.shipping.set(shipping)),
            // Failing to ship never fails a run.
            Err(error) => self.teller.notice(format!("no logs are shipped: {error}")),
        }
    }

    /// Answers the hook, however the run ended. A run that a signal ended decides nothing: the next boot does.
    fn answer(mut self, mut ended: Result<Tally, Refusal>) -> Result<(Tally, Option<Instance>), Refusal> {
        let shipping = self.shipping.take().unwrap_or_else(|| Arc::new(Shipping::none()));
        let duty = self.duty.take();
        if self.reboots.get().is_some() && self.stop.reason().is_none() {
            match reboot::last_act(duty.as_ref(), &shipping, self.stop, &self.teller) {
                Ok(()) => return ended.map(|tally| (tally, None)),
                Err(error) => ended = Err(error.into()),
            }
        }
        let Some(duty) = duty.filter(|_| self.stop.reason().is_none()) else {
            if self.options.trigger == Trigger::Boot && self.stop.reason().is_some() {
                self.teller.tell(Event::Lifecycle { text: "nothing was decided: the next boot run will".to_owned() });
            }
            shipping.close(if self.stop.reason().is_some() { AT_ONCE } else { LAST_LINES });
            return ended.map(|tally| (tally, None));
        };
        let failure = match &ended {
            Ok(tally) => duty::failure_of(tally),
            Err(Refusal::Problems(problems)) => Some(duty::record_of(&Failure::of(&problems.clone().into(), None))),
            Err(Refusal::Error(error)) => Some(duty::record_of(&Failure::of(error, None))),
        };
        let conclusion = duty.fulfil(failure, &*shipping);
        shipping.close(LAST_LINES);
        ended.map(|mut tally| {
            tally.failed += usize::from(duty::is_mistaken(&conclusion));
            (tally, if conclusion.second_pass { self.surroundings.instance.take() } else { None })
        })
    }

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
            if self.horizon.is_over() {
                return Err(Error::new(Kind::TimedOut, format!("{under_way}, and {}", self.horizon.why())));
            }
            if !told {
                self.teller.notice(format!("{under_way}; this one waits for it"));
                told = true;
            }
            self.stop.wait_until(Instant::now() + Duration::from_millis(100))?;
        }
    }

    /// Makes the state ours, reports what earlier runs left unsaid, begins the record.
    fn begin_record(&self, state: &StateFolder) -> Result<Arc<Recorder>> {
        let stamp = process::own_stamp()?;
        let instance = self.surroundings.instance.as_ref().map(|instance| instance.id.as_str());
        let set_aside = owner::claim(state, instance)?;
        let boot = boot_id()?;
        let cut_short = record::mark_cut_short(state, &boot)?;
        let recorder = Arc::new(Recorder::begin(state, &Header::new(&self.id, instance, &boot, stamp.clone()))?);
        self.teller.add(recorder.clone());
        let _ = self.binary.set(OwnBinary::find_out(state.clone(), stamp, recorder.clone())?);
        set_aside.into_iter().chain(cut_short).for_each(|notice| self.teller.notice(notice));
        Ok(recorder)
    }

    /// From the first word to the last.
    fn carry_out(&self, playbook: Playbook, scope: Scope) -> Tally {
        self.teller.tell(Event::RunStarted {
            run: self.id.clone(),
            playbook: playbook.name.clone(),
            playbook_digest: playbook.digest.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            trigger: self.options.trigger.word().to_owned(),
            dry_run: self.only_looks,
            steps: playbook.entries.len(),
        });
        if !self.options.only.is_empty() {
            self.teller.tell(Event::Narrowed { only: self.options.only.clone() });
        }
        let meter = Meter::begin(!self.only_looks);
        if let Some(left) = self.goes_on_with {
            self.teller.notice(reboot::goes_on(left));
        }
        for warning in &playbook.warnings {
            self.teller.notice(warning.message.clone());
        }
        let tally = match self.walk(playbook, scope) {
            Ok(reports) => {
                let reboots = || self.reboots.get().map(|()| reboot::OWN_REBOOT.to_owned());
                Tally::of(reports, self.stop.reason().or_else(reboots), self.only_looks)
            }
            Err(error) => {
                let reason = Failure::of(&error, None);
                self.teller.tell(Event::RunFailed { reason: reason.clone() });
                Tally {
                    failed: 1,
                    failure: Some(reason),
                    interrupted: self.stop.reason(),
                    dry_run: self.only_looks,
                    ..Tally::default()
                }
            }
        };
        if let Some(moved) = meter.moved() {
            self.teller.tell(Event::Traffic { step: None, moved });
        }
        self.teller.tell(Event::RunFinished {
            run: self.id.clone(),
            converged: tally.converged(),
            changed: tally.changed,
            failed: tally.failed,
            unknown: tally.unknown,
            interrupted: tally.interrupted.clone(),
            milliseconds: u64::try_from(self.horizon.began().elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        tally
    }

    /// Everything that can fail before the first step, then the steps.
    fn walk(&self, playbook: Playbook, mut scope: Scope) -> Result<Vec<Report>> {
        let given = self.options.secrets_from.as_deref();
        let aws = self.aws.until(self.horizon.deadline());
        scope.secrets = fetch_secrets(&playbook, &scope, &aws, given, self.options.looks(), &self.teller)?;
        self.shipping.get().inspect(|shipping| shipping.secrets_are_known());
        if let Some(said) = scope.secrets.as_ref().and_then(too_short_to_search) {
            self.teller.notice(said);
        }
        let world = World::new(
            WorldOptions {
                online: !self.options.dry_run || self.options.online,
                guards: !self.options.dry_run || self.options.run_guards,
                by_timer: self.options.trigger == Trigger::Timer,
                stay_on_revision: self.options.trigger == Trigger::Timer && playbook.converge == Converge::Config,
                retry_revision: self.options.retry_revision,
                environment: playbook.environment(&scope)?,
                state: self.options.state.clone(),
                redactor: self.redactor.clone(),
                runtime: self.aws.runtime().clone(),
            },
            self.aws.clone(),
        );
        if let Some(mistake) = self.duty.as_ref().and_then(Duty::mistake) {
            return Err(mistake);
        }
        let setting = Setting {
            world: world.clone(),
            teller: self.teller.clone(),
            locks: Locks::new(WIDTH),
            stop: self.stop.clone(),
            beside: playbook.beside().clone(),
            horizon: self.horizon.clone(),
            dry_run: self.only_looks,
            is_root: process::is_root(),
            grace: GRACE,
        };
        let reports = Scheduler::new(setting, EntryJob::all(playbook.entries), scope)?.walk();
        if !self.only_looks
            && let Err(error) = world.keep_digests()
        {
            self.teller.notice(format!("the next run reads large files again: {error}"));
        }
        if !self.only_looks && reboot::is_due(&world, &self.teller) {
            let _ = self.reboots.set(());
        }
        Ok(reports)
    }
}

/// Asks which instance this is while the playbook is read.
fn ask_beside(options: &RunOptions, runtime: tokio::runtime::Handle) -> std::thread::JoinHandle<Result<Surroundings>> {
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
