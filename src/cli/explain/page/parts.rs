//! What the page's chart is made of: a row for each step with its bar and its marks, and the thread that ties the critical path.

use serde::Serialize;

use super::axis::{Scale, percent};
use crate::cli::explain::text::most;
use crate::cli::explain::why;
use crate::cli::terminal::style::Tone;
use crate::cli::terminal::words::{bytes, ending, seconds, tame, tone};
use crate::engine::event::Ending;
use crate::engine::explanation::{About, Explanation, Lane, Made, Said};

/// A name and what goes with it.
#[derive(Serialize)]
pub struct Named {
    name: String,
    text: String,
}

impl Named {
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: tame(text) }
    }
}

/// A number that is looked at first.
#[derive(Serialize)]
pub struct Figure {
    name: &'static str,
    text: String,
    part: Option<String>,
}

impl Figure {
    pub fn new(name: &'static str, text: String, part: Option<String>) -> Self {
        Self { name, text, part }
    }
}

/// An instant with something to say.
#[derive(Serialize)]
pub struct Mark {
    about: &'static str,
    x: String,
    at: String,
    text: String,
    flip: bool,
}

impl Mark {
    /// Of what is said of the run as a whole.
    pub fn of_run(said: &Said, scale: &Scale) -> Self {
        let about = match said.about {
            About::Lifecycle => "lifecycle",
            About::Heartbeat => "beat",
            About::Failure => "failure",
            _ => "notice",
        };
        Self::new(about, said, scale)
    }

    fn new(about: &'static str, said: &Said, scale: &Scale) -> Self {
        let at = format!("+{}", seconds(said.at));
        Self { about, x: scale.x(said.at), at, text: tame(&said.text), flip: scale.is_late(said.at) }
    }
}

/// A piece of the line from one link of the critical path to the next.
#[derive(Serialize)]
struct Thread {
    x: String,
    part: &'static str,
}

/// Something that a step did: waited, tried again, changed something.
#[derive(Serialize)]
struct Done {
    #[serde(skip)]
    instant: u64,
    at: String,
    text: String,
    how: Option<&'static str>,
    diff: Vec<Named>,
}

/// A step.
#[derive(Serialize)]
pub struct Row {
    number: usize,
    label: String,
    kind: String,
    ending: &'static str,
    tone: &'static str,
    spoken: String,
    critical: bool,
    began: bool,
    took: String,
    locks: String,
    waiting: String,
    own: String,
    x: String,
    width: String,
    /// Of its bar, what it waited for locks and for others, in percent.
    lock: String,
    wait: String,
    /// Where what is said of it stands.
    tip: String,
    flip: bool,
    threads: Vec<Thread>,
    marks: Vec<Mark>,
    parts: Vec<Named>,
    reason: Option<String>,
    done: Vec<Done>,
}

impl Row {
    /// All of a run.
    pub fn all(run: &Explanation, scale: &Scale) -> Vec<Self> {
        run.timeline.iter().map(|lane| Self::of(lane, run, scale)).collect()
    }

    fn of(lane: &Lane, run: &Explanation, scale: &Scale) -> Self {
        let began = lane.began_at_all();
        let ended = lane.ending.map_or("did not end", ending);
        let waited = lane.took().saturating_sub(lane.own);
        let whole = lane.ended.saturating_sub(lane.ready);
        let nothing_or = |span: u64| if span == 0 { String::new() } else { seconds(span) };
        let label = tame(&lane.label);
        let took = if began { seconds(lane.took()) } else { String::new() };
        let path = if lane.critical { ", on the critical path" } else { "" };
        let flip = scale.is_late(lane.ready);
        let tip =
            if flip { format!("right:calc(100% - {}%)", scale.x(lane.ended)) } else { format!("left:{}%", scale.x(lane.ready)) };
        Self {
            number: lane.step,
            spoken: format!("step {} {label}: {ended} {took}{path}", lane.step),
            kind: if label.split(' ').next() == Some(lane.kind.as_str()) { String::new() } else { tame(&lane.kind) },
            label,
            ending: ended,
            tone: lane.ending.map_or("bad", |ending| class(tone(ending))),
            critical: lane.critical,
            began,
            took,
            locks: nothing_or(lane.timing.locks),
            waiting: if began { nothing_or(waited) } else { String::new() },
            own: if began { seconds(lane.own) } else { String::new() },
            x: scale.x(lane.ready),
            width: scale.width(lane.ready, lane.ended),
            lock: percent(lane.timing.locks.min(whole), whole),
            wait: percent(waited.min(whole), whole),
            tip,
            flip,
            threads: threads(lane, run, scale),
            marks: lane.said.iter().map(|said| Mark::new(dot(said), said, scale)).collect(),
            parts: parts(lane, run),
            reason: reason(lane),
            done: done(lane, run.dry_run),
        }
    }
}

fn dot(said: &Said) -> &'static str {
    if said.about == About::Retry { "again" } else { "waits" }
}

/// What the style sheet calls it.
fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Change => "change",
        Tone::Unknown => "unknown",
        Tone::Bad => "bad",
        Tone::Quiet | Tone::Strong => "quiet",
    }
}

/// Failures stand above with all there is; why a step did not run stands here.
fn reason(lane: &Lane) -> Option<String> {
    let shown = !matches!(lane.ending, Some(Ending::Failed | Ending::FailedButAllowed));
    lane.reason.as_ref().filter(|_| shown).map(|reason| tame(&reason.because.join(": ")))
}

/// The pieces of the critical path's thread that cross this row: it goes down from where one link ends to where the next begins.
fn threads(lane: &Lane, run: &Explanation, scale: &Scale) -> Vec<Thread> {
    let links: Vec<&Lane> = run.path().collect();
    let crossing = links.iter().zip(links.iter().skip(1)).filter_map(|(from, to)| {
        let part = match lane.step {
            step if step == from.step => "from",
            step if step == to.step => "to",
            step if step > from.step && step < to.step => "through",
            _ => return None,
        };
        Some(Thread { x: scale.x(to.ready), part })
    });
    crossing.collect()
}

/// All numbers of a step.
fn parts(lane: &Lane, run: &Explanation) -> Vec<Named> {
    let mut parts = Vec::new();
    let mut add = |name: &str, text: String| parts.push(Named::new(name, &text));
    if !lane.began_at_all() {
        return parts;
    }
    if let Some(after) = lane.after {
        add("ready after", format!("step {after}"));
    }
    add("ready at", format!("+{}", seconds(lane.ready)));
    add("over at", format!("+{}", seconds(lane.ended)));
    add("part of the run", why::percent(lane.took(), run.summary.milliseconds));
    let timing = lane.timing;
    let waited = lane.took().saturating_sub(lane.own);
    for (name, span) in [
        ("waited for locks", timing.locks),
        ("check", timing.check),
        ("apply", timing.apply),
        ("re-check", timing.recheck),
        ("of it waiting", waited),
        ("of it own work", lane.own),
    ] {
        if span > 0 {
            add(name, seconds(span));
        }
    }
    if let Some(moved) = lane.moved {
        let amounts =
            [("received", moved.received), ("sent", moved.sent), ("read from disk", moved.read), ("written", moved.written)];
        for (name, amount) in amounts.into_iter().filter(|(_, amount)| *amount > 0) {
            add(name, most(lane.shared, &bytes(amount)));
        }
    }
    parts
}

/// All that it did, in order.
fn done(lane: &Lane, dry_run: bool) -> Vec<Done> {
    let said = lane.said.iter().map(|said| Done {
        instant: said.at,
        at: format!("+{}", seconds(said.at)),
        text: tame(&said.text),
        how: if said.about == About::Wait { Some("waits:") } else { None },
        diff: Vec::new(),
    });
    let mut done: Vec<Done> = said.chain(lane.changes.iter().map(|made| change(made, dry_run))).collect();
    done.sort_by_key(|done| done.instant);
    done
}

fn change(made: &Made, dry_run: bool) -> Done {
    let line = |line: &str| {
        let name = match line.as_bytes().first() {
            Some(b'+') => "added",
            Some(b'-') => "removed",
            Some(b'@') => "place",
            _ => "same",
        };
        Named::new(name, line)
    };
    Done {
        instant: made.at,
        at: format!("+{}", seconds(made.at)),
        text: tame(&made.text),
        how: match (made.applied, dry_run) {
            (true, _) => None,
            (false, true) => Some("would:"),
            (false, false) => Some("left as it is:"),
        },
        diff: made.diff.iter().flat_map(|diff| diff.lines()).map(line).collect(),
    }
}
