//! Records survive what runs do not.

use super::*;
use crate::engine::event::{Ending, Teller, Timing};
use crate::secret::Redactor;
use std::sync::Arc;

fn header(run: &str) -> Header {
    Header::new(run, Some("i-1"), "boot-1", "stamp".into())
}

fn state() -> (tempfile::TempDir, StateFolder) {
    let outer = tempfile::tempdir().unwrap();
    let state = StateFolder::new(outer.path().join("state"));
    (outer, state)
}

fn started(step: usize) -> Event {
    Event::StepStarted { step, label: format!("s{step}"), kind: "file".into(), after: None }
}

fn finished(step: usize) -> Event {
    Event::StepFinished {
        step,
        label: format!("s{step}"),
        ending: Ending::Changed,
        changes: 1,
        milliseconds: 1,
        timing: Timing::default(),
        reason: None,
        tentative: None,
    }
}

fn the_end() -> Event {
    Event::RunFinished { run: "1".into(), converged: true, changed: 1, failed: 0, unknown: 0, interrupted: None, milliseconds: 3 }
}

/// Writes a record of these events.
fn write(state: &StateFolder, run: &str, events: Vec<Event>) {
    let teller = Teller::new(Redactor::new());
    let recorder = Arc::new(Recorder::begin(state, &header(run)).unwrap());
    teller.add(recorder.clone());
    for event in events {
        teller.tell(event);
    }
    assert!(recorder.trouble().is_none());
}

#[test]
fn a_record_is_read_back_as_it_was_told() {
    let (_outer, state) = state();
    let change = |diff: Option<&str>| Event::Change {
        step: 1,
        text: "write".into(),
        diff: diff.map(Into::into),
        applying: true,
        routine: false,
    };
    let output = Event::Output { step: 1, line: "noise".into() };
    write(&state, "1", vec![started(1), change(Some("-a+b")), output, finished(1), the_end()]);
    let record = newest(&state).unwrap().unwrap();
    assert_eq!(record.header, header("1"));
    let events: Vec<Event> = record.events.iter().map(|stamped| stamped.event.clone()).collect();
    assert_eq!(events, [started(1), change(None), finished(1), the_end()], "neither contents nor noise");
    assert!(record.is_finished());
}

#[test]
fn a_record_torn_at_any_byte_is_still_read() {
    let (_outer, state) = state();
    write(&state, "1", vec![started(1), finished(1), the_end()]);
    let whole = state.read("runs/000001-1.jsonl").unwrap().unwrap();
    let end_of_header = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..whole.len() {
        match Record::parse(&whole[..cut]) {
            None => assert!(cut <= end_of_header, "no record at {cut}"),
            Some(record) => {
                assert!(cut > end_of_header && !record.is_finished(), "at {cut}");
                seen.insert(record.events.len());
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_run_that_was_cut_short_is_reported_once_and_by_its_cause() {
    let (_outer, state) = state();
    write(&state, "1", vec![started(1), finished(1), started(2), started(3)]);
    write(&state, "2", vec![started(1), finished(1), the_end()]);
    // The crash tore the last line of the first one.
    let mut content = state.read("runs/000001-1.jsonl").unwrap().unwrap();
    content.truncate(content.len() - 5);
    state.write("runs/000001-1.jsonl", &content).unwrap();
    let found = mark_cut_short(&state, "boot-1").unwrap();
    let process = std::process::id();
    let expected =
        format!("run 1 was cut short in step 2 `s2`: its process ({process}) crashed or was killed; this run finishes its work");
    assert_eq!(found, [expected]);
    assert!(mark_cut_short(&state, "boot-1").unwrap().is_empty(), "marked");
    write(&state, "3", vec![started(1)]);
    let found = mark_cut_short(&state, "boot-2").unwrap();
    assert!(matches!(found.as_slice(), [one] if one.contains("restarted meanwhile")), "{found:?}");
}

#[test]
fn the_oldest_records_go_whatever_the_clock_said() {
    let (_outer, state) = state();
    // Each run begins earlier than the one before it, as after a clock that was set back.
    for run in (10..10 + KEPT + 3).rev() {
        write(&state, &run.to_string(), vec![the_end()]);
        assert_eq!(newest(&state).unwrap().unwrap().header.run, run.to_string());
    }
    let kept: Vec<String> = all(&state).unwrap().into_iter().map(|record| record.header.run).collect();
    assert_eq!((kept.len(), kept.first().map(String::as_str), kept.last().map(String::as_str)), (KEPT, Some("29"), Some("10")));
}

#[test]
fn run_ids_sort_by_time() {
    let first = new_id();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(first < new_id());
}
