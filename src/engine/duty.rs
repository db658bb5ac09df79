//! A boot run's duty: whoever waits for the lifecycle action is kept waiting while the run is at work, and is answered at its
//! end, however that came about. Other runs only say what an earlier one could not.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::environment::Surroundings;
use super::event::{Event, Failure, Teller};
use super::stop::Stop;
use super::tally::Tally;
use crate::error::{Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::instance::{Instance, boot_id};
use crate::host::state::StateFolder;
use crate::lifecycle::{
    Conclusion, FailureRecord, HookClock, Line, LogFlush, Outcome, Service, Sign, Told, Transition, Watch, conclude,
    send_pending, wait_for_service,
};
use crate::playbook::{Lifecycle, OnFailure};

/// How many of the slowest steps a failure record names.
const SLOWEST: usize = 3;

/// What a verdict depends on besides how the run went.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// The hook, as far as the playbook says.
    pub hook: Lifecycle,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// How long a failed instance is kept.
    pub hold_for: Option<Duration>,
    /// sha256 of the playbook.
    pub digest: String,
}

/// The duty of the boot run that is under way.
pub struct Duty {
    run: String,
    top: Instant,
    terms: Terms,
    transition: Transition,
    watch: Watch,
    teller: Teller,
}

impl Duty {
    /// Takes it on: finds the hook and keeps it waiting from now on. `None` where there is nobody to tell, which is said.
    ///
    /// # Errors
    /// When the kernel does not say which boot this is.
    pub fn take_on(
        run: &str,
        surroundings: &Surroundings,
        line: Option<Line>,
        terms: Terms,
        until: Instant,
        teller: &Teller,
    ) -> Option<Self> {
        let (Some(instance), Some(line)) = (&surroundings.instance, line) else {
            let why = surroundings.absent.as_deref().unwrap_or("this is no EC2 instance");
            teller.tell(Event::Lifecycle { text: format!("there is nobody to tell: {why}") });
            return None;
        };
        let telling = teller.clone();
        let tell = Arc::new(move |sign: Sign<'_>| {
            telling.tell(match sign {
                Sign::Said(text) => Event::Lifecycle { text: text.to_owned() },
                Sign::Heartbeat => Event::Heartbeat,
            });
        });
        let watch = Watch::start(line, terms.hook.clone(), instance.started(), until, tell);
        let transition = if instance.is_warming() { Transition::Warming } else { Transition::Launching };
        Some(Self { run: run.to_owned(), top: Instant::now(), terms, transition, watch, teller: teller.clone() })
    }

    /// The playbook's own mistake about the hook, if it is known by now: worth ending the run before it changes anything.
    pub fn mistake(&self) -> Option<Error> {
        self.watch.mistake()
    }

    /// The hook's clock: no step may run beyond it.
    pub fn clock(&self) -> HookClock {
        self.watch.clock()
    }

    /// The machine reboots, and the next boot run takes the duty over: one last sign of life.
    pub fn hand_over(&self) {
        self.watch.beat_once_more();
    }

    /// Decides and says it. To be called without the run lock: a failed instance may be kept for long.
    pub fn fulfil(&self, failure: Option<FailureRecord>, logs: &dyn LogFlush) -> Conclusion {
        let failure = failure.map(|failure| FailureRecord {
            run: self.run.clone(),
            instance: self.watch.line().instance.clone(),
            milliseconds: u64::try_from(self.top.elapsed().as_millis()).unwrap_or(u64::MAX),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            playbook_digest: self.terms.digest.clone(),
            ..failure
        });
        let outcome = Outcome {
            run: self.run.clone(),
            failure,
            on_failure: self.terms.on_failure,
            hold_for: self.terms.hold_for,
            transition: self.transition,
        };
        conclude(&self.watch, &outcome, logs, &|text| self.teller.tell(Event::Lifecycle { text: text.to_owned() }))
    }
}

/// Whether a verdict was lost to the playbook's own mistake.
#[must_use]
pub fn is_mistaken(conclusion: &Conclusion) -> bool {
    matches!(&conclusion.told, Told::NotSent(error) if error.kind() == Kind::Playbook)
}

/// Whom a run on this instance talks to; `None` off EC2.
///
/// # Errors
/// When the kernel does not say which boot this is.
pub fn line(aws: &Aws, instance: Option<&Instance>, state: &StateFolder) -> Result<Option<Line>> {
    let Some(instance) = instance else { return Ok(None) };
    Ok(Some(Line {
        service: Arc::new(aws.clone()),
        retry: aws.retry().clone(),
        instance: instance.id.clone(),
        boot: boot_id()?,
        state: state.clone(),
    }))
}

/// Says what an earlier boot run could not.
pub fn say_what_waits(line: &Line, teller: &Teller) {
    match send_pending(line) {
        Ok(None) => {}
        Ok(Some((verdict, told))) => {
            teller.tell(Event::Lifecycle { text: format!("from an earlier run: {}", told.sentence(verdict)) });
        }
        Err(error) => teller.notice(format!("a verdict of an earlier run may still wait: {error}")),
    }
}

/// Between the two passes of a warm pool: true when the second one begins, false when there will be none, or on a signal.
#[must_use]
pub fn second_pass_begins(aws: &Aws, instance: Instance, stop: &Stop, teller: &Teller) -> bool {
    teller.tell(Event::Lifecycle { text: "prepared for the warm pool; waiting until it is wanted in service".to_owned() });
    let (sender, receiver) = channel();
    let (watching, clock) = (sender.clone(), aws.retry().clock().clone());
    let spawned = std::thread::Builder::new().name("warm-pool".into()).spawn(move || {
        let _ = watching.send(Some(wait_for_service(&*clock, &|| instance.ask_target_state())));
    });
    stop.on_stop(move || {
        let _ = sender.send(None);
    });
    if let Err(error) = spawned {
        teller.notice(format!("the second pass cannot be waited for: {error}"));
        return false;
    }
    match receiver.recv() {
        Ok(Some(Service::Wanted)) => true,
        Ok(Some(Service::Gone(why))) => {
            teller.tell(Event::Lifecycle { text: format!("there will be no second pass: {why}") });
            false
        }
        _ => false,
    }
}

/// What the failure record says of a run; `None` when it converged.
#[must_use]
pub fn failure_of(tally: &Tally) -> Option<FailureRecord> {
    if tally.converged() {
        return None;
    }
    let failed = tally.reports.iter().find(|report| report.ending == super::event::Ending::Failed);
    let mut slowest: Vec<(String, u64)> =
        tally.reports.iter().map(|report| (report.label.clone(), report.milliseconds)).collect();
    slowest.sort_by_key(|(_, milliseconds)| std::cmp::Reverse(*milliseconds));
    slowest.truncate(SLOWEST);
    let reason = failed.and_then(|report| report.reason.as_ref()).or(tally.failure.as_ref());
    let record = reason
        .map_or_else(|| FailureRecord { error: "not all steps could be started".into(), ..FailureRecord::default() }, record_of);
    Some(FailureRecord { step: failed.map(|report| format!("{} `{}`", report.number, report.label)), slowest, ..record })
}

/// The same of one failure.
#[must_use]
pub fn record_of(failure: &Failure) -> FailureRecord {
    let parts: Vec<&str> = failure.doing.iter().chain(&failure.because).map(String::as_str).collect();
    FailureRecord {
        place: failure.place.clone(),
        error: parts.join(": "),
        hint: failure.hint.clone(),
        last_lines: failure.last_lines.clone(),
        ..FailureRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Ending;
    use crate::engine::scheduler::Report;

    fn report(number: usize, ending: Ending, milliseconds: u64, reason: Option<Failure>) -> Report {
        Report { number, label: format!("s{number}"), ending, milliseconds, reason }
    }

    #[test]
    fn the_failure_record_names_the_step_and_who_ate_the_time() {
        let failure =
            Failure { place: Some("p.yaml:3:1".into()), doing: vec!["fetching".into()], ..Failure::because("no such branch") };
        let reports = vec![
            report(1, Ending::Changed, 9000, None),
            report(2, Ending::Failed, 100, Some(failure)),
            report(3, Ending::NotStarted, 0, Some(Failure::because("step 2 failed"))),
        ];
        let record = failure_of(&Tally { failed: 1, not_started: 1, reports, ..Tally::default() }).unwrap();
        assert_eq!((record.step.as_deref(), record.place.as_deref()), (Some("2 `s2`"), Some("p.yaml:3:1")));
        assert_eq!(record.error, "fetching: no such branch");
        assert_eq!(record.slowest.first(), Some(&("s1".to_owned(), 9000)));
        assert!(failure_of(&Tally::default()).is_none());
    }

    #[test]
    fn what_kept_a_run_from_its_steps_is_a_failure_too() {
        let tally = Tally { failed: 1, failure: Some(Failure::because("no parameter `/a`")), ..Tally::default() };
        assert_eq!(failure_of(&tally).unwrap().error, "no parameter `/a`");
    }
}
