//! What a person and a log file see of a run.

use super::*;
use crate::engine::event::Timing;

thread_local! {
    static SEEN: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

fn see(text: &str) {
    SEEN.with(|seen| seen.borrow_mut().push_str(text));
}

/// What is on the screen after these events. Drawn from this thread only, so the screen is ours.
fn seen(live: bool, verbose: bool, events: Vec<Event>) -> String {
    SEEN.with(|seen| seen.borrow_mut().clear());
    let screen = Screen::new(live, Style::default(), || 40, see);
    let shared = Arc::new(Shared { screen, state: Mutex::default(), over: Condvar::new() });
    let progress = Progress { shared, diff: false, verbose };
    for event in events {
        progress.hear(&Stamped { at: 0, event });
    }
    SEEN.with(|seen| seen.borrow().clone())
}

fn started(step: usize) -> Event {
    Event::StepStarted { step, label: format!("s{step}"), kind: "git".into(), after: None }
}

fn finished(step: usize, ending: Ending, reason: Option<Failure>) -> Event {
    let (label, timing) = (format!("s{step}"), Timing::default());
    Event::StepFinished { step, label, ending, changes: 0, milliseconds: 2100, timing, reason, tentative: None }
}

fn the_end() -> Event {
    Event::RunFinished {
        run: "r".into(),
        converged: true,
        changed: 0,
        failed: 0,
        unknown: 0,
        interrupted: None,
        milliseconds: 400,
    }
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let change = Event::Change { step: 1, text: "clone".into(), diff: Some("+x".into()), applying: true, routine: false };
    let output = Event::Output { step: 1, line: "\x1b[31mnoise".into() };
    let events = vec![started(1), change, output, finished(1, Ending::Changed, None), the_end()];
    let expected = "   1 clone\n   1 s1: changed (2.1 s)\ndone: 1 of 1 step changed in 0.4 s\n";
    assert_eq!(seen(false, false, events.clone()), expected);
    assert!(seen(false, true, events).contains("   1 | noise\n"));
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let events = vec![finished(1, Ending::Unchanged, None), finished(2, Ending::Skipped, None), the_end()];
    assert!(seen(false, false, events).ends_with("nothing to do: 2 steps checked in 0.4 s\n"));
}

#[test]
fn a_failure_is_told_in_full() {
    let reason = Failure { place: Some("p.yaml:3:1".into()), ..Failure::because("no such branch") };
    let events = vec![
        started(1),
        finished(1, Ending::Failed, Some(reason)),
        finished(2, Ending::NotStarted, Some(Failure::because("step 1 `s1` failed"))),
        the_end(),
    ];
    let text = seen(false, false, events);
    assert!(text.contains("error: step 1 `s1` (git) is not done\n  where:   p.yaml:3:1\n  because: no such branch\n"), "{text}");
    assert!(text.ends_with("failed: 1 step of 2 failed, 1 not started, in 0.4 s\n"), "{text}");
}

#[test]
fn live_lines_are_erased_before_the_next_drawing_and_never_wrap() {
    let long = Event::Output { step: 1, line: "x".repeat(200) };
    let text = seen(true, false, vec![started(1), long, Event::Notice { text: "n".into() }, finished(1, Ending::Changed, None)]);
    let live: Vec<&str> = text.lines().filter(|line| line.contains(" s1 ")).collect();
    assert!(!live.is_empty() && live.iter().all(|line| line.chars().count() <= 39), "{live:?}");
    assert!(text.contains("\x1b[1A\x1b[J   1 s1: changed"), "{text:?}");
}
