//! The whole way out against a scripted Auto Scaling.

use std::sync::{Arc, Mutex};

use super::*;
use crate::host::clock::Clock as _;
use crate::lifecycle::scripted::Scripted;
use crate::lifecycle::send_pending;
use crate::playbook::Lifecycle;
use crate::step::fields::Span;

#[derive(Default)]
struct Logs {
    lines: Mutex<Vec<String>>,
    flushed: Mutex<Vec<Duration>>,
    /// How many verdicts had been taken when the flush came.
    taken_before: Mutex<Vec<usize>>,
    scripted: Option<Scripted>,
}

impl LogFlush for Logs {
    fn line(&self, _: i64, text: String) {
        self.lines.lock().unwrap().push(text);
    }

    fn flush(&self, limit: Duration) {
        self.flushed.lock().unwrap().push(limit);
        self.taken_before.lock().unwrap().extend(self.scripted.as_ref().map(|scripted| scripted.taken().len()));
    }
}

struct Stage {
    scripted: Scripted,
    watch: Watch,
    logs: Logs,
    said: Mutex<Vec<String>>,
    console: tempfile::NamedTempFile,
}

impl Stage {
    fn new(scripted: Scripted) -> Self {
        Self::under(scripted, Duration::from_secs(450))
    }

    /// The hook waits for so long.
    fn under(scripted: Scripted, timeout: Duration) -> Self {
        let named = Lifecycle { group: Some("g".to_owned()), hook: Some("h".to_owned()), timeout: Some(Span(timeout)) };
        Self::with(scripted, named)
    }

    fn with(scripted: Scripted, wanted: Lifecycle) -> Self {
        let line = scripted.line();
        let start = line.now();
        let watch = Watch::start(line, wanted, start, start, Arc::new(|_| ()));
        let logs = Logs { scripted: Some(scripted.clone()), ..Logs::default() };
        Self { scripted, watch, logs, said: Mutex::default(), console: tempfile::NamedTempFile::new().unwrap() }
    }

    fn conclude(&self, outcome: &Outcome) -> Conclusion {
        let say = |text: &str| self.said.lock().unwrap().push(text.to_owned());
        conclude_at(&self.watch, outcome, &self.logs, &say, self.console.path())
    }

    fn stored(&self) -> StoredVerdict {
        StoredVerdict::read(self.watch.line()).unwrap().unwrap()
    }
}

fn converged() -> Outcome {
    Outcome {
        run: "run-1".to_owned(),
        failure: None,
        on_failure: OnFailure::Abandon,
        hold_for: None,
        transition: Transition::Launching,
    }
}

fn failed() -> Outcome {
    let failure = FailureRecord { error: "step 3 `code` is not done".to_owned(), ..FailureRecord::default() };
    Outcome { failure: Some(failure), ..converged() }
}

#[test]
fn a_run_that_converged_continues_after_a_short_flush() {
    let stage = Stage::new(Scripted::new().active("h"));
    let conclusion = stage.conclude(&converged());
    assert!(matches!(conclusion.told, Told::Taken) && !conclusion.second_pass);
    assert_eq!(stage.scripted.taken(), [Verdict::Continue]);
    assert_eq!(*stage.logs.flushed.lock().unwrap(), [FLUSH_BEFORE_CONTINUE]);
    assert_eq!(*stage.logs.taken_before.lock().unwrap(), [0], "flushed before it was said");
    assert!(stage.stored().settled);
}

#[test]
fn a_failed_run_leaves_its_evidence_before_it_abandons() {
    let stage = Stage::new(Scripted::new().active("h"));
    stage.conclude(&failed());
    assert_eq!(stage.scripted.taken(), [Verdict::Abandon]);
    assert!(stage.logs.lines.lock().unwrap()[0].contains("step 3 `code` is not done"));
    assert!(std::fs::read_to_string(stage.console.path()).unwrap().contains("step 3 `code` is not done"));
    assert_eq!(*stage.logs.flushed.lock().unwrap(), [FLUSH_BEFORE_ABANDON]);
}

#[test]
fn the_logs_do_not_take_the_time_in_which_the_verdict_must_be_said() {
    for (gone, flush) in [(5, 20), (15, 12), (27, 1), (31, 20)] {
        let scripted = Scripted::new().active("h");
        let stage = Stage::under(scripted.clone(), Duration::from_secs(30));
        while stage.watch.expires().is_none() {
            std::thread::yield_now();
        }
        scripted.clock.sleep(Duration::from_secs(gone));
        stage.conclude(&failed());
        assert_eq!(*stage.logs.flushed.lock().unwrap(), [Duration::from_secs(flush)], "{gone} s of 30 are gone");
    }
}

#[test]
fn on_failure_continue_says_continue_and_still_leaves_the_evidence() {
    let stage = Stage::new(Scripted::new().active("h"));
    stage.conclude(&Outcome { on_failure: OnFailure::Continue, ..failed() });
    assert_eq!(stage.scripted.taken(), [Verdict::Continue]);
    assert_eq!(stage.logs.lines.lock().unwrap().len(), 1);
}

#[test]
fn a_held_instance_hears_heartbeats_to_its_end_and_is_then_abandoned() {
    let stage = Stage::new(Scripted::new().active("h"));
    let start = stage.watch.line().now();
    stage.conclude(&Outcome { hold_for: Some(Duration::from_mins(30)), ..failed() });
    assert!(stage.watch.line().now() >= start + Duration::from_mins(30));
    let beats = stage.scripted.calls().iter().filter(|call| call.starts_with("heartbeat")).count();
    assert!((12..=17).contains(&beats), "one at once, then one within each 150 s: {beats}");
    assert_eq!(stage.scripted.taken(), [Verdict::Abandon]);
}

#[test]
fn what_could_not_be_said_is_said_by_the_next_run() {
    let stage = Stage::new(Scripted::new().active("h").denied());
    let conclusion = stage.conclude(&converged());
    assert!(matches!(conclusion.told, Told::NotSent(_)) && stage.scripted.taken().is_empty());
    assert!(!stage.stored().settled);
    stage.scripted.allow();
    let told = send_pending(stage.watch.line()).unwrap();
    assert!(matches!(told, Some((Verdict::Continue, Told::Taken))));
    assert_eq!(stage.scripted.taken(), [Verdict::Continue]);
    assert!(stage.stored().settled);
    assert!(send_pending(stage.watch.line()).unwrap().is_none(), "it is said once");
}

#[test]
fn a_newer_decision_replaces_the_one_that_waits() {
    let stage = Stage::new(Scripted::new().active("h").denied());
    stage.conclude(&failed());
    stage.scripted.allow();
    stage.conclude(&converged());
    assert_eq!(stage.scripted.taken(), [Verdict::Continue]);
    assert!(send_pending(stage.watch.line()).unwrap().is_none());
}

#[test]
fn outside_of_a_group_the_run_ends_well() {
    let stage = Stage::with(Scripted::new(), Lifecycle::default());
    let conclusion = stage.conclude(&converged());
    assert!(matches!(conclusion.told, Told::Nobody(_)));
    assert!(stage.said.lock().unwrap().iter().any(|line| line.contains("nobody to tell")));
    assert!(stage.stored().settled);
}

#[test]
fn a_warming_pass_has_a_second_one() {
    let stage = Stage::new(Scripted::new().active("h"));
    assert!(stage.conclude(&Outcome { transition: Transition::Warming, ..converged() }).second_pass);
    let stage = Stage::new(Scripted::new().active("h"));
    assert!(!stage.conclude(&Outcome { transition: Transition::Warming, ..failed() }).second_pass);
}
