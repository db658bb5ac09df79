//! The Auto Scaling lifecycle hook: decide, write it down, flush the logs, report it, retry the report.
//!
//! Only a boot run decides. An error while reporting CONTINUE never becomes ABANDON: what could not be sent stays on disk and is
//! sent by the next run. Whoever uses this sees [`Watch`] (finds the hook, keeps it waiting), [`conclude()`] (the verdict's way
//! out), [`send_pending`] (for runs that decide nothing) and [`wait_for_service`] (between a warm pool's two passes).

mod conclude;
mod failure;
mod find;
mod pending;
pub mod permissions;
mod pulse;
mod report;
mod stored;
mod warm;
mod watch;

#[cfg(test)]
mod scripted;

pub use conclude::{Conclusion, LogFlush, Outcome, conclude};
pub use failure::FailureRecord;
pub use find::{Found, Hook, find};
pub use pending::send_pending;
pub use report::{Told, report};
pub use stored::{StoredVerdict, Transition};
pub use warm::{Service, wait_for_service};
pub use watch::{HookClock, HookTime, Sign, Watch};

use std::sync::Arc;
use std::time::Instant;

use crate::host::aws::AutoScaling;
use crate::host::retry::Retry;
use crate::host::state::StateFolder;

/// Whom to talk to, about which instance, with which patience.
#[derive(Clone)]
pub struct Line {
    /// The four calls; usually `Arc::new(aws)`.
    pub service: Arc<dyn AutoScaling>,
    /// The process's throttle gate.
    pub retry: Retry,
    /// This instance's id.
    pub instance: String,
    /// This boot's id.
    pub boot: String,
    /// Where the verdict is written down.
    pub state: StateFolder,
}

impl Line {
    /// Now, on the line's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.retry.clock().now()
    }
}
