//! Trying again with full jitter behind one process-wide throttle gate.
//!
//! Only what may pass by itself is tried again, and the error's kind says what that is. A fleet that boots at once shares one
//! small quota, so every wait is drawn from the whole interval: equal waits would bring the crowd back together.

mod gate;

pub use gate::{Closed, Gate, Pass, Patience, Waiting};

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::{Clock, RealClock};
use crate::error::{Error, Kind, Result};

/// The first wait after nobody answered; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No single wait is drawn from more than this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a service that asks us to slow down is left alone.
const SLOWER: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// Tries again what may pass by itself. Cheap to clone; clones share the gate.
#[derive(Clone)]
pub struct Retry {
    gate: Gate,
    clock: Arc<dyn Clock>,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(RealClock::shared())
    }
}

impl Retry {
    /// A gate of its own, on this clock. One per process, handed around.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { gate: Gate::default(), clock }
    }

    /// The clock on which it waits.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Does it, and does it again while the failure is transient and the deadline has not come.
    ///
    /// # Errors
    /// The first failure that is not transient, or the last transient one.
    pub fn run<T>(&self, deadline: Instant, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut last: Option<Error> = None;
        let mut tries = 0_u32;
        let until = Until { clock: &*self.clock, deadline };
        loop {
            let Some(pass) = self.gate.enter(&until) else { return Err(gave_up(last, tries)) };
            tries += 1;
            let error = match attempt() {
                Ok(value) => {
                    pass.answered();
                    return Ok(value);
                }
                Err(error) => error,
            };
            match error.kind() {
                Kind::Throttled => {
                    pass.closed(SLOWER, None);
                }
                // Whatever else it was, the service did answer, or we cannot tell: the gate stays as it is.
                _ => drop(pass),
            }
            if !error.kind().is_transient() {
                return Err(match last {
                    // That time ran out in the last try says less than what came of those before.
                    Some(last) if error.kind() == Kind::TimedOut => gave_up(Some(last), tries),
                    _ => error,
                });
            }
            let left = deadline.saturating_duration_since(self.clock.now());
            let wait = jitter(wait_after(tries));
            if wait >= left {
                return Err(gave_up(Some(error), tries));
            }
            tracing::debug!(%error, ?wait, tries, "trying again");
            self.clock.sleep(wait);
            last = Some(error);
        }
    }
}

/// A call that has to be over at a deadline.
struct Until<'c> {
    clock: &'c dyn Clock,
    deadline: Instant,
}

impl Waiting for Until<'_> {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn is_over(&self) -> bool {
        // Whoever asks at its deadline asks once.
        false
    }

    fn has_until(&self, then: Instant) -> bool {
        then < self.deadline
    }

    fn wait(&self, span: Duration) {
        self.clock.sleep(span);
    }
}

/// The interval from which the wait after this many tries is drawn.
fn wait_after(tries: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST_WAIT)
}

/// A wait from the whole interval.
#[must_use]
pub fn jitter(longest: Duration) -> Duration {
    longest.mul_f64(rand::random::<f64>())
}

fn gave_up(last: Option<Error>, tries: u32) -> Error {
    match last {
        Some(error) if tries > 1 => error.doing(format!("trying {tries} times")),
        Some(error) => error,
        None => Error::new(Kind::Throttled, "other calls are being throttled, and the time is over"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::FakeClock;

    fn failing(kind: Kind, times: u32) -> impl FnMut() -> Result<u32> {
        let mut tries = 0;
        move || {
            tries += 1;
            if tries > times { Ok(tries) } else { Err(Error::new(kind, "not now")) }
        }
    }

    #[test]
    fn what_may_pass_is_tried_until_it_passes() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        let deadline = clock.now() + Duration::from_mins(2);
        assert_eq!(retry.run(deadline, failing(Kind::Unreachable, 4)).unwrap(), 5);
        let waits = clock.waits();
        assert_eq!(waits.len(), 4);
        for (wait, tries) in waits.iter().zip(1..) {
            assert!(*wait <= wait_after(tries), "{wait:?} after {tries} tries");
        }
    }

    #[test]
    fn what_stays_wrong_is_tried_once() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        let error = retry.run(clock.now() + Duration::from_mins(1), failing(Kind::Denied, 1)).unwrap_err();
        assert_eq!((error.kind(), clock.waits().len()), (Kind::Denied, 0));
    }

    #[test]
    fn the_deadline_ends_it_with_the_last_failure() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        let start = clock.now();
        for kind in [Kind::Unreachable, Kind::Throttled] {
            let deadline = clock.now() + Duration::from_mins(1);
            let error = retry.run(deadline, failing(kind, u32::MAX)).unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(clock.now() <= deadline, "waited past the deadline");
        }
        assert!(clock.now() > start);
    }

    #[test]
    fn a_deadline_that_is_here_leaves_one_try() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        clock.sleep(Duration::from_secs(1));
        let before = clock.now().checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(retry.run(before, failing(Kind::Unreachable, 0)).unwrap(), 1);
        assert_eq!(retry.run(before, failing(Kind::TimedOut, 1)).unwrap_err().kind(), Kind::TimedOut);
    }

    #[test]
    fn a_last_try_without_an_answer_does_not_hide_what_the_others_met() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        let mut kinds = [Kind::Unreachable, Kind::TimedOut].into_iter();
        let attempt = || Err::<(), _>(kinds.next().map_or(Error::new(Kind::Bug, "a third try"), |kind| Error::new(kind, "met")));
        let error = retry.run(clock.now() + Duration::from_mins(1), attempt).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unreachable, "trying 2 times: met"));
        let error = retry.run(clock.now() + Duration::from_mins(1), failing(Kind::TimedOut, 1)).unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
    }

    #[test]
    fn a_minute_of_throttling_is_survived() {
        let clock = FakeClock::shared();
        let retry = Retry::new(clock.clone());
        let until = clock.now() + Duration::from_mins(1);
        let busy = clock.clone();
        let attempt = || if busy.now() < until { Err(Error::new(Kind::Throttled, "slow down")) } else { Ok(()) };
        assert!(retry.run(clock.now() + Duration::from_mins(3), attempt).is_ok());
    }

    #[test]
    fn waits_double_and_end() {
        assert_eq!(wait_after(1), FIRST_WAIT);
        assert_eq!(wait_after(2), FIRST_WAIT * 2);
        assert_eq!(wait_after(40), LONGEST_WAIT);
    }
}
