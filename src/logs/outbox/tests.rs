use rand::RngExt as _;
use serde_json::Value;

use super::*;
use crate::logs::limits::{LONGEST_EVENT, MOST_BYTES, MOST_EVENTS};

const NOW: i64 = 1_700_000_000_000;

fn to(stream: &str) -> Destination {
    Destination { group: "g".to_owned(), stream: stream.to_owned(), days: Some(7), tags: BTreeMap::new() }
}

fn outbox(budget: usize) -> Outbox {
    Outbox::new(Limits { budget, linger: Duration::from_secs(1) })
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

/// Instants and messages of a request.
fn events(body: &[u8]) -> Vec<(i64, String)> {
    let request: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(request["logGroupName"], "g");
    let all = request["logEvents"].as_array().unwrap();
    all.iter().map(|event| (event["timestamp"].as_i64().unwrap(), event["message"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn whatever_comes_every_request_keeps_every_limit_and_nothing_is_lost() {
    let mut random = rand::rng();
    for most in [1, 100, 5_000, 300_000, LONGEST_EVENT] {
        let outbox = outbox(usize::MAX);
        let source = outbox.register(&to("s"), 0);
        let count = (4_000_000 / (most + 26)).clamp(5, 25_000);
        let mut pushed = Vec::new();
        for number in 0..count {
            let at = NOW - random.random_range(0..3 * 86_400_000);
            let text = format!("{number}{}", "\"x\\".repeat(random.random_range(0..=most / 3)));
            let text = text.get(..text.len().min(LONGEST_EVENT)).unwrap().to_owned();
            outbox.intake(source).push(at, &text, number as u64 + 1);
            pushed.push((at, text));
        }
        outbox.seal_all();
        let mut shipped = Vec::new();
        while let Some(batch) = outbox.try_next(Instant::now()) {
            let sent = events(&batch.body());
            assert_eq!(sent.len(), batch.len());
            assert!(sent.len() <= MOST_EVENTS && sent.is_sorted_by_key(|(at, _)| *at));
            assert!(sent.iter().map(|(_, text)| text.len() + 26).sum::<usize>() <= MOST_BYTES);
            assert!(sent[sent.len() - 1].0 - sent[0].0 < 86_400_000);
            let middle = sent.len() / 2;
            assert_eq!(events(&batch.part(middle..sent.len(), None)), sent[middle..]);
            assert_eq!(events(&batch.part(0..1, Some(7))), [(7, sent[0].1.clone())]);
            shipped.extend(sent);
            outbox.acknowledge(batch);
        }
        shipped.sort();
        pushed.sort();
        assert!(shipped == pushed, "lines of up to {most} bytes are lost or changed");
        assert_eq!((outbox.acknowledged(source), outbox.used()), (count as u64, 0));
    }
}

#[test]
fn requests_are_as_full_as_they_may_be() {
    let outbox = outbox(usize::MAX);
    let source = outbox.register(&to("s"), 0);
    let mut intake = outbox.intake(source);
    for mark in 1..=25_000 {
        intake.push(NOW, "x", mark);
    }
    drop(intake);
    outbox.seal_all();
    let send = || outbox.try_next(Instant::now()).map(|batch| (batch.len(), outbox.acknowledge(batch)).0);
    let sizes: Vec<usize> = std::iter::from_fn(send).collect();
    assert_eq!(sizes, [10_000, 10_000, 5_000]);
}

#[test]
fn a_well_filled_batch_ends_with_an_instant() {
    let outbox = outbox(usize::MAX);
    let source = outbox.register(&to("s"), 0);
    for chunk in 0..4 {
        let mut intake = outbox.intake(source);
        for _ in 0..1_500 {
            intake.push(NOW + chunk, &"x".repeat(200), 1);
        }
    }
    let now = Instant::now();
    let first = outbox.try_next(now).unwrap();
    assert_eq!((first.len(), first.at(first.len() - 1)), (4_500, Some(NOW + 2)), "not in the middle of the fourth");
}

#[test]
fn a_batch_lingers_for_company_and_then_goes() {
    let outbox = outbox(1 << 20);
    let source = outbox.register(&to("s"), 10);
    outbox.intake(source).push(NOW, "one", 20);
    assert!(outbox.try_next(Instant::now()).is_none());
    outbox.intake(source).push(NOW, "two", 30);
    let batch = outbox.try_next(later()).unwrap();
    assert_eq!((batch.len(), outbox.acknowledged(source)), (2, 10));
    outbox.intake(source).push(NOW, "three", 40);
    assert!(outbox.try_next(later()).is_none(), "while one is on its way, the next one grows");
    outbox.acknowledge(batch);
    assert_eq!(outbox.acknowledged(source), 30);
    let batch = outbox.try_next(later()).unwrap();
    outbox.acknowledge(batch);
    assert_eq!((outbox.acknowledged(source), outbox.is_idle()), (40, true));
}

#[test]
fn what_failed_goes_first_and_not_before_its_time() {
    let outbox = outbox(1 << 20);
    let source = outbox.register(&to("s"), 0);
    outbox.intake(source).push(NOW, "one", 1);
    outbox.seal_all();
    outbox.intake(source).push(NOW, "two", 2);
    outbox.seal_all();
    let now = Instant::now();
    let first = outbox.try_next(now).unwrap();
    let then = now + Duration::from_secs(5);
    outbox.give_back(first, then);
    assert!(outbox.try_next(now).is_none());
    let first = outbox.try_next(then).unwrap();
    assert_eq!(events(&first.body()), [(NOW, "one".to_owned())]);
    outbox.acknowledge(first);
    assert_eq!(outbox.acknowledged(source), 1);
    assert_eq!(events(&outbox.try_next(now).unwrap().body()), [(NOW, "two".to_owned())]);
}

#[test]
fn a_mark_counts_when_all_before_it_is_stored() {
    let outbox = outbox(1 << 20);
    let source = outbox.register(&to("s"), 0);
    for mark in 1..=3 {
        outbox.intake(source).push(NOW + i64::try_from(mark).unwrap(), "x", mark);
        outbox.seal_all();
    }
    let now = Instant::now();
    let (first, second) = (outbox.try_next(now).unwrap(), outbox.try_next(now).unwrap());
    outbox.acknowledge(second);
    assert_eq!(outbox.acknowledged(source), 0);
    outbox.acknowledge(first);
    assert_eq!(outbox.acknowledged(source), 2);
    outbox.intake(source).skip(9);
    assert_eq!(outbox.acknowledged(source), 2, "what is skipped waits for what is before it");
    outbox.retire(source);
    outbox.acknowledge(outbox.try_next(now).unwrap());
    assert_eq!(outbox.acknowledged(source), u64::MAX, "retired and forgotten");
}

#[test]
fn requests_with_an_instant_in_common_go_one_after_the_other() {
    let outbox = outbox(1 << 20);
    let source = outbox.register(&to("s"), 0);
    for (mark, at) in [(1, NOW), (2, NOW), (3, NOW + 1), (4, NOW + 2)] {
        outbox.intake(source).push(at, "x", mark);
        outbox.seal_all();
    }
    let now = Instant::now();
    let first = outbox.try_next(now).unwrap();
    assert!(outbox.try_next(now).is_none(), "the next has the same instant");
    outbox.acknowledge(first);
    let (_second, _third) = (outbox.try_next(now).unwrap(), outbox.try_next(now).unwrap());
}

#[test]
fn when_the_budget_is_used_up_readers_wait_and_the_largest_batch_goes() {
    let outbox = outbox(10_000);
    let (small, large) = (outbox.register(&to("small"), 0), outbox.register(&to("large"), 0));
    outbox.intake(small).push(NOW, "x", 1);
    outbox.intake(large).push(NOW, &"x".repeat(9_000), 1);
    assert!(outbox.has_room());
    assert!(outbox.try_next(Instant::now()).is_none());
    outbox.intake(large).push(NOW, &"x".repeat(2_000), 2);
    assert!(!outbox.has_room() && !outbox.wait_for_room(Duration::from_millis(5)));
    let batch = outbox.try_next(Instant::now()).unwrap();
    assert_eq!((batch.to().stream.as_str(), batch.len()), ("large", 2));
    assert!(outbox.try_next(Instant::now()).is_none(), "the small one may grow meanwhile");
    outbox.acknowledge(batch);
    assert!(outbox.wait_for_room(Duration::ZERO) && !outbox.is_idle());
}

#[test]
fn a_flush_waits_for_what_was_there_and_for_nothing_else() {
    let outbox = outbox(1 << 20);
    let source = outbox.register(&to("s"), 0);
    outbox.intake(source).push(NOW, "before", 1);
    let (asking, changes) = (outbox.clone(), outbox.changes());
    let flush = std::thread::spawn(move || asking.flush(Duration::from_secs(20)));
    let batch = outbox.next_batch().unwrap();
    outbox.intake(source).push(NOW, "meanwhile", 2);
    outbox.acknowledge(batch);
    assert!(flush.join().unwrap() && outbox.changes() > changes);
    assert!(!outbox.flush(Duration::from_millis(5)), "nobody sends it");
}

#[test]
fn what_has_no_place_makes_nobody_write_places_down() {
    let outbox = outbox(1 << 20);
    let (file, own) = (outbox.register(&to("s"), 0), outbox.register_passing(&to("s")));
    for (source, is_news) in [(own, false), (file, true)] {
        let changes = outbox.changes();
        outbox.intake(source).push(NOW, "x", 1);
        outbox.seal_all();
        outbox.acknowledge(outbox.next_batch().unwrap());
        assert_eq!((outbox.changes() > changes, outbox.acknowledged(source)), (is_news, 1));
    }
}

#[test]
fn readers_and_senders_on_their_own_threads_lose_nothing() {
    let outbox = outbox(64 << 10);
    let sources: Vec<SourceId> = (0..8).map(|number| outbox.register(&to(&format!("{}", number % 3)), 0)).collect();
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                let (mut count, mut turn) = (0, 0_u32);
                while let Some(batch) = outbox.next_batch() {
                    turn += 1;
                    if turn.is_multiple_of(5) {
                        outbox.give_back(batch, Instant::now());
                    } else {
                        count += batch.len();
                        outbox.acknowledge(batch);
                    }
                }
                count
            })
        })
        .collect();
    for round in 0..2_000_u64 {
        for source in &sources {
            assert!(outbox.wait_for_room(Duration::from_secs(20)), "stuck");
            outbox.intake(*source).push(NOW, "a line of some length, as they are", round + 1);
        }
    }
    outbox.seal_all();
    assert!(outbox.wait_idle(Duration::from_secs(20)));
    assert!(sources.iter().all(|source| outbox.acknowledged(*source) == 2_000));
    outbox.stop();
    assert_eq!(senders.into_iter().map(|sender| sender.join().unwrap()).sum::<usize>(), 16_000);
}
