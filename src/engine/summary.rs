//! What a run's record says to a person: how it went, how long each step took, which steps it waited for, and how much of that
//! path was the agent's own work.

use serde::Serialize;

use super::event::{Ending, Event, Failure, Stamped, Timing};
use super::record::Record;

/// A run in a few numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run.
    pub run: String,
    /// When it began, in milliseconds since 1970.
    pub started: Option<i64>,
    /// `boot`, `timer`, `manual`.
    pub trigger: Option<String>,
    /// The playbook's name.
    pub playbook: Option<String>,
    /// sha256 of the playbook as it was read.
    pub playbook_digest: Option<String>,
    /// sha256 of the agent's binary.
    pub binary_digest: Option<String>,
    /// The steps that were asked for, where it was not the whole playbook.
    pub only: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, as far as it is known.
    pub milliseconds: u64,
    /// Its steps, in the order in which they ended.
    pub steps: Vec<StepSummary>,
    /// What held it up.
    pub critical_path: CriticalPath,
    /// What a timer run found changed since the run before it.
    pub drift: Vec<Drift>,
    /// What kept it from its steps.
    pub failure: Option<Failure>,
    /// What it said to the lifecycle hook, and what came of it.
    pub lifecycle: Vec<String>,
    /// What else it said.
    pub notices: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Outcome {
    /// The machine is as the playbook wishes.
    Converged,
    /// It is not: steps failed, or did not start.
    Failed,
    /// Nothing failed, but something differs and was only to be reported.
    Drifted,
    /// A signal ended it.
    Interrupted {
        /// The signal.
        by: String,
    },
    /// It ended without a word.
    CutShort {
        /// What must have happened, where the next run has said so.
        because: Option<String>,
    },
}

/// One difference between machine and playbook that nobody had asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The step's number.
    pub step: usize,
    /// Its label.
    pub label: String,
    /// What it takes to repair it.
    pub change: String,
    /// Whether that was done.
    pub repaired: bool,
}

/// One step of it.
#[derive(Debug, Clone, Serialize)]
pub struct StepSummary {
    /// Its number.
    pub step: usize,
    /// Its label.
    pub label: String,
    /// How it ended; `None` when it did not.
    pub ending: Option<Ending>,
    /// Changes made, or still to make.
    pub changes: usize,
    /// How long it took.
    pub milliseconds: u64,
    /// What the time went into.
    pub timing: Timing,
    /// Why.
    pub reason: Option<Failure>,
    #[serde(skip)]
    after: Option<usize>,
    #[serde(skip)]
    ended: i64,
}

/// The chain of steps in which each waited for the one before: making any of them faster makes the run faster.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CriticalPath {
    /// The numbers of its steps, first to last.
    pub steps: Vec<usize>,
    /// How long it is.
    pub milliseconds: u64,
    /// How much of the run was nobody's but ours: no child, no network and no wait was outstanding on the path. What lies before
    /// its first step, between its steps and after its last counts as ours whole.
    pub own_milliseconds: u64,
    /// The same as a part of the run.
    pub own_share: f64,
}

impl Summary {
    /// Sums up a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let mut summary = Self {
            run: record.header.run.clone(),
            started: record.started(),
            trigger: record.trigger().map(str::to_owned),
            playbook: None,
            playbook_digest: None,
            binary_digest: None,
            only: Vec::new(),
            outcome: Outcome::CutShort { because: None },
            milliseconds: 0,
            steps: Vec::new(),
            critical_path: CriticalPath::default(),
            drift: Vec::new(),
            failure: None,
            lifecycle: Vec::new(),
            notices: Vec::new(),
        };
        let (mut first, mut last) = (None, 0);
        for stamped in &record.events {
            if !matches!(stamped.event, Event::RunCutShort { .. }) {
                last = stamped.at;
                first.get_or_insert(stamped.at);
            }
            summary.add(&stamped.event, stamped.at);
        }
        if summary.milliseconds == 0 {
            summary.milliseconds = u64::try_from(last - first.unwrap_or(last)).unwrap_or(0);
        }
        summary.critical_path = summary.find_critical_path();
        if summary.trigger.as_deref() == Some("timer") {
            summary.drift = summary.find_drift(record);
        }
        summary
    }

    fn add(&mut self, event: &Event, at: i64) {
        match event {
            Event::RunStarted { playbook, playbook_digest, .. } => {
                self.playbook = Some(playbook.clone());
                self.playbook_digest = Some(playbook_digest.clone());
            }
            Event::Binary { digest } => self.binary_digest = Some(digest.clone()),
            Event::Notice { text } => self.notices.push(text.clone()),
            Event::Lifecycle { text } => self.lifecycle.push(text.clone()),
            Event::RunFailed { reason } => self.failure = Some(reason.clone()),
            Event::StepStarted { step, label, after, .. } => {
                let mut new = StepSummary::new(*step, label);
                new.after = *after;
                self.steps.push(new);
            }
            Event::StepFinished { step, label, ending, changes, milliseconds, timing, reason, .. } => {
                let place = self.steps.iter().position(|known| known.step == *step);
                let mut ended = place.map_or_else(|| StepSummary::new(*step, label), |place| self.steps.remove(place));
                ended.ending = Some(*ending);
                (ended.changes, ended.milliseconds, ended.timing, ended.ended) = (*changes, *milliseconds, *timing, at);
                ended.reason.clone_from(reason);
                self.steps.push(ended);
            }
            Event::RunFinished { converged, failed, changed, unknown, interrupted, milliseconds, .. } => {
                self.milliseconds = *milliseconds;
                self.outcome = match interrupted {
                    Some(by) => Outcome::Interrupted { by: by.clone() },
                    None if *converged => Outcome::Converged,
                    None if *failed == 0 && changed + unknown > 0 && self.only_forecast() => Outcome::Drifted,
                    None => Outcome::Failed,
                };
            }
            Event::RunCutShort { because, .. } => self.outcome = Outcome::CutShort { because: Some(because.clone()) },
            Event::Narrowed { only } => self.only.clone_from(only),
            Event::StepWaiting { .. }
            | Event::Change { .. }
            | Event::Output { .. }
            | Event::Traffic { .. }
            | Event::Heartbeat
            | Event::StepRetried { .. } => {}
        }
    }

    /// The changes that were made or would have been, but for those that every run makes.
    fn find_drift(&self, record: &Record) -> Vec<Drift> {
        let of = |stamped: &Stamped| match &stamped.event {
            Event::Change { step, text, applying, routine: false, .. } => {
                let of = self.steps.iter().find(|known| known.step == *step)?;
                let repaired = *applying && of.ending == Some(Ending::Changed);
                Some(Drift { step: *step, label: of.label.clone(), change: text.clone(), repaired })
            }
            _ => None,
        };
        record.events.iter().filter_map(of).collect()
    }

    /// Whether this was a run that only looked.
    fn only_forecast(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.ending, Some(Ending::WouldChange | Ending::Unknown)))
    }

    /// Follows what each step waited for, back from the step that ended last.
    fn find_critical_path(&self) -> CriticalPath {
        let mut path = CriticalPath { own_milliseconds: self.milliseconds, ..CriticalPath::default() };
        let started = self.steps.iter().filter(|step| step.ending.is_some_and(|ending| ending != Ending::NotStarted));
        let mut next = started.max_by_key(|step| step.ended);
        while let Some(step) = next {
            // Each step waits for one above it; what says otherwise is no record of ours.
            if path.steps.first().is_some_and(|above| *above <= step.step) {
                break;
            }
            path.steps.insert(0, step.step);
            path.milliseconds += step.milliseconds + step.timing.locks;
            let waited = step.timing.locks + step.timing.waited.min(step.milliseconds);
            path.own_milliseconds = path.own_milliseconds.saturating_sub(waited);
            next = step.after.and_then(|after| self.steps.iter().find(|other| other.step == after));
        }
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run are far below 2^52")]
        let share = path.own_milliseconds as f64 / self.milliseconds.max(1) as f64;
        path.own_share = share.min(1.0);
        path
    }
}

impl StepSummary {
    fn new(step: usize, label: &str) -> Self {
        Self {
            step,
            label: label.to_owned(),
            ending: None,
            changes: 0,
            milliseconds: 0,
            timing: Timing::default(),
            reason: None,
            after: None,
            ended: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Header;

    fn started(at: i64, step: usize, after: Option<usize>) -> Stamped {
        Stamped { at, event: Event::StepStarted { step, label: format!("s{step}"), kind: "file".into(), after } }
    }

    fn finished(at: i64, step: usize, milliseconds: u64, waited: u64) -> Stamped {
        let timing = Timing { waited, ..Timing::default() };
        let (label, ending, changes) = (format!("s{step}"), Ending::Changed, 1);
        let event = Event::StepFinished { step, label, ending, changes, milliseconds, timing, reason: None, tentative: None };
        Stamped { at, event }
    }

    fn record(events: Vec<Stamped>) -> Record {
        Record { header: Header::new("r", None, "b", String::new()), events }
    }

    #[test]
    fn the_critical_path_is_the_chain_that_ended_last() {
        let mut events = vec![
            started(0, 1, None),
            started(0, 2, None),
            finished(300, 1, 300, 250),
            started(300, 3, Some(1)),
            finished(900, 2, 900, 0),
            finished(1000, 3, 700, 690),
        ];
        let summary = Summary::of(&record(events.clone()));
        assert_eq!(summary.outcome, Outcome::CutShort { because: None });
        let path = summary.critical_path;
        assert_eq!((path.steps, path.milliseconds, path.own_milliseconds), (vec![1, 3], 1000, 60));
        assert!((path.own_share - 0.06).abs() < 1e-9, "{}", path.own_share);
        let (run, interrupted) = ("r".to_owned(), None);
        let event =
            Event::RunFinished { run, converged: true, changed: 3, failed: 0, unknown: 0, interrupted, milliseconds: 1001 };
        events.push(Stamped { at: 1001, event });
        let summary = Summary::of(&record(events));
        assert_eq!((summary.outcome, summary.milliseconds), (Outcome::Converged, 1001));
        assert_eq!(summary.critical_path.own_milliseconds, 61, "what is no step's is ours");
    }

    #[test]
    fn what_a_timer_run_found_changed_is_drift() {
        let begun = |trigger: &str| {
            let (run, trigger) = ("r".to_owned(), trigger.to_owned());
            let (playbook, playbook_digest, version) = (String::new(), String::new(), String::new());
            Stamped {
                at: 0,
                event: Event::RunStarted { run, playbook, playbook_digest, version, trigger, dry_run: false, steps: 2 },
            }
        };
        let change = |step, applying, routine| {
            let text = format!("change {step}");
            Event::Change { step, text, diff: None, applying, routine }
        };
        let events = |trigger| {
            let mut events = vec![begun(trigger), started(0, 1, None), started(0, 2, None)];
            events.extend(
                [change(1, true, false), change(2, false, false), change(2, true, true)].map(|event| Stamped { at: 1, event }),
            );
            events.extend([finished(2, 1, 1, 0), finished(2, 2, 1, 0)]);
            events
        };
        let found = Summary::of(&record(events("timer"))).drift;
        let told: Vec<_> = found.iter().map(|drift| (drift.label.as_str(), drift.change.as_str(), drift.repaired)).collect();
        assert_eq!(told, [("s1", "change 1", true), ("s2", "change 2", false)]);
        assert_eq!(Summary::of(&record(events("manual"))).drift, [], "whoever runs it by hand may have changed the playbook");
    }

    #[test]
    fn a_run_that_was_cut_short_shows_the_step_it_was_in() {
        let summary = Summary::of(&record(vec![started(0, 1, None), finished(5, 1, 5, 0), started(5, 2, Some(1))]));
        let open: Vec<usize> = summary.steps.iter().filter(|step| step.ending.is_none()).map(|step| step.step).collect();
        assert_eq!(open, [2]);
    }
}
