//! From the bytes of a file to events: encoding, lines, multi-line events, times. State machines without any input or output of
//! their own, so that each can be tested by itself.
//!
//! A source is cut into lines as it stands, before anything is decoded, so that the offset behind each line is exact whatever
//! decoding makes of its length. A chunk of clean UTF-8 with no rules of its own is never looked at line by line but for its
//! line ends.

mod encoding;
mod long;
mod multiline;
mod reader;
mod rules;
mod stamp;
mod window;
mod zone;

use std::borrow::Cow;
use std::time::Instant;

pub use reader::{LONG_LINE, Reader};
pub use rules::Rules;
pub(super) use rules::problem;
pub use window::{Outside, Window};

use super::figures::Figure;
use super::limits::LONGEST_EVENT;

/// Where events go, and what they pass on the way. A file's reader talks to its outbox and its masker through this.
pub trait Sink {
    /// Whether nothing in these whole lines can be a secret, and none has begun before them.
    fn is_clean(&mut self, chunk: &[u8]) -> bool;

    /// The line without secrets.
    fn clean<'t>(&mut self, line: &'t str) -> Cow<'t, str>;

    /// One event of at most [`LONGEST_EVENT`] bytes, without a line end; everything before the offset `mark` is stored when it is.
    fn push(&mut self, at: i64, text: &str, mark: u64);

    /// There is nothing to ship up to this offset.
    fn skip(&mut self, mark: u64);

    /// Whether another line may be read.
    fn has_room(&mut self) -> bool;

    /// For the figures.
    fn count(&mut self, what: Figure);
}

/// The present, by the two clocks: what people read, and what never jumps.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since 1970.
    pub wall: i64,
    /// For spans of time.
    pub steady: Instant,
}

impl Now {
    /// This very moment.
    #[must_use]
    pub fn read() -> Self {
        Self { wall: jiff::Timestamp::now().as_millisecond(), steady: Instant::now() }
    }
}

/// The longest piece of `text` that an event can carry, ending between two characters; never empty unless the text is.
pub(in crate::logs) fn first_piece(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_EVENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
