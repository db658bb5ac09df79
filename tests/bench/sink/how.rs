//! The ways in which the service fails, as it is told to by name.

use std::time::Duration;

/// How it behaves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum How {
    #[default]
    Up,
    /// Connections are cut.
    Down,
    /// So many calls of a hundred are throttled.
    Throttle(u64),
    /// Calls beyond so many a second are throttled.
    Limit(u64),
    /// Nothing is stored, and the answer is an error.
    Error,
    /// Batches are stored, and the answer is an error all the same.
    ErrorAfterStoring,
    /// Batches are stored, and nobody answers.
    CutAfterStoring,
    /// Batches are stored, and half of the answer arrives.
    HalfAnAnswer,
    /// Credentials are refused.
    Expired,
    /// Nothing is allowed.
    Denied,
    /// Every answer takes this long.
    Slow(Duration),
    /// Batches wait at the door; they are cut off when it behaves otherwise.
    HoldBefore,
    /// Batches are stored, and their answers wait; they are cut off when it behaves otherwise.
    HoldAfter,
}

impl How {
    /// `throttle`, `throttle/50`, `limit/1`, `slow/200` and so on.
    pub fn named(name: &str) -> Option<Self> {
        let (word, number) = match name.split_once('/') {
            Some((word, number)) => (word, Some(number.parse().ok()?)),
            None => (name, None),
        };
        Some(match (word, number) {
            ("up", None) => Self::Up,
            ("down", None) => Self::Down,
            ("throttle", share) => Self::Throttle(share.unwrap_or(100)),
            ("limit", Some(calls)) => Self::Limit(calls),
            ("error", None) => Self::Error,
            ("error-after-storing", None) => Self::ErrorAfterStoring,
            ("cut-after-storing", None) => Self::CutAfterStoring,
            ("half-an-answer", None) => Self::HalfAnAnswer,
            ("expired", None) => Self::Expired,
            ("denied", None) => Self::Denied,
            ("slow", Some(milliseconds)) => Self::Slow(Duration::from_millis(milliseconds)),
            ("hold-before", None) => Self::HoldBefore,
            ("hold-after", None) => Self::HoldAfter,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_has_a_name() {
        assert_eq!(How::named("up"), Some(How::Up));
        assert_eq!(How::named("throttle"), Some(How::Throttle(100)));
        assert_eq!(How::named("throttle/50"), Some(How::Throttle(50)));
        assert_eq!(How::named("slow/200"), Some(How::Slow(Duration::from_millis(200))));
        for wrong in ["", "sideways", "up/1", "slow", "slow/soon", "limit"] {
            assert_eq!(How::named(wrong), None, "{wrong}");
        }
    }
}
