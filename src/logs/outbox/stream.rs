//! One stream's batches: the one that grows, those that wait, and how many are on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::open::Open;
use super::{Destination, SourceId};

/// So many requests of one stream at once, when one alone does not keep up. The service takes them in any order, and shows events
/// of the same instant in the order in which they came: so two of them never have an instant in common.
const MOST_IN_FLIGHT: usize = 4;

pub(super) struct Stream {
    open: Open,
    sealed: VecDeque<Batch>,
    in_flight: Vec<InFlight>,
    not_before: Option<Instant>,
}

/// What is known of a batch that somebody carries.
struct InFlight {
    number: u64,
    /// The instants of its first and last event.
    first: i64,
    last: i64,
}

impl InFlight {
    fn of(batch: &Batch) -> Self {
        let at = |index: usize| batch.at(index).unwrap_or(0);
        Self { number: batch.number, first: at(0), last: at(batch.len().saturating_sub(1)) }
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        self.last < other.first || other.last < self.first
    }
}

impl Stream {
    pub(super) fn new(to: Destination) -> Self {
        Self { open: Open::new(Arc::new(to)), sealed: VecDeque::new(), in_flight: Vec::new(), not_before: None }
    }

    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// Adds an event; returns what it takes from the budget.
    pub(super) fn push(&mut self, at: i64, text: &str, now: Instant) -> usize {
        let before = self.open.cost();
        self.open.push(at, text, now);
        self.open.cost() - before
    }

    pub(super) fn reach(&mut self, source: SourceId, mark: u64) {
        self.open.reach(source, mark);
    }

    /// Ends the batch that grows; returns what it reaches.
    pub(super) fn seal(&mut self, number: u64, stream: usize) -> Option<BTreeMap<SourceId, u64>> {
        if self.open.is_empty() {
            return None;
        }
        let batch = self.open.seal(number, stream);
        let reaches = batch.reaches.clone();
        self.sealed.push_back(batch);
        Some(reaches)
    }

    /// Nothing of it is on its way, or could be.
    pub(super) fn is_at_rest(&self) -> bool {
        self.sealed.is_empty() && self.in_flight.is_empty()
    }

    /// When the batch that grows has lingered long enough. While an older one waits or is on its way, it may grow.
    pub(super) fn ripe_at(&self, linger: Duration) -> Option<Instant> {
        self.open.since().filter(|_| self.is_at_rest()).map(|since| since + linger)
    }

    /// Whether the oldest batch that waits may be sent.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        let at_once = self.sealed.len().clamp(1, MOST_IN_FLIGHT);
        let Some(next) = self.sealed.front().map(InFlight::of) else { return false };
        self.in_flight.len() < at_once
            && self.not_before.is_none_or(|then| then <= now)
            && self.in_flight.iter().all(|other| other.is_apart_from(&next))
    }

    /// The number of the oldest batch that waits.
    pub(super) fn oldest(&self) -> u64 {
        self.sealed.front().map_or(u64::MAX, |batch| batch.number)
    }

    /// The number of the oldest batch that waits or is on its way.
    pub(super) fn oldest_unstored(&self) -> u64 {
        self.in_flight.iter().map(|batch| batch.number).min().unwrap_or(u64::MAX).min(self.oldest())
    }

    pub(super) fn take(&mut self) -> Option<Batch> {
        let batch = self.sealed.pop_front()?;
        self.in_flight.push(InFlight::of(&batch));
        Some(batch)
    }

    /// When to look again, if nothing else happens before.
    pub(super) fn next_look(&self, linger: Duration) -> Option<Instant> {
        let back = self.not_before.filter(|_| !self.sealed.is_empty() && self.in_flight.is_empty());
        back.or_else(|| self.ripe_at(linger))
    }

    /// One that was on its way is stored.
    pub(super) fn landed(&mut self, number: u64) {
        self.in_flight.retain(|other| other.number != number);
        self.not_before = None;
    }

    /// One that was on its way was not stored.
    pub(super) fn take_back(&mut self, batch: Batch, not_before: Instant) {
        self.in_flight.retain(|other| other.number != batch.number);
        self.not_before = Some(not_before);
        let place = self.sealed.iter().position(|other| other.number > batch.number).unwrap_or(self.sealed.len());
        self.sealed.insert(place, batch);
    }
}
