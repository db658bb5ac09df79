//! The limits of `PutLogEvents`, as its API reference states them.

use std::time::Duration;

/// A call holds no more bytes, counting the UTF-8 bytes of each message and [`OVERHEAD`] for each event.
pub const MOST_BYTES: usize = 1_048_576;
/// What each event costs besides its text.
pub const OVERHEAD: usize = 26;
/// A call holds no more events.
pub const MOST_EVENTS: usize = 10_000;
/// One event must fit a call by itself.
pub const LONGEST_EVENT: usize = MOST_BYTES - OVERHEAD;
/// The events of one call lie within this much time.
pub const SPAN: Duration = Duration::from_hours(24);
/// Older events are refused.
pub const OLDEST: Duration = Duration::from_hours(14 * 24);
/// Events further ahead are refused.
pub const NEWEST: Duration = Duration::from_hours(2);
