//! The plan of a dry-run: every step in the order of the playbook, printed at once when all is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::style::{Style, Tone};
use super::words::{ending, error, labelled, seconds, steps, tame, tone};
use crate::engine::event::{Ending, Event, Failure, Listener, Stamped};

/// Collects what a dry-run says.
pub struct Plan {
    diff: bool,
    style: Style,
    out: fn(&str),
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    heading: String,
    steps: BTreeMap<usize, Step>,
    notices: Vec<String>,
    failure: Option<Failure>,
}

#[derive(Default)]
struct Step {
    label: String,
    kind: String,
    ending: Option<Ending>,
    changes: Vec<(String, Option<String>)>,
    reason: Option<Failure>,
    tentative: Option<usize>,
}

impl Plan {
    pub fn new(diff: bool, style: Style, out: fn(&str)) -> Self {
        Self { diff, style, out, known: Mutex::default() }
    }

    fn draw(&self, known: &Known, milliseconds: u64) -> String {
        let mut text = format!("{}\n\n", self.style.paint(Tone::Strong, &known.heading));
        for notice in &known.notices {
            let _ = writeln!(text, "note: {}", tame(notice));
        }
        if let Some(failure) = &known.failure {
            text += &error("error", "there is no plan", failure);
        }
        for (number, step) in &known.steps {
            text += &self.step(*number, step);
        }
        text + &format!("\n{}\n", summary(known, milliseconds))
    }

    fn step(&self, number: usize, step: &Step) -> String {
        let ended = step.ending.unwrap_or(Ending::NotStarted);
        let word = match ended {
            Ending::Unchanged => "no change",
            Ending::Failed => "error",
            other => ending(other),
        };
        let mark = match ended {
            Ending::WouldChange => '~',
            Ending::Unknown => '?',
            Ending::Failed => '!',
            Ending::Skipped | Ending::NotStarted => '-',
            _ => '=',
        };
        let head = format!("{mark} {number:>2} {}: {word}", labelled(&step.label, &step.kind));
        let mut text = format!("{}\n", self.style.paint(tone(ended), &head));
        for (change, diff) in &step.changes {
            let _ = writeln!(text, "       {}", tame(change));
            if let Some(diff) = diff.as_ref().filter(|_| self.diff) {
                text += &self.style.diff(diff, "         ");
            }
        }
        if let Some(reason) = &step.reason {
            text += &self.reason(ended, reason);
        }
        if let Some(before) = step.tentative {
            let _ = writeln!(text, "       tentative: nobody can foresee what step {before} does");
        }
        text
    }

    fn reason(&self, ended: Ending, reason: &Failure) -> String {
        if ended != Ending::Failed {
            return format!("       {}\n", tame(&reason.because.join(": ")));
        }
        let drawn = error("", "", reason);
        // The step's own line is the title; what is left is indented below it.
        let mut text = String::new();
        for line in drawn.lines().skip(1).filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "     {}", self.style.paint(Tone::Bad, line));
        }
        text
    }
}

fn summary(known: &Known, milliseconds: u64) -> String {
    let count = |ending: Ending| known.steps.values().filter(|step| step.ending == Some(ending)).count();
    let (change, unknown, failed) = (count(Ending::WouldChange), count(Ending::Unknown), count(Ending::Failed));
    let took = seconds(milliseconds);
    let all = known.steps.len();
    if change + unknown + failed == 0 && known.failure.is_none() {
        return format!("nothing to do: {} checked in {took}", steps(all));
    }
    let mut parts = vec![format!("{} would change", steps(change))];
    if unknown > 0 {
        parts.push(format!("{unknown} cannot be told yet"));
    }
    if failed > 0 {
        parts.push(format!("{failed} cannot be checked"));
    }
    format!("plan: {}, of {all}; nothing was written ({took})", parts.join(", "))
}

impl Listener for Plan {
    fn hear(&self, stamped: &Stamped) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &stamped.event {
            Event::RunStarted { playbook, steps: count, .. } => {
                known.heading = format!("plan for `{}` ({})", tame(playbook), steps(*count));
            }
            Event::Notice { text } | Event::Lifecycle { text } => known.notices.push(text.clone()),
            Event::Narrowed { only } => known.notices.push(super::words::narrowed(only)),
            Event::StepStarted { step, label, kind, .. } => {
                let step = known.steps.entry(*step).or_default();
                step.label.clone_from(label);
                step.kind.clone_from(kind);
            }
            Event::Change { step, text, diff, .. } => {
                known.steps.entry(*step).or_default().changes.push((text.clone(), diff.clone()));
            }
            Event::StepFinished { step, label, ending, reason, tentative, .. } => {
                let step = known.steps.entry(*step).or_default();
                step.label.clone_from(label);
                (step.ending, step.tentative) = (Some(*ending), *tentative);
                step.reason.clone_from(reason);
            }
            Event::RunFailed { reason } => known.failure = Some(reason.clone()),
            Event::RunFinished { milliseconds, .. } => (self.out)(&self.draw(&known, *milliseconds)),
            Event::StepWaiting { .. }
            | Event::Output { .. }
            | Event::StepRetried { .. }
            | Event::RunCutShort { .. }
            | Event::Traffic { .. }
            | Event::Heartbeat
            | Event::Binary { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Timing;

    fn finished(step: usize, label: &str, ending: Ending, reason: Option<Failure>, tentative: Option<usize>) -> Event {
        Event::StepFinished {
            step,
            label: label.into(),
            ending,
            changes: 0,
            milliseconds: 1,
            timing: Timing::default(),
            reason,
            tentative,
        }
    }

    fn drawn(diff: bool, events: Vec<Event>) -> String {
        let plan = Plan::new(diff, Style::default(), |_| {});
        for event in events {
            plan.hear(&Stamped { at: 0, event });
        }
        let known = plan.known.lock().unwrap();
        plan.draw(&known, 42)
    }

    #[test]
    fn the_plan_stands_in_the_order_of_the_playbook_whatever_ended_first() {
        let change = Event::Change {
            step: 1,
            text: "write /etc/a".into(),
            diff: Some("-a\n+b\n".into()),
            applying: false,
            routine: false,
        };
        let events = vec![
            finished(2, "code", Ending::Unknown, Some(Failure::because("cannot tell before step 1 `a` has run")), Some(1)),
            Event::StepStarted { step: 1, label: "a".into(), kind: "file".into(), after: None },
            change,
            finished(1, "a", Ending::WouldChange, None, None),
        ];
        let text = drawn(true, events.clone());
        let expected = "~  1 a (file): would change\n       write /etc/a\n         -a\n         +b\n?  2 code: cannot tell\n       cannot tell before \
                        step 1 `a` has run\n       tentative: nobody can foresee what step 1 does\n\nplan: 1 step would \
                        change, 1 cannot be told yet, of 2; nothing was written (0.04 s)\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(!drawn(false, events).contains("+b"), "diffs are shown on request");
    }

    #[test]
    fn where_all_is_as_it_should_be_there_is_nothing_to_do() {
        let text = drawn(true, vec![finished(1, "a", Ending::Unchanged, None, None)]);
        assert!(text.ends_with("nothing to do: 1 step checked in 0.04 s\n"), "{text}");
    }
}
