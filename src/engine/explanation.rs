//! A run's record laid out in time: when each step could have begun, when it did and when it was over, what it waited for, what it
//! tried again and changed, and what was said meanwhile. What it adds up to is the summary's business.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::{Ending, Event, Failure, Stamped, Timing};
use super::record::Record;
use super::summary::Summary;
use crate::host::traffic::Traffic;

/// More than this between what the clock and what the run itself says is no rounding.
const CLOCK_WAS_SET: u64 = 5_000;

/// A run as it can be explained. All instants are milliseconds since it began.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// What it adds up to.
    #[serde(flatten)]
    pub summary: Summary,
    /// The version of the agent that ran it.
    pub agent: Option<String>,
    /// The instance it ran on.
    pub instance: Option<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// When the last thing happened.
    pub end: u64,
    /// When the first step began to look.
    pub first_step: Option<u64>,
    /// When the last step was over.
    pub last_step: Option<u64>,
    /// The steps in the order of the playbook.
    pub timeline: Vec<Lane>,
    /// What was said of the run as a whole.
    pub said: Vec<Said>,
    /// What the machine moved during the run, by whomever.
    pub moved: Option<Traffic>,
    /// Whether the machine's clock was set meanwhile, so that instants are not to be trusted; spans are.
    pub clock_was_set: bool,
}

/// A sentence and its instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// When.
    pub at: u64,
    /// What it is about.
    pub about: About,
    /// What.
    pub text: String,
}

/// What a sentence is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The lifecycle hook, or the logs.
    Lifecycle,
    /// The hook took a heartbeat.
    Heartbeat,
    /// Something to know.
    Notice,
    /// What kept the run from its steps.
    Failure,
    /// A step waits.
    Wait,
    /// A step is tried again.
    Retry,
}

/// One step in time.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lane {
    /// Its number.
    pub step: usize,
    /// Its label.
    pub label: String,
    /// Its type; empty where it never began.
    pub kind: String,
    /// How it ended; `None` where it did not.
    pub ending: Option<Ending>,
    /// The step whose end made it ready.
    pub after: Option<usize>,
    /// Whether it is a link of the critical path.
    pub critical: bool,
    /// When everything it waits for was over.
    pub ready: u64,
    /// When it had its locks, and began.
    pub began: u64,
    /// When it was over, or the record ends.
    pub ended: u64,
    /// What the time went into.
    pub timing: Timing,
    /// What of it was the agent's own work.
    pub own: u64,
    /// What the machine moved meanwhile.
    pub moved: Option<Traffic>,
    /// Whether other steps were at work meanwhile, who moved some of that.
    pub shared: bool,
    /// What it waited for and what was tried again, in order.
    pub said: Vec<Said>,
    /// What it changed, or would.
    pub changes: Vec<Made>,
    /// Why it failed, was skipped or cannot be told.
    pub reason: Option<Failure>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// When.
    pub at: u64,
    /// The line of the plan.
    pub text: String,
    /// The difference; a record on disk holds none.
    pub diff: Option<String>,
    /// Whether it was made.
    pub applied: bool,
}

impl Explanation {
    /// Lays a record out. A run that is under way goes on until `now`.
    #[must_use]
    pub fn of(record: &Record, now: Option<i64>) -> Self {
        let summary = Summary::of(record);
        let clock = Clock::of(record, summary.milliseconds);
        let mut lanes: BTreeMap<usize, Lane> = BTreeMap::new();
        let mut explanation = Self {
            agent: None,
            instance: record.header.instance.clone(),
            dry_run: false,
            end: clock.at(now.unwrap_or(i64::MIN)).max(summary.milliseconds),
            first_step: None,
            last_step: None,
            timeline: Vec::new(),
            said: Vec::new(),
            moved: None,
            clock_was_set: clock.was_set,
            summary,
        };
        for stamped in record.events.iter().filter(|stamped| counts(&stamped.event)) {
            let at = clock.at(stamped.at);
            explanation.end = explanation.end.max(at);
            explanation.add(&stamped.event, at, &mut lanes);
        }
        explanation.timeline = lanes.into_values().collect();
        explanation.finish();
        explanation
    }

    fn add(&mut self, event: &Event, at: u64, lanes: &mut BTreeMap<usize, Lane>) {
        let said = |about, text: &str| Said { at, about, text: text.to_owned() };
        match event {
            Event::RunStarted { version, dry_run, .. } => {
                self.agent = Some(version.clone());
                self.dry_run = *dry_run;
            }
            Event::Notice { text } => self.said.push(said(About::Notice, text)),
            Event::Lifecycle { text } => self.said.push(said(About::Lifecycle, text)),
            Event::Heartbeat => self.said.push(said(About::Heartbeat, "the hook took a heartbeat")),
            Event::RunFailed { reason } => self.said.push(said(About::Failure, &reason.because.join(": "))),
            Event::StepWaiting { step, reason } => lane_of(lanes, *step, at).said.push(said(About::Wait, reason)),
            Event::StepRetried { step, attempt, because } => {
                lane_of(lanes, *step, at).said.push(said(About::Retry, &format!("try {attempt}, because: {because}")));
            }
            Event::StepStarted { step, label, kind, after } => {
                let lane = lane_of(lanes, *step, at);
                (lane.label, lane.kind, lane.after) = (label.clone(), kind.clone(), *after);
                (lane.began, lane.ready) = (at, lane.ready.min(at));
            }
            Event::Change { step, text, diff, applying, .. } => {
                lane_of(lanes, *step, at).changes.push(Made { at, text: text.clone(), diff: diff.clone(), applied: *applying });
            }
            Event::Traffic { step: Some(step), moved } => lane_of(lanes, *step, at).moved = Some(*moved),
            Event::Traffic { step: None, moved } => self.moved = Some(*moved),
            Event::StepFinished { step, label, ending, milliseconds, timing, reason, .. } => {
                let lane = lane_of(lanes, *step, at);
                // How long it took is measured; when it began is only the clock's word.
                lane.began = at.saturating_sub(*milliseconds);
                lane.ready = lane.began.saturating_sub(timing.locks);
                (lane.label, lane.ending, lane.ended, lane.timing) = (label.clone(), Some(*ending), at, *timing);
                lane.own = milliseconds.saturating_sub(timing.waited);
                lane.reason.clone_from(reason);
            }
            _ => {}
        }
    }

    /// What is only known once everything is.
    fn finish(&mut self) {
        let end = self.end;
        for lane in &mut self.timeline {
            lane.critical = self.summary.critical_path.steps.contains(&lane.step);
            if lane.ending.is_none() {
                lane.ended = end;
            }
        }
        let spans: Vec<(usize, u64, u64)> = self.at_work().map(|lane| (lane.step, lane.began, lane.ended)).collect();
        for lane in &mut self.timeline {
            lane.shared =
                spans.iter().any(|(step, began, ended)| *step != lane.step && *began < lane.ended && lane.began < *ended);
        }
        self.first_step = self.at_work().map(|lane| lane.ready).min();
        self.last_step = self.at_work().map(|lane| lane.ended).max();
    }

    /// The steps that had their turn.
    pub fn at_work(&self) -> impl Iterator<Item = &Lane> {
        self.timeline.iter().filter(|lane| lane.began_at_all())
    }

    /// The links of the critical path, first to last.
    pub fn path(&self) -> impl Iterator<Item = &Lane> {
        self.timeline.iter().filter(|lane| lane.critical)
    }

    /// The steps that failed, as far as they were to blame.
    pub fn failed(&self) -> impl Iterator<Item = (&Lane, &Failure)> {
        let failed = |lane: &&Lane| matches!(lane.ending, Some(Ending::Failed | Ending::FailedButAllowed));
        self.timeline.iter().filter(failed).filter_map(|lane| lane.reason.as_ref().map(|reason| (lane, reason)))
    }
}

impl Lane {
    /// How long it took once it had its locks.
    #[must_use]
    pub fn took(&self) -> u64 {
        self.ended.saturating_sub(self.began)
    }

    /// Whether it had its turn: one that was skipped or not started has none.
    #[must_use]
    pub fn began_at_all(&self) -> bool {
        !matches!(self.ending, Some(Ending::Skipped | Ending::NotStarted))
    }

    /// How often it was tried again.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.said.iter().filter(|said| said.about == About::Retry).count()
    }
}

/// The lane of this step, which begins now if it has none yet.
fn lane_of(lanes: &mut BTreeMap<usize, Lane>, step: usize, at: u64) -> &mut Lane {
    lanes.entry(step).or_insert_with(|| Lane { step, ready: at, began: at, ..Lane::default() })
}

/// Whether the run was still at it: what is written into its record afterwards is not.
fn counts(event: &Event) -> bool {
    !matches!(event, Event::RunCutShort { .. } | Event::Binary { .. })
}

/// Turns the clock's instants into milliseconds since the run began.
struct Clock {
    began: i64,
    was_set: bool,
}

impl Clock {
    fn of(record: &Record, took: u64) -> Self {
        let events = || record.events.iter().filter(|stamped| counts(&stamped.event));
        let first = events().map(|stamped| stamped.at).next().unwrap_or_default();
        let last_word = |stamped: &&Stamped| matches!(stamped.event, Event::RunFinished { .. });
        let finished = events().find(last_word).map(|stamped| stamped.at);
        // The run knows how long it took, and began before its first event: it read its playbook.
        let counted = finished.map(|finished| finished.saturating_sub(i64::try_from(took).unwrap_or(i64::MAX)));
        let was_set = counted.is_some_and(|counted| counted.abs_diff(first) > CLOCK_WAS_SET && counted > first)
            || events().zip(events().skip(1)).any(|(one, next)| next.at.saturating_add_unsigned(CLOCK_WAS_SET) < one.at);
        let began = counted.filter(|counted| *counted < first && !was_set).unwrap_or(first);
        Self { began, was_set }
    }

    fn at(&self, instant: i64) -> u64 {
        u64::try_from(instant.saturating_sub(self.began)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
