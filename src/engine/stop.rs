//! Stopping a run before its end: whoever waits, waits here, and is woken.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, Kind};

type Waker = Box<dyn Fn() + Send>;

/// Says whether the run shall stop, and why. Clones share it.
#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    reason: Option<String>,
    wakers: Vec<Waker>,
}

impl Stop {
    /// Stops the run for this reason, such as a signal; the first reason stays.
    pub fn stop(&self, reason: &str) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reason.get_or_insert_with(|| reason.to_owned());
        for waker in &state.wakers {
            waker();
        }
        self.0.stopped.notify_all();
    }

    /// Why the run shall stop, if it shall.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).reason.clone()
    }

    /// Calls this when the run is stopped, or now if it is already.
    pub fn on_stop(&self, waker: impl Fn() + Send + 'static) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.reason.is_some() {
            waker();
        }
        state.wakers.push(Box::new(waker));
    }

    /// Waits until this instant, or until the run is stopped.
    ///
    /// # Errors
    /// When it was stopped.
    pub fn wait_until(&self, instant: Instant) -> Result<(), Error> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reason) = &state.reason {
                return Err(Error::new(Kind::Failed, format!("the run was interrupted by {reason}")));
            }
            let left = instant.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            state = self.0.stopped.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_waits_is_woken() {
        let stop = Stop::default();
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait_until(Instant::now() + Duration::from_mins(1))
        });
        stop.stop("SIGTERM");
        stop.stop("SIGINT");
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the run was interrupted by SIGTERM");
    }

    #[test]
    fn it_is_waited_exactly_as_long_as_asked() {
        let start = Instant::now();
        Stop::default().wait_until(start + Duration::from_millis(30)).unwrap();
        assert!((30..5000).contains(&start.elapsed().as_millis()));
    }
}
