//! Waiting that ends early when it is time to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::host::clock::Clock;
use crate::host::retry::Waiting;

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

/// A sender waits for as long as it takes, unless it is time to stop.
impl Waiting for Pause {
    fn now(&self) -> Instant {
        self.now()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }

    fn has_until(&self, _: Instant) -> bool {
        true
    }

    fn wait(&self, span: Duration) {
        self.wait(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::FakeClock;
    use crate::host::retry::{Gate, Patience};

    #[test]
    fn nobody_waits_when_it_is_time_to_stop() {
        let (gate, pause) = (Gate::default(), Pause::new(FakeClock::shared()));
        let minute = Duration::from_mins(1);
        gate.enter(&pause).unwrap().closed(Patience { first: minute, longest: minute }, Some(minute));
        pause.end();
        let before = pause.now();
        assert!(gate.enter(&pause).is_none() && pause.now() == before);
    }
}
