//! A sealed batch: one request of one stream within every limit of the service, and what its acknowledgement means.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::escape::push_number;
use super::{Destination, SourceId};

/// Where an event stands in the body of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// Its message as a JSON string, quotes included.
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Event {
    pub(super) fn message<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        body.get(index(self.start)..index(self.end)).unwrap_or_default()
    }
}

/// Appends one event of a request.
pub(super) fn push_event(body: &mut Vec<u8>, first: bool, at: i64, message: impl FnOnce(&mut Vec<u8>)) -> Event {
    if !first {
        body.push(b',');
    }
    body.extend_from_slice(b"{\"timestamp\":");
    push_number(body, at);
    body.extend_from_slice(b",\"message\":");
    let here = |body: &Vec<u8>| u32::try_from(body.len()).unwrap_or(u32::MAX);
    let start = here(body);
    message(body);
    let end = here(body);
    body.push(b'}');
    Event { at, start, end }
}

/// A batch on its way. Whoever takes it acknowledges it or gives it back.
#[derive(Debug)]
pub struct Batch {
    pub(super) number: u64,
    pub(super) stream: usize,
    pub(super) to: Arc<Destination>,
    /// How long the beginning of the body is, up to the first event.
    pub(super) head: usize,
    pub(super) body: Bytes,
    pub(super) events: Vec<Event>,
    /// What is reached in each source when it is stored.
    pub(super) reaches: BTreeMap<SourceId, u64>,
    /// What it takes from the budget.
    pub(super) cost: usize,
}

impl Batch {
    /// Where it goes.
    #[must_use]
    pub fn to(&self) -> &Destination {
        &self.to
    }

    /// The whole request as the service reads it: group, stream, and the events in order of time.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// How many events it has; never none.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty batch is never made")]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The instant of one event, in milliseconds since 1970.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<i64> {
        self.events.get(index).map(|event| event.at)
    }

    /// The message of one event, as a JSON string with its quotes.
    #[must_use]
    pub fn message(&self, index: usize) -> &[u8] {
        self.events.get(index).map(|event| event.message(&self.body)).unwrap_or_default()
    }

    /// The request with these events only; with `at`, as if they had happened at that instant.
    #[must_use]
    pub fn part(&self, events: Range<usize>, at: Option<i64>) -> Bytes {
        let mut body = self.body.get(..self.head).unwrap_or_default().to_vec();
        for (count, event) in self.events.get(events).unwrap_or_default().iter().enumerate() {
            push_event(&mut body, count == 0, at.unwrap_or(event.at), |body| body.extend_from_slice(event.message(&self.body)));
        }
        body.extend_from_slice(TAIL);
        body.into()
    }
}

/// How a request begins, up to its first event.
pub(super) fn head_of(to: &Destination) -> Vec<u8> {
    let mut head = b"{\"logGroupName\":".to_vec();
    super::escape::push_quoted(&mut head, &to.group);
    head.extend_from_slice(b",\"logStreamName\":");
    super::escape::push_quoted(&mut head, &to.stream);
    head.extend_from_slice(b",\"logEvents\":[");
    head
}

/// How it ends.
pub(super) const TAIL: &[u8] = b"]}";
