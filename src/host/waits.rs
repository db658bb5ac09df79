//! How long a step waited for others: for a child, for the network, for the time to look again.
//!
//! What is left of a step's time is the agent's own; `agent status` prints its share of the critical path.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The waits of one step. Waits that overlap count once.
#[derive(Default)]
pub struct Waits(Mutex<State>);

#[derive(Default)]
struct State {
    outstanding: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Waits {
    /// Does `work`, which waits for somebody else.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let _outstanding = Outstanding::begin(self);
        work()
    }

    /// All waits so far.
    pub fn total(&self) -> Duration {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total + state.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// A wait that has begun; it ends when this goes, even by a panic.
struct Outstanding<'w>(&'w Waits);

impl<'w> Outstanding<'w> {
    fn begin(waits: &'w Waits) -> Self {
        let mut state = waits.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.outstanding += 1;
        state.since.get_or_insert_with(Instant::now);
        Self(waits)
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.outstanding -= 1;
        if state.outstanding == 0
            && let Some(since) = state.since.take()
        {
            state.total += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_inside_waits_count_once() {
        let waits = Waits::default();
        let begin = Instant::now();
        waits.during(|| waits.during(|| std::thread::sleep(Duration::from_millis(20))));
        let total = waits.total();
        assert!(total >= Duration::from_millis(20) && total <= begin.elapsed(), "{total:?}");
        let before = waits.total();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(waits.total(), before, "nothing is outstanding");
    }
}
