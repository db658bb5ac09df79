//! Why a run took so long, in sentences: the same ones for the terminal and for the page.

use crate::cli::terminal::words::{bytes, seconds, steps};
use crate::engine::event::Ending;
use crate::engine::explanation::{About, Explanation, Lane};
use crate::host::traffic::Traffic;

/// Gaps below this are no reason for anything.
const WORTH_A_WORD: u64 = 1_000;

/// The sentences, the most important first.
pub fn sentences(run: &Explanation) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(whole(run));
    said.extend(longest(run));
    said.extend(locks(run));
    said.extend(retries(run));
    said.extend(gaps(run));
    said.extend(run.moved.map(|moved| format!("meanwhile the machine {}, whoever did it", moved_words(moved))));
    said.extend(unfinished(run));
    if run.clock_was_set {
        said.push("the machine's clock was set during the run: spans are measured and hold, instants may be off".to_owned());
    }
    said
}

/// A part of the run, in percent.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    if tenths >= 100 { format!("{} %", (tenths + 5) / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

/// What the machine moved.
pub fn moved_words(moved: Traffic) -> String {
    format!(
        "received {} and sent {} over the network, read {} from disk and wrote {} to it",
        bytes(moved.received),
        bytes(moved.sent),
        bytes(moved.read),
        bytes(moved.written)
    )
}

/// A step's number and label.
fn name(lane: &Lane) -> String {
    format!("step {} `{}`", lane.step, lane.label)
}

fn whole(run: &Explanation) -> Option<String> {
    let path = &run.summary.critical_path;
    let share = percent(path.milliseconds.min(run.summary.milliseconds), run.summary.milliseconds);
    let own = percent(path.own_milliseconds, run.summary.milliseconds);
    let took = seconds(path.milliseconds);
    match path.steps.as_slice() {
        [] => None,
        [one] => {
            Some(format!("step {one} alone decided how long it took: {took}, {share} of the run (the agent's own work: {own})"))
        }
        several => Some(format!(
            "a chain of {} decided how long it took, each waiting for the one before: {took}, {share} of the run (the agent's own \
             work: {own}); making any of them faster makes the run faster",
            steps(several.len())
        )),
    }
}

fn longest(run: &Explanation) -> Option<String> {
    let lane = run.path().max_by_key(|lane| lane.took())?;
    let took = lane.took();
    if took < WORTH_A_WORD / 10 {
        return None;
    }
    let waited = took.saturating_sub(lane.own);
    let share = percent(took, run.summary.milliseconds);
    Some(format!(
        "the longest of them is {}: {} ({share} of the run), of which {} was waiting for its programs, the network or the time to look again",
        name(lane),
        seconds(took),
        seconds(waited)
    ))
}

fn locks(run: &Explanation) -> Option<String> {
    let waited = || run.at_work().filter(|lane| lane.timing.locks >= 100);
    let worst = waited().max_by_key(|lane| lane.timing.locks)?;
    let total: u64 = waited().map(|lane| lane.timing.locks).sum();
    let why = worst.said.iter().find(|said| said.about == About::Wait && said.text.starts_with("lock "));
    let why = why.map_or("a place at the workbench", |said| said.text.as_str());
    let on_path = match waited().filter(|lane| lane.critical).count() {
        0 => "none".to_owned(),
        some => some.to_string(),
    };
    Some(format!(
        "{} waited {} for locks, {on_path} of them on that path; the longest was {}: {} for {why}",
        steps(waited().count()),
        seconds(total),
        name(worst),
        seconds(worst.timing.locks)
    ))
}

fn retries(run: &Explanation) -> Option<String> {
    let tried = || run.timeline.iter().filter(|lane| lane.retries() > 0);
    let total: usize = tried().map(Lane::retries).sum();
    let names: Vec<String> = tried().map(name).collect();
    let times = if total == 1 { "once".to_owned() } else { format!("{total} times") };
    (total > 0).then(|| format!("something was tried again {times}: in {}", names.join(", ")))
}

/// What lies before the first step and after the last.
fn gaps(run: &Explanation) -> Option<String> {
    let before = run.first_step.unwrap_or(0);
    let after = run.end.saturating_sub(run.last_step.unwrap_or(run.end));
    let mut parts = Vec::new();
    if before >= WORTH_A_WORD {
        parts.push(format!("{} passed before the first step (the playbook, the instance, its secrets)", seconds(before)));
    }
    if after >= WORTH_A_WORD && run.last_step.is_some() {
        parts.push(format!("{} after the last one (logs, the verdict)", seconds(after)));
    }
    if parts.is_empty() { None } else { Some(parts.join(", and ")) }
}

fn unfinished(run: &Explanation) -> Option<String> {
    let open: Vec<String> = run.timeline.iter().filter(|lane| lane.ending.is_none()).map(name).collect();
    let left = run.timeline.iter().filter(|lane| lane.ending == Some(Ending::NotStarted)).count();
    match (open.is_empty(), left) {
        (false, _) => Some(format!("{} did not end: what is known of it ends with the record", open.join(" and "))),
        (true, 0) => None,
        (true, left) => Some(format!("{} never began", steps(left))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Timing;
    use crate::engine::explanation::Said;
    use crate::engine::record::{Header, Record};

    fn empty() -> Explanation {
        Explanation::of(&Record { header: Header::new("r", None, "b", String::new()), events: Vec::new() }, None)
    }

    #[test]
    fn nothing_is_said_of_a_run_that_did_nothing() {
        assert_eq!(sentences(&empty()), [""; 0]);
    }

    #[test]
    fn parts_are_readable() {
        assert_eq!([percent(1, 3), percent(1, 100), percent(0, 0), percent(7, 7)], ["33 %", "1.0 %", "0.0 %", "100 %"]);
    }

    #[test]
    fn the_sentences_name_who_held_it_up() {
        let mut run = empty();
        run.summary.milliseconds = 10_000;
        run.summary.critical_path.steps = vec![1, 2];
        (run.summary.critical_path.milliseconds, run.summary.critical_path.own_milliseconds) = (9_000, 150);
        let held = Said { at: 0, about: About::Wait, text: "lock `packages`, which step 1 holds".into() };
        let again = Said { at: 0, about: About::Retry, text: "try 2, because: reset".into() };
        let lane = |step, began, ended, locks, said| Lane {
            step,
            label: format!("s{step}"),
            ending: Some(Ending::Changed),
            critical: true,
            began,
            ended,
            timing: Timing { locks, ..Timing::default() },
            said,
            ..Lane::default()
        };
        run.timeline = vec![lane(1, 1_500, 8_000, 0, vec![again]), lane(2, 8_000, 9_000, 6_000, vec![held])];
        (run.first_step, run.last_step, run.end) = (Some(1_500), Some(9_000), 10_000);
        run.moved = Some(Traffic { received: 5_000_000, ..Traffic::default() });
        run.clock_was_set = true;
        let text = sentences(&run).join("\n");
        for part in [
            "a chain of 2 steps decided how long it took, each waiting for the one before: 9.0 s, 90 % of the run (the agent's own work: 1.5 %)",
            "the longest of them is step 1 `s1`: 6.5 s (65 % of the run), of which 6.5 s was waiting",
            "1 step waited 6.0 s for locks, 1 of them on that path; the longest was step 2 `s2`: 6.0 s for lock `packages`, which step 1 holds",
            "something was tried again once: in step 1 `s1`",
            "1.5 s passed before the first step (the playbook, the instance, its secrets), and 1.0 s after the last one",
            "meanwhile the machine received 5.0 MB and sent 0 B",
            "clock was set",
        ] {
            assert!(text.contains(part), "`{part}` is not in:\n{text}");
        }
    }
}
