//! A run explained on a terminal: why, the critical path in numbers, the steps in time, what failed, what was said.

use std::fmt::Write as _;

use super::why;
use crate::cli::status::{outcome, title};
use crate::cli::terminal::style::{Style, Tone};
use crate::cli::terminal::words::{bytes, ending, error, seconds, tame, tone};
use crate::engine::explanation::{About, Explanation, Lane, Said};

/// How many columns the run is wide.
const WIDTH: u64 = 48;
/// A label longer than this is cut.
const LONGEST_LABEL: usize = 28;

/// Draws it.
pub fn draw(run: &Explanation, under_way: Option<&str>, style: Style) -> String {
    let mut text =
        style.paint(Tone::Strong, &tame(&format!("{}: {}", title(&run.summary), outcome(&run.summary, under_way)))) + "\n";
    let instance = run.instance.as_ref().map(|instance| format!(" on `{instance}`")).unwrap_or_default();
    let agent = run.agent.as_ref().map(|agent| format!(", agent {agent}")).unwrap_or_default();
    let looked = if run.dry_run { ", nothing was written" } else { "" };
    let _ = writeln!(text, "run {}{instance}{agent}{looked}", tame(&run.summary.run));
    text += &failures(run, style);
    let sentences = why::sentences(run);
    if !sentences.is_empty() {
        text += &heading("why it took so long", style);
        sentences.iter().for_each(|sentence| text += &wrapped(&tame(sentence)));
    }
    text += &path(run, style);
    text += &timeline(run, style);
    text += &said(run, style);
    text
}

fn heading(words: &str, style: Style) -> String {
    format!("\n{}\n", style.paint(Tone::Strong, words))
}

/// A sentence as an item, in lines that no terminal has to break.
fn wrapped(sentence: &str) -> String {
    let mut text = String::from("  -");
    let mut column = 3;
    let mut words = sentence.split(' ').peekable();
    while let Some(first) = words.next() {
        let mut word = first.to_owned();
        // A number stays with its unit.
        if first.ends_with(|last: char| last.is_ascii_digit())
            && let Some(unit) = words.next_if(|next| next.chars().count() <= 3)
        {
            word = format!("{word} {unit}");
        }
        if column + 1 + word.chars().count() > 96 {
            text += "\n   ";
            column = 3;
        }
        text.push(' ');
        text += &word;
        column += 1 + word.chars().count();
    }
    text + "\n"
}

fn failures(run: &Explanation, style: Style) -> String {
    let mut text = String::new();
    if let Some(failure) = &run.summary.failure {
        text += &format!("\n{}", style.paint(Tone::Bad, &error("error", "the run did not come to its steps", failure)));
    }
    for (lane, reason) in run.failed() {
        let kind = if lane.kind.is_empty() { String::new() } else { format!(" ({})", lane.kind) };
        let name = format!("step {} `{}`{kind} is not done", lane.step, lane.label);
        text += &format!("\n{}", style.paint(Tone::Bad, &error("error", &name, reason)));
    }
    text
}

fn label(lane: &Lane, width: usize) -> String {
    let label = tame(&lane.label);
    let cut: String = label.chars().take(width).collect();
    if cut == label { format!("{cut:width$}") } else { cut.chars().take(width.saturating_sub(1)).chain(['…']).collect() }
}

fn width_of<'l>(lanes: impl Iterator<Item = &'l Lane>) -> usize {
    lanes.map(|lane| tame(&lane.label).chars().count()).max().unwrap_or(0).min(LONGEST_LABEL)
}

fn path(run: &Explanation, style: Style) -> String {
    if run.path().next().is_none() {
        return String::new();
    }
    let width = width_of(run.path());
    let mut text = heading("the critical path", style);
    let _ =
        writeln!(text, "       {:width$} {:>8} {:>8} {:>8} {:>8} {:>9}", "", "took", "locks", "waiting", "own work", "received");
    for lane in run.path() {
        let waiting = seconds(lane.took().saturating_sub(lane.own));
        let locks = if lane.timing.locks == 0 { "-".to_owned() } else { seconds(lane.timing.locks) };
        let received = lane.moved.map_or("-".to_owned(), |moved| most(lane.shared, &bytes(moved.received)));
        let (took, own) = (seconds(lane.took()), seconds(lane.own));
        let share = why::percent(lane.took(), run.summary.milliseconds);
        let name = label(lane, width);
        let _ = writeln!(text, "  {:>4} {name} {took:>8} {locks:>8} {waiting:>8} {own:>8} {received:>9}  {share:>6}", lane.step);
    }
    if run.path().any(|lane| lane.shared && lane.moved.is_some()) {
        text += "       (≤: other steps were at work too, and some of it is theirs)\n";
    }
    text
}

/// An amount that is a bound where others had a part in it.
pub fn most(shared: bool, amount: &str) -> String {
    if shared { format!("≤ {amount}") } else { amount.to_owned() }
}

fn timeline(run: &Explanation, style: Style) -> String {
    if run.timeline.is_empty() {
        return String::new();
    }
    let width = width_of(run.timeline.iter());
    let mut text = heading("the steps in time", style);
    let _ = writeln!(text, "  █ on the critical path  ▒ beside it  ░ waiting for a lock; {} in all", seconds(run.end));
    for lane in &run.timeline {
        let bar: String = (0..WIDTH).map(|column| cell(lane, column, run.end)).collect();
        let bar = style.paint(if lane.critical { Tone::Strong } else { Tone::Quiet }, &bar);
        let ended = lane.ending.map_or("did not end", ending);
        let ended = style.paint(lane.ending.map_or(Tone::Bad, tone), &format!("{ended:<12}"));
        let _ =
            writeln!(text, "  {:>4} {} |{bar}| {:>8}  {}", lane.step, label(lane, width), seconds(lane.took()), ended.trim_end());
        lane.said.iter().for_each(|said| text += &remark(said));
        for made in &lane.changes {
            let how = if made.applied { "" } else { "left: " };
            let _ = writeln!(text, "         {how}{}", tame(&made.text));
        }
    }
    text
}

/// A wait or a retry of a step; which lock it was is told with the step that held it.
fn remark(said: &Said) -> String {
    let word = if said.about == About::Retry { "" } else { "waits: " };
    format!("         +{} {word}{}\n", seconds(said.at), tame(&said.text))
}

/// One column of a step's bar. What was at work at all is seen, however short it was.
fn cell(lane: &Lane, column: u64, end: u64) -> char {
    let end = end.max(1);
    let of = |instant: u64| (instant.saturating_mul(WIDTH) / end).min(WIDTH - 1);
    let last = lane.ended.max(lane.began).saturating_sub(1).max(lane.began);
    if !lane.began_at_all() {
        return if column == of(lane.ended) { '·' } else { ' ' };
    }
    if (of(lane.began)..=of(last)).contains(&column) {
        if lane.critical { '█' } else { '▒' }
    } else if lane.timing.locks > 0 && (of(lane.ready)..of(lane.began)).contains(&column) {
        '░'
    } else {
        ' '
    }
}

fn said(run: &Explanation, style: Style) -> String {
    if run.said.is_empty() {
        return String::new();
    }
    let mut text = heading("what was said", style);
    for said in run.said.iter().filter(|said| said.about != About::Heartbeat) {
        let word = match said.about {
            About::Lifecycle => "lifecycle",
            About::Failure => "failure",
            _ => "note",
        };
        let _ = writeln!(text, "  {:>9}  {word}: {}", format!("+{}", seconds(said.at)), tame(&said.text));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Ending, Event, Failure, Stamped, Timing};
    use crate::engine::record::{Header, Record};

    fn run() -> Explanation {
        let step = |at, step, after, took: u64, locks, ending| {
            let label = if step == 2 { "evil \x1b[2Jname".to_owned() } else { "code".to_owned() };
            let timing = Timing { locks, waited: took / 2, ..Timing::default() };
            let reason = (ending == Ending::Failed)
                .then(|| Failure { last_lines: vec!["fatal: no".into()], ..Failure::because("no such branch") });
            let began = Event::StepStarted { step, label: label.clone(), kind: "git".into(), after };
            let over =
                Event::StepFinished { step, label, ending, changes: 0, milliseconds: took, timing, reason, tentative: None };
            [Stamped { at, event: began }, Stamped { at: at + i64::try_from(took).unwrap(), event: over }]
        };
        let mut events = Vec::from(step(0, 1, None, 4_000, 0, Ending::Changed));
        events.extend(step(4_000, 2, Some(1), 4_000, 2_000, Ending::Failed));
        events.push(Stamped { at: 8_000, event: Event::Lifecycle { text: "decided: ABANDON".into() } });
        Explanation::of(&Record { header: Header::new("r", None, "b", String::new()), events }, None)
    }

    #[test]
    fn a_run_is_drawn_in_time() {
        let text = draw(&run(), None, Style::default());
        let full = "█".repeat(24);
        assert!(text.contains(&format!("     1 code      |{full}{}|    4.0 s  changed\n", " ".repeat(24))), "{text}");
        let waiting = format!("{}{}{full}", " ".repeat(12), "░".repeat(12));
        assert!(text.contains(&format!("     2 evil name |{waiting}|    4.0 s  failed\n")), "{text}");
        assert!(text.contains("     2 evil name    4.0 s    2.0 s    2.0 s    2.0 s         -    50 %\n"), "{text}");
        assert!(text.contains("     +8.0 s  lifecycle: decided: ABANDON\n"), "{text}");
        let (why, evidence) = (text.find("why it took so long").unwrap(), text.find("    | fatal: no\n").unwrap());
        assert!(evidence < why, "evidence first: {text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert!(draw(&run(), None, Style { colour: true }).contains("\x1b[1m"));
    }

    #[test]
    fn long_labels_are_cut_and_short_steps_are_seen() {
        let lane = Lane { label: "x".repeat(40), ending: Some(Ending::Changed), began: 5, ready: 5, ended: 6, ..Lane::default() };
        assert_eq!(label(&lane, 10), format!("{}…", "x".repeat(9)));
        let bar: String = (0..WIDTH).map(|column| cell(&lane, column, 1_000_000)).collect();
        assert_eq!(bar.trim_end(), "▒");
        let never = Lane { ending: Some(Ending::NotStarted), began: 100, ended: 100, ..Lane::default() };
        assert_eq!((0..WIDTH).map(|column| cell(&never, column, 100)).collect::<String>().trim_start(), "·");
        assert_eq!(
            (0..WIDTH).map(|column| cell(&never, column, 0)).collect::<String>().trim_start(),
            "·",
            "a run that took no time"
        );
    }

    #[test]
    fn sentences_are_broken_at_words() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().all(|line| line.len() <= 96) && text.lines().count() == 3, "{text}");
        let text = wrapped(&format!("{} 23.4 s more", "x".repeat(86)));
        assert_eq!(text, format!("  - {}\n    23.4 s more\n", "x".repeat(86)), "a number stays with its unit");
    }
}
