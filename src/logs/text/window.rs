//! Which times the service takes: an event outside is stamped anew, or dropped where the source wants that, before the service
//! would refuse it.

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logs::figures::Figure;
use crate::logs::limits;

/// What the oldest event must be younger, so that it can wait for its batch and its batch for the service.
const WAITS: Duration = Duration::from_secs(300);
/// What the newest event must be older, as clocks differ.
const DIFFERS: Duration = Duration::from_secs(60);

/// What happens to an event whose time the service does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// It gets the present time and says its own in front.
    #[default]
    Restamp,
    /// It is dropped, and counted.
    Drop,
}

/// Between the oldest and the newest time that the service takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// What happens to the others.
    pub outside: Outside,
}

impl Window {
    /// The event as it can be sent, and what had to happen for that; nothing if it is to be dropped. Its own time in front makes it
    /// longer.
    #[must_use]
    pub fn admit(self, at: i64, text: &str, now: i64) -> (Option<(i64, Cow<'_, str>)>, Option<Figure>) {
        let span = |limit: Duration, less| i64::try_from(limit.saturating_sub(less).as_millis()).unwrap_or(i64::MAX);
        let (oldest, newest) = (span(limits::OLDEST, WAITS), span(limits::NEWEST, DIFFERS));
        if at >= now.saturating_sub(oldest) && at <= now.saturating_add(newest) {
            return (Some((at, Cow::Borrowed(text))), None);
        }
        if self.outside == Outside::Drop {
            return (None, Some(Figure::DroppedOutside));
        }
        let own = jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |time| time.to_string());
        (Some((now, Cow::Owned(format!("[{own}] {text}")))), Some(Figure::Restamped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const OLDEST: i64 = 14 * 24 * HOUR - 5 * MINUTE;
    const NEWEST: i64 = 2 * HOUR - MINUTE;

    #[test]
    fn what_the_service_takes_stays_as_it_is() {
        for at in [NOW, NOW - OLDEST, NOW + NEWEST, NOW - 13 * 24 * HOUR] {
            let (event, happened) = Window::default().admit(at, "x", NOW);
            assert_eq!((event, happened), (Some((at, Cow::Borrowed("x"))), None));
        }
    }

    #[test]
    fn what_it_does_not_take_is_stamped_anew_or_dropped_as_the_source_wants() {
        for at in [NOW - OLDEST - 1, NOW + NEWEST + 1, i64::MIN, i64::MAX] {
            let (event, happened) = Window::default().admit(at, "x", NOW);
            let (restamped, text) = event.unwrap();
            assert_eq!((restamped, happened), (NOW, Some(Figure::Restamped)));
            assert!(text.starts_with('[') && text.ends_with("] x"), "{text}");
            assert_eq!(Window { outside: Outside::Drop }.admit(at, "x", NOW), (None, Some(Figure::DroppedOutside)));
        }
        let (event, _) = Window::default().admit(NOW - 15 * 24 * HOUR, "boot", NOW);
        assert_eq!(event.unwrap().1, "[2026-12-31T08:00:00Z] boot");
    }
}
