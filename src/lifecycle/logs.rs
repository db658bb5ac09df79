//! The shipper, as the verdict's way out knows it.

use std::time::Duration;

use super::LogFlush;
use crate::logs::Shipper;

impl LogFlush for Shipper {
    fn line(&self, at: i64, text: String) {
        Self::line(self, at, &text);
    }

    fn flush(&self, limit: Duration) {
        Self::flush(self, limit);
    }
}

/// A playbook without a `logs:` block ships nothing.
impl<L: LogFlush> LogFlush for Option<L> {
    fn line(&self, at: i64, text: String) {
        if let Some(logs) = self {
            logs.line(at, text);
        }
    }

    fn flush(&self, limit: Duration) {
        if let Some(logs) = self {
            logs.flush(limit);
        }
    }
}
