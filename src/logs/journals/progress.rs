//! How far the journal has been read, and how far that is acknowledged, by entry numbers; and the few cursors that are needed to
//! begin again there.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Cursor;
use crate::logs::outbox::SourceId;

/// One of so many cursors is kept for entries that wait to be acknowledged: a restart sends at most so many twice.
const KEPT: u64 = 16;

/// Shared by the thread that reads and whoever records the place.
pub(super) struct Progress {
    state: Mutex<State>,
    advanced: Condvar,
}

pub(super) struct State {
    /// The number of the last entry that was read, and its cursor.
    read: u64,
    cursor: Option<String>,
    last: Option<Cursor>,
    /// For each source, the number of the last entry that was handed to the outbox.
    handed: Vec<(SourceId, u64)>,
    /// Numbers and cursors behind what is acknowledged, oldest first; the first one is not.
    kept: VecDeque<(u64, String)>,
    wanted: u64,
}

impl Progress {
    pub(super) fn new(sources: impl Iterator<Item = SourceId>, resume: Option<String>) -> Self {
        let kept = resume.iter().map(|cursor| (0, cursor.clone())).collect();
        let handed = sources.map(|source| (source, 0)).collect();
        let last = resume.as_deref().and_then(Cursor::parse);
        Self { state: Mutex::new(State { read: 0, cursor: resume, last, handed, kept, wanted: 0 }), advanced: Condvar::new() }
    }

    /// While this is held, nobody asks how far it is acknowledged: what is handed to the outbox is noted before anybody can.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for an entry.
    pub(super) fn announce(&self) {
        self.advanced.notify_all();
    }

    /// The cursor up to which everything is acknowledged.
    pub(super) fn acknowledged(&self, of: impl Fn(SourceId) -> u64) -> Option<String> {
        let mut state = self.lock();
        let open = state.handed.iter().map(|(source, handed)| (of(*source), *handed)).filter(|(stored, handed)| stored < handed);
        let Some(all) = open.map(|(stored, _)| stored).min() else {
            // Nothing is on its way: all that was read, wanted or not.
            state.kept.clear();
            let whole = state.cursor.clone().map(|cursor| (state.read, cursor));
            state.kept.extend(whole);
            return state.cursor.clone();
        };
        while state.kept.get(1).is_some_and(|(number, _)| *number <= all) {
            state.kept.pop_front();
        }
        state.kept.front().filter(|(number, _)| *number <= all).map(|(_, cursor)| cursor.clone())
    }

    /// The last entry that was read.
    pub(super) fn last(&self) -> Option<Cursor> {
        self.lock().last
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.lock().handed.iter().map(|(source, _)| *source).collect::<Vec<_>>().into_iter()
    }

    /// Waits until this is so of the last entry, but not beyond that instant. Whether it is so.
    pub(super) fn wait_until(&self, end: Instant, reached: impl Fn(Option<Cursor>) -> bool) -> bool {
        let mut state = self.lock();
        while !reached(state.last) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.advanced.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl State {
    /// This entry goes to the outbox, for this source.
    pub(super) fn hand(&mut self, feed: usize, number: u64) {
        if let Some((_, handed)) = self.handed.get_mut(feed) {
            *handed = number;
        }
    }

    /// This entry is wanted: one may have to begin again behind it.
    pub(super) fn keep(&mut self, number: u64, cursor: &str) {
        self.wanted += 1;
        if self.kept.is_empty() || self.wanted.is_multiple_of(KEPT) {
            self.kept.push_back((number, cursor.to_owned()));
        }
    }

    /// All entries up to this one were read, and those that are wanted are in the outbox.
    pub(super) fn reach(&mut self, number: u64, cursor: &str, last: Option<Cursor>) {
        self.read = number;
        self.last = last;
        let text = self.cursor.get_or_insert_default();
        text.clear();
        text.push_str(cursor);
    }
}
