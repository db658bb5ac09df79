//! Waiting that ends early when it is time to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::host::clock::Clock;

/// How late one may hear that it is time to stop.
const GLANCE: Duration = Duration::from_millis(200);

pub(super) struct Pause {
    clock: Arc<dyn Clock>,
    over: AtomicBool,
}

impl Pause {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, over: AtomicBool::new(false) }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Lets this much time pass. Whether to go on.
    pub(super) fn wait(&self, span: Duration) -> bool {
        let end = self.now() + span;
        while !self.is_over() {
            let left = end.saturating_duration_since(self.now());
            if left.is_zero() {
                return true;
            }
            self.clock.sleep(left.min(GLANCE));
        }
        false
    }

    /// It is time to stop.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
