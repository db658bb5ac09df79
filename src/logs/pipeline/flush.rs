//! Who waits until everything written so far has been read, and that it is time to end.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
pub(super) struct Flushes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: u64,
    read: u64,
    stopped: bool,
}

impl Flushes {
    /// Wants all that is written by now to be read; the number to wait for.
    pub(super) fn ask(&self) -> u64 {
        let mut state = self.lock();
        state.asked += 1;
        state.asked
    }

    /// The newest wish, if it is not fulfilled.
    pub(super) fn pending(&self) -> Option<u64> {
        let state = self.lock();
        (state.read < state.asked).then_some(state.asked)
    }

    /// All that was written before this wish has been read.
    pub(super) fn fulfil(&self, asked: u64) {
        self.lock().read = asked;
        self.changed.notify_all();
    }

    /// Waits for it. Whether it was fulfilled.
    pub(super) fn wait(&self, asked: u64, end: Instant) -> bool {
        let mut state = self.lock();
        while state.read < asked && !state.stopped {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.read >= asked
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
