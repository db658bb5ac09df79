//! What the service will never take, in a file of its own: masked as everything is, bounded, and on the disk before it counts.

use std::sync::Mutex;

use serde_json::json;

use crate::error::Result;
use crate::host::bounded_lines::BoundedLines;
use crate::host::state::StateFolder;
use crate::logs::outbox::Batch;

/// The name of the file in the shipper's state folder.
pub const DEAD_LETTERS: &str = "dead-letter.jsonl";
/// How large it may get unless told otherwise.
pub const DEAD_LETTER_LIMIT: u64 = 16 << 20;

pub(super) struct DeadLetters(Mutex<BoundedLines>);

impl DeadLetters {
    pub(super) fn new(state: &StateFolder, limit: u64) -> Self {
        Self(Mutex::new(BoundedLines::new(state.path().join(DEAD_LETTERS), limit)))
    }

    /// Keeps one event; `false` where the file is full.
    pub(super) fn keep(&self, batch: &Batch, index: usize, because: &str) -> Result<bool> {
        let to = batch.to();
        let head = json!({
            "timestamp": batch.at(index),
            "group": to.group,
            "stream": to.stream,
            "because": because,
        });
        let mut line = head.to_string().into_bytes();
        line.pop();
        // It is a JSON string already.
        line.extend_from_slice(b",\"message\":");
        line.extend_from_slice(batch.message(index));
        line.push(b'}');
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(&line)
    }
}
