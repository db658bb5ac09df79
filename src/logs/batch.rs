//! The limits of `PutLogEvents`, and nothing else: how much of a queue fits one call, and how a long line is cut.

use std::time::Duration;

use crate::host::aws::LogEvent;

pub(super) use super::limits::{LONGEST_EVENT, MOST_BYTES, MOST_EVENTS, NEWEST, OLDEST, OVERHEAD, SPAN};

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// How many events from the front fit into one call.
pub(super) fn fitting<'e>(events: impl Iterator<Item = &'e LogEvent>) -> usize {
    let (mut bytes, mut count) = (0, 0);
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for event in events.take(MOST_EVENTS) {
        bytes += event.text.len() + OVERHEAD;
        (first, last) = (first.min(event.at), last.max(event.at));
        if bytes > MOST_BYTES || last.saturating_sub(first) > milliseconds(SPAN) {
            break;
        }
        count += 1;
    }
    count
}

/// The events in the order of time, which is a demand of the service; equal instants keep their order. What it would refuse for
/// its time is left out, and counted.
pub(super) fn in_order(events: Vec<LogEvent>, now: i64) -> (Vec<LogEvent>, usize) {
    let all = events.len();
    let times = now.saturating_sub(milliseconds(OLDEST))..=now.saturating_add(milliseconds(NEWEST));
    let mut kept: Vec<LogEvent> = events.into_iter().filter(|event| times.contains(&event.at)).collect();
    kept.sort_by_key(|event| event.at);
    let refused = all - kept.len();
    (kept, refused)
}

/// A line in pieces that each fit an event, cut between characters. An empty line is no event.
pub(super) fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > LONGEST_EVENT {
        let mut end = LONGEST_EVENT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        pieces.push(piece);
        text = rest;
    }
    if !text.is_empty() {
        pieces.push(text);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    fn event(at: i64, size: usize) -> LogEvent {
        LogEvent { at, text: "x".repeat(size) }
    }

    /// Takes a queue apart as the shipper does.
    fn batches(mut queue: Vec<LogEvent>) -> Vec<Vec<LogEvent>> {
        let mut all = Vec::new();
        while !queue.is_empty() {
            let rest = queue.split_off(fitting(queue.iter()));
            assert!(!queue.is_empty(), "no progress");
            all.push(std::mem::replace(&mut queue, rest));
        }
        all
    }

    #[test]
    fn whatever_comes_every_call_keeps_every_limit_and_nothing_is_lost() {
        let mut random = rand::rng();
        let now = 1_700_000_000_000;
        for round in 0..20 {
            let most = [1, 100, 5_000, 300_000, LONGEST_EVENT][round % 5];
            let count = (4_000_000 / (most + 26)).clamp(5, 25_000);
            let queue: Vec<LogEvent> =
                (0..count).map(|_| event(now - random.random_range(0..3 * 86_400_000), random.random_range(1..=most))).collect();
            let total = queue.len();
            let mut shipped = 0;
            for batch in batches(queue) {
                let (batch, refused) = in_order(batch, now);
                assert_eq!(refused, 0);
                assert!(batch.len() <= 10_000);
                assert!(batch.iter().map(|event| event.text.len() + 26).sum::<usize>() <= 1_048_576);
                assert!(batch.is_sorted_by_key(|event| event.at));
                assert!(batch[batch.len() - 1].at - batch[0].at <= 86_400_000);
                shipped += batch.len();
            }
            assert_eq!(shipped, total);
        }
    }

    #[test]
    fn calls_are_as_full_as_they_may_be() {
        assert_eq!(batches(vec![event(0, 1); 25_000]).iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
        assert_eq!(batches(vec![event(0, LONGEST_EVENT); 3]).len(), 3);
        assert_eq!(batches(vec![event(0, MOST_BYTES / 2 - 26); 4]).len(), 2);
    }

    #[test]
    fn equal_instants_keep_their_order_and_impossible_ones_are_counted() {
        let now = 1_700_000_000_000;
        let named = |at: i64, text: &str| LogEvent { at, text: text.to_owned() };
        let events = vec![
            named(now, "a"),
            named(now - 1, "b"),
            named(now, "c"),
            named(now - 15 * 86_400_000, "old"),
            named(now + 3 * 3_600_000, "new"),
        ];
        let (kept, refused) = in_order(events, now);
        assert_eq!(kept.iter().map(|event| event.text.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(refused, 2);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let text = format!("x{}", "é".repeat(LONGEST_EVENT));
        let cut = pieces(&text);
        assert!(cut.len() == 3 && cut.iter().all(|piece| piece.len() <= LONGEST_EVENT));
        assert_eq!(cut.concat(), text);
        assert!(pieces("").is_empty());
        assert_eq!(pieces("line"), ["line"]);
    }
}
