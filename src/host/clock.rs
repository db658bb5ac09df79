//! Time as the agent sees it: a seam, so that waiting can be tested without waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// What time it is, and how one waits.
pub trait Clock: Send + Sync {
    /// Now, on the clock that nobody can set.
    fn now(&self) -> Instant;

    /// Lets this much time pass.
    fn sleep(&self, span: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealClock;

impl RealClock {
    /// The machine's own clock, to be handed around.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A clock on which sleeping takes no time, for the unit tests.
#[cfg(test)]
pub struct FakeClock {
    now: std::sync::Mutex<Instant>,
    slept: std::sync::Mutex<Vec<Duration>>,
}

#[cfg(test)]
impl FakeClock {
    /// Starts at some instant.
    pub fn shared() -> Arc<Self> {
        Arc::new(Self { now: Instant::now().into(), slept: std::sync::Mutex::default() })
    }

    /// Every wait so far.
    ///
    /// # Panics
    /// When another test thread panicked meanwhile.
    pub fn waits(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

#[cfg(test)]
impl Clock for FakeClock {
    fn now(&self) -> Instant {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, span: Duration) {
        *self.now.lock().unwrap() += span;
        self.slept.lock().unwrap().push(span);
    }
}
