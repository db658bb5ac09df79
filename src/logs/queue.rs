//! What waits to be shipped to one stream: bounded, in the order it came.

use std::collections::VecDeque;

use super::batch::{OVERHEAD, fitting, pieces};
use super::checkpoint::Place;
use crate::host::aws::LogEvent;

/// One event, and what its acknowledgement means.
#[derive(Debug, Clone)]
struct Waiting {
    event: LogEvent,
    /// The source and the place in it that is reached with this event.
    reaches: Option<(String, Place)>,
    /// Nobody else has it: the run said it.
    own: bool,
}

/// The events of one stream.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    dropped: usize,
    /// So many from the front are on their way.
    in_flight: usize,
}

impl Queue {
    /// How many bytes wait here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A line of a source, already redacted. Whoever reads sources looks first whether there is room.
    pub(super) fn push_source(&mut self, at: i64, text: &str, reaches: Option<(String, Place)>) {
        let pieces = pieces(text);
        let last = pieces.len().saturating_sub(1);
        if pieces.is_empty() {
            // Nothing to ship, but the place is reached; it rides on the event before it, if one waits.
            if let Some(before) = self.waiting.back_mut().filter(|before| !before.own && reaches.is_some()) {
                before.reaches = reaches;
            }
            return;
        }
        for (number, piece) in pieces.into_iter().enumerate() {
            self.push(at, piece, reaches.clone().filter(|_| number == last), false);
        }
    }

    /// A line of the run itself. When there is no room, the oldest of the run's lines make some.
    pub(super) fn push_own(&mut self, at: i64, text: &str, room: usize) {
        for piece in pieces(text) {
            self.push(at, piece, None, true);
        }
        while self.bytes > room {
            let Some(oldest) = self.waiting.iter().skip(self.in_flight).position(|waiting| waiting.own) else { return };
            if let Some(gone) = self.waiting.remove(self.in_flight + oldest) {
                self.bytes -= gone.event.text.len() + OVERHEAD;
                self.dropped += 1;
            }
        }
    }

    fn push(&mut self, at: i64, text: &str, reaches: Option<(String, Place)>, own: bool) {
        self.bytes += text.len() + OVERHEAD;
        self.waiting.push_back(Waiting { event: LogEvent { at, text: text.to_owned() }, reaches, own });
    }

    /// What fits into the next call. It stays here until it is acknowledged or released.
    pub(super) fn next_call(&mut self) -> Vec<LogEvent> {
        let count = fitting(self.waiting.iter().map(|waiting| &waiting.event));
        self.in_flight = count;
        self.waiting.iter().take(count).map(|waiting| waiting.event.clone()).collect()
    }

    /// So many from the front are acknowledged: the places that are reached with them.
    pub(super) fn acknowledge(&mut self, count: usize) -> Vec<(String, Place)> {
        self.in_flight = 0;
        let done: Vec<Waiting> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.bytes -= done.iter().map(|waiting| waiting.event.text.len() + OVERHEAD).sum::<usize>();
        done.into_iter().filter_map(|waiting| waiting.reaches).collect()
    }

    /// The call failed: what was on its way waits again.
    pub(super) fn release(&mut self) {
        self.in_flight = 0;
    }

    /// How many of the run's lines were dropped since the last time somebody asked.
    pub(super) fn take_dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::batch::LONGEST_EVENT;

    fn place(offset: u64) -> (String, Place) {
        ("/a".to_owned(), Place::File { device: 1, inode: 1, offset })
    }

    #[test]
    fn a_place_is_reached_with_the_last_piece_of_its_line() {
        let mut queue = Queue::default();
        queue.push_source(1, &"x".repeat(LONGEST_EVENT + 10), Some(place(9)));
        assert_eq!(queue.next_call().len(), 1);
        assert!(queue.acknowledge(1).is_empty());
        assert_eq!(queue.acknowledge(1).len(), 1);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn an_empty_line_moves_the_place_and_is_no_event() {
        let mut queue = Queue::default();
        queue.push_source(1, "x", Some(place(2)));
        queue.push_source(1, "", Some(place(3)));
        assert_eq!(queue.next_call().len(), 1);
        assert_eq!(queue.acknowledge(1), vec![place(3)]);
    }

    #[test]
    fn the_runs_oldest_lines_go_first_and_are_counted_and_sources_stay() {
        let mut queue = Queue::default();
        queue.push_source(1, "source", Some(place(7)));
        for number in 0..100 {
            queue.push_own(2, &format!("line {number:03}"), 500);
        }
        assert!(queue.bytes() <= 500);
        let call = queue.next_call();
        assert_eq!((call[0].text.as_str(), call[call.len() - 1].text.as_str()), ("source", "line 099"));
        assert_eq!(queue.take_dropped(), 100 - (call.len() - 1));
        assert_eq!(queue.take_dropped(), 0);
    }
}
