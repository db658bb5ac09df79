//! What waits between the readers and the service: one growing batch for each stream, a byte budget over all of them, and for
//! each source the mark up to which the service has everything.
//!
//! Files and journals are the buffer, not we: when the budget is used up, readers wait. Nothing counts as shipped before its
//! batch is acknowledged, and nothing counts that has a hole before it.

mod batch;
mod escape;
mod marks;
mod open;
mod stream;

pub use batch::Batch;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::marks::Marks;
use self::stream::Stream;

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// The log group.
    pub group: String,
    /// The log stream.
    pub stream: String,
    /// How many days a group that we make keeps events; `None` is for ever.
    pub days: Option<i32>,
    /// The tags of a group that we make.
    pub tags: BTreeMap<String, String>,
}

/// One file or one journal filter; each has one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u64);

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all batches, open, waiting and in flight. Soft: one event may exceed it.
    pub budget: usize,
    /// A batch that is not full is sent this long after its first event.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { budget: 3 << 20, linger: Duration::from_secs(1) }
    }
}

/// Shared by readers and senders. Clones are the same outbox.
#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

struct Shared {
    limits: Limits,
    state: Mutex<State>,
    /// A batch may have become due.
    due: Condvar,
    /// A batch was acknowledged or given back.
    settled: Condvar,
}

#[derive(Default)]
struct State {
    streams: Vec<Stream>,
    by_destination: HashMap<Destination, usize>,
    sources: HashMap<SourceId, Source>,
    made: u64,
    /// Counts what changes how far a source is acknowledged.
    changes: u64,
    used: usize,
    stopped: bool,
}

struct Source {
    stream: usize,
    marks: Marks,
    retired: bool,
    /// Somebody writes down how far it is acknowledged.
    has_place: bool,
}

impl Outbox {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, state: Mutex::default(), due: Condvar::new(), settled: Condvar::new() }))
    }

    /// A source whose events go there; everything up to the mark `from` is acknowledged already.
    #[must_use]
    pub fn register(&self, to: &Destination, from: u64) -> SourceId {
        self.enlist(to, from, true)
    }

    /// A source that has no place to go on from after a restart: what it says is said once.
    #[must_use]
    pub fn register_passing(&self, to: &Destination) -> SourceId {
        self.enlist(to, 0, false)
    }

    fn enlist(&self, to: &Destination, from: u64, has_place: bool) -> SourceId {
        let mut state = self.lock();
        let fresh = state.streams.len();
        let stream = *state.by_destination.entry(to.clone()).or_insert(fresh);
        if stream == fresh {
            state.streams.push(Stream::new(to.clone()));
        }
        let id = SourceId(state.number());
        state.changes += 1;
        state.sources.insert(id, Source { stream, marks: Marks::from(from), retired: false, has_place });
        id
    }

    /// Nothing more comes from this source; it is forgotten when all of it is acknowledged.
    pub fn retire(&self, source: SourceId) {
        let mut state = self.lock();
        if let Some(source) = state.sources.get_mut(&source) {
            source.retired = true;
        }
        state.forget_settled(source);
    }

    /// Whether readers may go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().used < self.0.limits.budget
    }

    /// Waits until readers may go on, for at most this long. Whether they may.
    #[must_use]
    pub fn wait_for_room(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.stopped || state.used < self.0.limits.budget) && !self.lock().stopped
    }

    /// Hands over events of one source, as many as there are, under one lock.
    #[must_use]
    pub fn intake(&self, source: SourceId) -> Intake<'_> {
        let state = self.lock();
        let stream = state.sources.get(&source).map(|source| source.stream);
        Intake { outbox: self, state, source, stream, reached: None, pushed: false, now: Instant::now() }
    }

    /// Everything of this source up to the mark is stored by the service. A source that was retired and forgotten is stored whole.
    #[must_use]
    pub fn acknowledged(&self, source: SourceId) -> u64 {
        self.lock().sources.get(&source).map_or(u64::MAX, |source| source.marks.acknowledged())
    }

    /// Every batch that grows is due now.
    pub fn seal_all(&self) {
        let mut state = self.lock();
        for stream in 0..state.streams.len() {
            state.seal(stream);
        }
        self.0.due.notify_all();
    }

    /// Whether nothing waits and nothing is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lock().used == 0
    }

    /// Waits until nothing waits and nothing is on its way, for at most this long. Whether it is so.
    #[must_use]
    pub fn wait_idle(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.used == 0)
    }

    /// Ships all that is here by now, for at most this long; what comes meanwhile is not waited for. Whether all of it is stored.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        self.seal_all();
        let last = self.lock().made;
        self.wait(limit, |state| state.streams.iter().all(|stream| stream.oldest_unstored() > last))
    }

    /// Another number whenever some source that has a place may be acknowledged further than before.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The bytes that may wait or be on their way.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.0.limits.budget
    }

    /// The bytes that wait or are on their way.
    #[must_use]
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// No more batches are given out, and nobody waits any more.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.0.due.notify_all();
        self.0.settled.notify_all();
    }

    /// The next batch that is due; waits for it. `None` after the stop.
    #[must_use]
    pub fn next_batch(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let now = Instant::now();
            state = match state.next(now, &self.0.limits) {
                Ok(batch) => return Some(batch),
                Err(None) => self.0.due.wait(state).unwrap_or_else(PoisonError::into_inner),
                Err(Some(then)) => {
                    let wait = then.saturating_duration_since(now).max(Duration::from_millis(1));
                    self.0.due.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The batch that is due at this instant, if there is one.
    #[must_use]
    pub fn try_next(&self, now: Instant) -> Option<Batch> {
        self.lock().next(now, &self.0.limits).ok()
    }

    /// The service has it, or it is known that it never will.
    pub fn acknowledge(&self, batch: Batch) {
        let mut state = self.lock();
        let mut is_news = false;
        for source in batch.reaches.keys() {
            if let Some(known) = state.sources.get_mut(source) {
                known.marks.stored(batch.number);
                is_news |= known.has_place;
            }
            state.forget_settled(*source);
        }
        if let Some(stream) = state.streams.get_mut(batch.stream) {
            stream.landed(batch.number);
        }
        state.changes += u64::from(is_news);
        state.used -= batch.cost;
        drop(state);
        // Its memory goes before anybody fills it again.
        drop(batch);
        self.0.due.notify_all();
        self.0.settled.notify_all();
    }

    /// It was not stored: it waits again, before all younger ones of its stream.
    pub fn give_back(&self, batch: Batch, not_before: Instant) {
        if let Some(stream) = self.lock().streams.get_mut(batch.stream) {
            stream.take_back(batch, not_before);
        }
        self.0.due.notify_all();
    }

    fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while !done(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.0.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn seal(&mut self, stream: usize) {
        let number = self.number();
        let Some(batch) = self.streams.get_mut(stream).and_then(|known| known.seal(number, stream)) else { return };
        for (source, mark) in &batch {
            if let Some(source) = self.sources.get_mut(source) {
                source.marks.sealed(number, *mark);
            }
        }
    }

    fn forget_settled(&mut self, id: SourceId) {
        let waits = |source: &Source| self.streams.get(source.stream).is_some_and(|stream| stream.open().has(id));
        if self.sources.get(&id).is_some_and(|source| source.retired && source.marks.is_settled() && !waits(source)) {
            self.sources.remove(&id);
        }
    }

    /// The batch to send now, or when to ask again.
    fn next(&mut self, now: Instant, limits: &Limits) -> Result<Batch, Option<Instant>> {
        let ripe = |stream: &Stream| stream.ripe_at(limits.linger).is_some_and(|then| then <= now);
        let mut grown: Vec<usize> = (0..self.streams.len()).filter(|at| self.streams.get(*at).is_some_and(ripe)).collect();
        if self.used >= limits.budget && self.streams.iter().all(Stream::is_at_rest) {
            // Many small batches took all the room: the largest goes, so that somebody can go on.
            grown.extend((0..self.streams.len()).max_by_key(|at| self.streams.get(*at).map_or(0, |known| known.open().cost())));
        }
        for stream in grown {
            self.seal(stream);
        }
        let ready = self.streams.iter_mut().filter(|stream| stream.may_send(now)).min_by_key(|stream| stream.oldest());
        match ready.and_then(Stream::take) {
            Some(batch) => Ok(batch),
            None => Err(self.streams.iter().filter_map(|stream| stream.next_look(limits.linger)).min()),
        }
    }
}

/// Events of one source on their way into the outbox, which is locked meanwhile.
pub struct Intake<'o> {
    outbox: &'o Outbox,
    state: MutexGuard<'o, State>,
    source: SourceId,
    stream: Option<usize>,
    reached: Option<u64>,
    pushed: bool,
    now: Instant,
}

impl Intake<'_> {
    /// One event: masked, without a line end, no longer than [`LONGEST_EVENT`](super::limits::LONGEST_EVENT). When it is stored,
    /// the source is acknowledged up to `mark`.
    pub fn push(&mut self, at: i64, text: &str, mark: u64) {
        let Some(stream) = self.stream else { return };
        if self.state.streams.get(stream).is_some_and(|known| !known.open().fits(at, text.len())) {
            self.settle();
            self.state.seal(stream);
        }
        if let Some(known) = self.state.streams.get_mut(stream) {
            let cost = known.push(at, text, self.now);
            self.state.used += cost;
            self.reached = Some(mark);
            self.pushed = true;
        }
    }

    /// There is nothing to ship up to this mark.
    pub fn skip(&mut self, mark: u64) {
        if self.reached.is_some() {
            self.reached = Some(mark);
            return;
        }
        let state = &mut *self.state;
        let Some(known) = self.stream.and_then(|stream| state.streams.get_mut(stream)) else { return };
        if known.open().has(self.source) {
            known.reach(self.source, mark);
        } else if let Some(source) = state.sources.get_mut(&self.source) {
            source.marks.skip(mark);
            state.changes += 1;
        }
    }

    /// Whether the reader may go on.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state.used < self.outbox.0.limits.budget
    }

    /// Tells the open batch what it reaches.
    fn settle(&mut self) {
        if let (Some(stream), Some(mark)) = (self.stream, self.reached.take())
            && let Some(known) = self.state.streams.get_mut(stream)
        {
            known.reach(self.source, mark);
        }
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.settle();
        if self.pushed {
            self.outbox.0.due.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
