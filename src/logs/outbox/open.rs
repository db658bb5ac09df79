//! The batch of a stream that still grows: the request's body itself, written in place, so that a line is copied once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::batch::{Batch, Event, TAIL, head_of, push_event};
use super::escape::push_quoted;
use super::{Destination, SourceId};
use crate::logs::limits::{MOST_BYTES, MOST_EVENTS, OVERHEAD, SPAN};

/// A body is given room in these steps: a quiet stream costs little, a busy one is not copied over and over.
const ROOM: [usize; 4] = [4 << 10, 64 << 10, 512 << 10, 1400 << 10];
/// From this share on a batch ends where an instant does, if it can: batches without a common instant may be sent side by side.
const ENOUGH: (usize, usize) = (3, 4);
/// Escapes make some texts six times as long; a body does not grow for ever.
const LONGEST_BODY: usize = 2 * MOST_BYTES;

pub(super) struct Open {
    to: Arc<Destination>,
    body: Vec<u8>,
    head: usize,
    events: Vec<Event>,
    /// As the service counts.
    counted: usize,
    first: i64,
    last: i64,
    sorted: bool,
    /// When its first event came.
    since: Option<Instant>,
    reaches: BTreeMap<SourceId, u64>,
}

impl Open {
    pub(super) fn new(to: Arc<Destination>) -> Self {
        Self {
            to,
            body: Vec::new(),
            head: 0,
            events: Vec::new(),
            counted: 0,
            first: i64::MAX,
            last: i64::MIN,
            sorted: true,
            since: None,
            reaches: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// What it takes from the budget.
    pub(super) fn cost(&self) -> usize {
        self.body.len() + self.events.len() * size_of::<Event>()
    }

    /// Whether an event of this size at this instant may be added. The first one always may.
    pub(super) fn fits(&self, at: i64, size: usize) -> bool {
        let span = self.last.max(at).saturating_sub(self.first.min(at));
        let enough = |all: usize| all * ENOUGH.0 / ENOUGH.1;
        let is_well_filled = self.counted > enough(MOST_BYTES) || self.events.len() > enough(MOST_EVENTS);
        self.is_empty()
            || (!(is_well_filled && at > self.last)
                && self.counted + size + OVERHEAD <= MOST_BYTES
                && self.events.len() < MOST_EVENTS
                && self.body.len() + size < LONGEST_BODY
                && u128::try_from(span).is_ok_and(|span| span < SPAN.as_millis()))
    }

    pub(super) fn push(&mut self, at: i64, text: &str, now: Instant) {
        if self.is_empty() {
            self.body.extend_from_slice(&head_of(&self.to));
            self.head = self.body.len();
            self.since = Some(now);
        }
        self.make_room(text.len() + 64);
        self.sorted &= at >= self.last;
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
        self.counted += text.len() + OVERHEAD;
        let event = push_event(&mut self.body, self.events.is_empty(), at, |body| push_quoted(body, text));
        self.events.push(event);
    }

    /// With its acknowledgement, this is reached in this source.
    pub(super) fn reach(&mut self, source: SourceId, mark: u64) {
        self.reaches.insert(source, mark);
    }

    /// Whether something of this source waits here.
    pub(super) fn has(&self, source: SourceId) -> bool {
        self.reaches.contains_key(&source)
    }

    fn make_room(&mut self, more: usize) {
        let wanted = self.body.len() + more;
        if wanted > self.body.capacity() {
            let step = ROOM.into_iter().find(|step| *step >= wanted).unwrap_or(wanted + wanted / 4);
            self.body.reserve_exact(step - self.body.len());
        }
    }

    /// Ends it. The service demands the order of time; equal instants keep theirs.
    pub(super) fn seal(&mut self, number: u64, stream: usize) -> Batch {
        let open = std::mem::replace(self, Self::new(self.to.clone()));
        let cost = open.cost();
        let (mut body, mut events) = (open.body, open.events);
        if !open.sorted {
            let unsorted = std::mem::take(&mut body);
            body.reserve_exact(unsorted.len() + TAIL.len());
            body.extend_from_slice(unsorted.get(..open.head).unwrap_or_default());
            events.sort_by_key(|event| event.at);
            for (count, event) in events.iter_mut().enumerate() {
                let message = event.message(&unsorted);
                *event = push_event(&mut body, count == 0, event.at, |body| body.extend_from_slice(message));
            }
        }
        body.extend_from_slice(TAIL);
        Batch { number, stream, to: open.to, head: open.head, body: body.into(), events, reaches: open.reaches, cost }
    }
}
