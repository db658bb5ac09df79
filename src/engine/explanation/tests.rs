//! A record laid out in time, whatever state it is in.

use super::*;
use crate::engine::record::Header;
use crate::engine::summary::Outcome;

fn record(events: Vec<(i64, Event)>) -> Record {
    let events = events.into_iter().map(|(at, event)| Stamped { at, event }).collect();
    Record { header: Header::new("r", Some("i-1"), "b", String::new()), events }
}

fn begun() -> Event {
    Event::RunStarted {
        run: "r".into(),
        playbook: "shop".into(),
        playbook_digest: "d".into(),
        version: "0.1.0".into(),
        trigger: "boot".into(),
        dry_run: false,
        steps: 3,
    }
}

fn started(step: usize, after: Option<usize>) -> Event {
    Event::StepStarted { step, label: format!("s{step}"), kind: "file".into(), after }
}

fn ended(step: usize, milliseconds: u64, locks: u64, waited: u64, ending: Ending) -> Event {
    let timing = Timing { locks, waited, ..Timing::default() };
    let reason = (ending == Ending::Failed).then(|| Failure::because("no such branch"));
    Event::StepFinished { step, label: format!("s{step}"), ending, changes: 1, milliseconds, timing, reason, tentative: None }
}

fn over(milliseconds: u64) -> Event {
    let run = "r".into();
    Event::RunFinished { run, converged: true, changed: 2, failed: 0, unknown: 0, interrupted: None, milliseconds }
}

#[test]
fn each_step_stands_where_it_waited_and_worked() {
    let moved = Traffic { received: 5, ..Traffic::default() };
    let explained = Explanation::of(
        &record(vec![
            (1_000, begun()),
            (1_100, started(1, None)),
            (1_100, Event::StepWaiting { step: 2, reason: "lock `packages`, which step 1 holds".into() }),
            (1_500, Event::StepRetried { step: 1, attempt: 2, because: "reset".into() }),
            (1_600, Event::Change { step: 1, text: "install it".into(), diff: None, applying: true, routine: false }),
            (2_100, Event::Traffic { step: Some(1), moved }),
            (2_100, ended(1, 1_000, 0, 900, Ending::Changed)),
            (2_100, started(2, None)),
            (2_400, ended(2, 300, 1_000, 0, Ending::Unchanged)),
            (2_400, ended(3, 0, 0, 0, Ending::Skipped)),
            (2_500, over(1_700)),
            (3_000, Event::Lifecycle { text: "told".into() }),
            (9_000, Event::Binary { digest: "b".into() }),
        ]),
        None,
    );
    // It began 200 ms before its first event; what follows its last word counts, what is no part of it does not.
    assert_eq!((explained.end, explained.first_step, explained.last_step), (2_200, Some(300), Some(1_600)));
    let spans: Vec<_> = explained.timeline.iter().map(|lane| (lane.step, lane.ready, lane.began, lane.ended)).collect();
    assert_eq!(spans, [(1, 300, 300, 1_300), (2, 300, 1_300, 1_600), (3, 1_600, 1_600, 1_600)]);
    let lane = &explained.timeline[0];
    assert_eq!((lane.own, lane.retries(), lane.moved, lane.shared), (100, 1, Some(moved), false));
    assert_eq!(lane.changes, [Made { at: 800, text: "install it".into(), diff: None, applied: true }]);
    assert!(explained.timeline[1].said[0].text.starts_with("lock `packages`"));
    assert_eq!(explained.said, [Said { at: 2_200, about: About::Lifecycle, text: "told".into() }]);
    assert_eq!((explained.at_work().count(), explained.clock_was_set), (2, false));
}

#[test]
fn what_moved_while_others_were_at_work_is_not_one_steps_own() {
    let both = vec![
        (0, started(1, None)),
        (0, started(2, None)),
        (50, ended(1, 50, 0, 0, Ending::Changed)),
        (60, ended(2, 60, 0, 0, Ending::Changed)),
        (60, started(3, Some(2))),
        (90, ended(3, 30, 0, 0, Ending::Changed)),
    ];
    let explained = Explanation::of(&record(both), None);
    assert_eq!(explained.timeline.iter().map(|lane| lane.shared).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(explained.path().map(|lane| lane.step).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_run_without_a_last_word_goes_to_where_its_record_ends_or_until_now() {
    let events = || vec![(1_000, begun()), (1_000, started(1, None)), (1_400, started(2, None))];
    let explained = Explanation::of(&record(events()), None);
    assert_eq!((explained.end, explained.timeline[1].took()), (400, 0));
    let because = "its process was killed".to_owned();
    let mut marked = events();
    marked.push((99_000, Event::RunCutShort { run: "r".into(), because: because.clone() }));
    let explained = Explanation::of(&record(marked), None);
    assert_eq!((explained.end, explained.summary.outcome), (400, Outcome::CutShort { because: Some(because) }));
    let explained = Explanation::of(&record(events()), Some(6_000));
    assert_eq!((explained.end, explained.timeline[0].took(), explained.timeline[0].ending), (5_000, 5_000, None));
}

#[test]
fn a_record_of_anything_is_explained() {
    let explained = Explanation::of(&record(Vec::new()), None);
    assert_eq!((explained.end, explained.timeline.len(), explained.first_step), (0, 0, None));
    let reason = Failure::because("unknown key");
    let refused = vec![(5, begun()), (5, Event::RunFailed { reason }), (5, over(0))];
    let explained = Explanation::of(&record(refused), None);
    assert_eq!((explained.end, explained.said[0].about, explained.said[0].text.as_str()), (0, About::Failure, "unknown key"));
    // Written by an agent that knew neither what made a step ready nor what moved.
    let line = r#"{"at":7,"event":"step_started","step":1,"label":"a","kind":"file"}"#;
    let old = format!("{}\n{line}\n{{\"at\":8,\"event\":\"of tomorrow\"}}\n", r#"{"at":5,"event":"notice","text":"x"}"#);
    let explained = Explanation::of(&Record::of_events(old.as_bytes()).unwrap(), None);
    assert_eq!((explained.timeline[0].after, explained.timeline[0].began, explained.said.len()), (None, 2, 1));
    assert!(Record::of_events(b"no events\n").is_none());
}

#[test]
fn a_clock_that_is_set_meanwhile_is_noticed() {
    let jump = |to: i64| vec![(100_000, begun()), (to, started(1, None)), (to + 500, over(1_000))];
    assert!(Explanation::of(&record(jump(200_000)), None).clock_was_set, "forth");
    assert!(Explanation::of(&record(jump(5_000)), None).clock_was_set, "back");
    assert!(!Explanation::of(&record(jump(100_400)), None).clock_was_set);
}
