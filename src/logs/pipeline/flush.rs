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
    /// When all has to be over, once that is known.
    end: Option<Instant>,
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
        while state.read < asked && state.end.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.read >= asked
    }

    /// It is time to end, and by then it has to be over.
    pub(super) fn stop_by(&self, end: Instant) {
        self.lock().end.get_or_insert(end);
        self.changed.notify_all();
    }

    /// When it has to be over, if it is time to end.
    pub(super) fn end(&self) -> Option<Instant> {
        self.lock().end
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
