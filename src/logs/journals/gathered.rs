//! Entries on their way into the outbox, which is locked once for many of them: masked, within the service's window of time, and
//! no longer than an event can be.

use std::ops::Range;

use super::progress::Progress;
use super::{Cursor, Entry, Field, Way};
use crate::logs::figures::Figure;
use crate::logs::outbox::SourceId;
use crate::logs::text::{Window, first_piece};
use crate::secret::MaskState;

/// So many bytes are handed on at once.
const ENOUGH: usize = 64 * 1024;

/// One source, and the key that may be open in it.
pub(super) struct Feed {
    pub(super) filter: super::Filter,
    pub(super) source: SourceId,
    pub(super) mask: MaskState,
}

/// What was read and is not in the outbox yet.
#[derive(Default)]
pub(super) struct Gathered {
    text: String,
    events: Vec<Event>,
    /// Entries to begin again behind.
    wanted: Vec<(u64, String)>,
    /// The last entry of all, wanted or not.
    number: u64,
    cursor: String,
    last: Option<Cursor>,
    waits: bool,
}

struct Event {
    feed: usize,
    at: i64,
    text: Range<usize>,
    number: u64,
    /// Whether the entry ends with it.
    is_last: bool,
}

impl Gathered {
    /// The next entry.
    pub(super) fn add(&mut self, entry: &Entry, last: Option<Cursor>, feeds: &mut [Feed], way: &Way, now: i64) {
        self.number += 1;
        self.waits = true;
        self.last = last;
        self.cursor.clear();
        self.cursor.push_str(entry.cursor().unwrap_or_default());
        // What we say about our work would make more work.
        if entry.has(Field::SystemdUnit, super::OWN_UNIT) {
            return;
        }
        let before = self.events.len();
        let mut message = None;
        for (number, feed) in feeds.iter_mut().enumerate().filter(|(_, feed)| feed.filter.takes(entry)) {
            let message = message.get_or_insert_with(|| entry.message());
            self.push(number, entry, message.trim_end_matches('\n'), &mut feed.mask, way, now);
        }
        if self.events.len() > before {
            self.wanted.push((self.number, self.cursor.clone()));
        }
    }

    /// Whether it is time to hand it on, without waiting for more.
    pub(super) fn is_enough(&self) -> bool {
        self.text.len() >= ENOUGH
    }

    /// Whether anything waits.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Into the outbox.
    pub(super) fn hand_on(&mut self, feeds: &[Feed], way: &Way, progress: &Progress) {
        let mut state = progress.lock();
        for (number, feed) in feeds.iter().enumerate() {
            let mut events = self.events.iter().filter(|event| event.feed == number).peekable();
            if events.peek().is_none() {
                continue;
            }
            let mut intake = way.outbox.intake(feed.source);
            for event in events {
                // Until the last piece is stored, all of the entry comes again.
                let mark = if event.is_last { event.number } else { event.number - 1 };
                intake.push(event.at, self.text.get(event.text.clone()).unwrap_or_default(), mark);
                state.hand(number, event.number);
            }
        }
        for (number, cursor) in self.wanted.drain(..) {
            state.keep(number, &cursor);
        }
        state.reach(self.number, &self.cursor, self.last);
        drop(state);
        progress.announce();
        self.events.clear();
        self.text.clear();
        self.text.shrink_to(2 * ENOUGH);
        self.waits = false;
    }

    fn push(&mut self, feed: usize, entry: &Entry, message: &str, mask: &mut MaskState, way: &Way, now: i64) {
        if message.is_empty() {
            return;
        }
        way.figures.count(Figure::ReadEvents, 1u64);
        way.figures.count(Figure::ReadBytes, message.len());
        let at = entry.number(Field::Realtime).and_then(|micros| i64::try_from(micros / 1000).ok()).unwrap_or(now);
        let clean = way.masker.clean(mask, message);
        let (event, happened) = Window::default().admit(at, &clean, now);
        if let Some(figure) = happened {
            way.figures.count(figure, 1u64);
        }
        let Some((at, text)) = event else { return };
        let mut rest: &str = &text;
        let mut pieces = 0u64;
        while !rest.is_empty() {
            let piece = first_piece(rest);
            rest = rest.get(piece.len()..).unwrap_or_default();
            let start = self.text.len();
            self.text.push_str(piece);
            let (text, number, is_last) = (start..self.text.len(), self.number, rest.is_empty());
            self.events.push(Event { feed, at, text, number, is_last });
            pieces += 1;
        }
        if pieces > 1 {
            way.figures.count(Figure::Split, 1u64);
        }
    }
}
