//! One gate for all senders: while the service is away or busy, one of them asks now and then, and the others wait.
//!
//! Unlike the run's gate, nobody gives up here, so how long it may stay closed is what decides how soon after an outage logs
//! flow again: a service that is away is asked every few seconds, which costs it nothing; one that is busy is left alone longer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pause::Pause;
use crate::host::retry::jitter;

/// How long the service may be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

/// Nobody answers, or the service has a problem of its own. Shorter than what is left for a last flush, so that it is one try at least.
pub(super) const AWAY: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(4) };
/// It asks us to slow down.
pub(super) const BUSY: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(30) };
/// It does not believe who we are.
pub(super) const REFUSED: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// A pause that the service asks for is kept, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_mins(2);
/// Those who wait for a probe's outcome look this often whether they shall stop.
const GLANCE: Duration = Duration::from_millis(100);

impl Patience {
    /// The longest wait after so many tries.
    pub(super) fn after(self, tries: u32) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(self.longest)
    }
}

pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    pause: Arc<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Calls that left before the gate closed do not close it once more.
    trips: u64,
    /// How often it was closed without an answer that opened it.
    tries: u32,
    /// Since when nothing was answered.
    since: Option<Instant>,
    door: Door,
}

/// What a call that failed did to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    /// When to come back.
    pub(super) until: Instant,
    /// How long nothing has been answered.
    pub(super) lasts: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    ClosedUntil(Instant),
    Probing,
}

impl Gate {
    pub(super) fn new(pause: Arc<Pause>) -> Self {
        Self { state: Mutex::new(State { trips: 0, tries: 0, since: None, door: Door::Open }), changed: Condvar::new(), pause }
    }

    /// Waits until a call may go out; `None` when it is time to stop.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        loop {
            if self.pause.is_over() {
                return None;
            }
            let now = self.pause.now();
            match state.door {
                Door::Open => return Some(Pass { gate: self, trips: state.trips, probe: false }),
                Door::ClosedUntil(until) if until <= now => {
                    state.door = Door::Probing;
                    return Some(Pass { gate: self, trips: state.trips, probe: true });
                }
                Door::ClosedUntil(until) => {
                    drop(state);
                    self.pause.wait(until - now);
                    state = self.lock();
                }
                Door::Probing => {
                    state = self.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make one call. Dropped without a word, it lets somebody else probe.
#[must_use]
pub(super) struct Pass<'g> {
    gate: &'g Gate,
    trips: u64,
    probe: bool,
}

impl Pass<'_> {
    /// The service answered: the gate is open. Under constant throttling it does not forget at once how busy the service was.
    pub(super) fn answered(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.gate.change(|state| {
            state.tries /= 2;
            state.since = None;
            if probe {
                state.door = Door::Open;
            }
        });
    }

    /// It did not, or not with what we wanted: the gate closes, for longer each time.
    pub(super) fn closed(mut self, patience: Patience, asked_for: Option<Duration>) -> Closed {
        self.probe = false;
        let now = self.gate.pause.now();
        let mut closed = Closed { until: now, lasts: Duration::ZERO };
        self.gate.change(|state| {
            if state.trips == self.trips {
                let wait = jitter(patience.after(state.tries)).max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR));
                state.trips += 1;
                state.tries = state.tries.saturating_add(1).min(16);
                state.door = Door::ClosedUntil(now + wait);
            }
            closed.lasts = now.saturating_duration_since(*state.since.get_or_insert(now));
            if let Door::ClosedUntil(until) = state.door {
                closed.until = until;
            }
        });
        closed
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            let now = self.gate.pause.now();
            self.gate.change(|state| state.door = Door::ClosedUntil(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::FakeClock;

    fn gate() -> Gate {
        Gate::new(Arc::new(Pause::new(FakeClock::shared())))
    }

    #[test]
    fn a_service_that_is_away_is_asked_every_few_seconds_and_a_busy_one_less_often() {
        for (patience, most) in [(AWAY, 4), (BUSY, 30), (REFUSED, 30)] {
            let gate = gate();
            let waits: Vec<Duration> = (0..200).map(|_| wait(&gate, patience, None)).collect();
            let longest = waits.iter().max().unwrap();
            assert!(*longest <= Duration::from_secs(most), "{longest:?}");
            assert!(*longest > Duration::from_secs(most) / 2, "two hundred draws of {most} s reach {longest:?} only");
            assert!(waits.first().is_none_or(|first| *first <= patience.first));
        }
    }

    /// How long a call that fails closes the gate.
    fn wait(gate: &Gate, patience: Patience, asked_for: Option<Duration>) -> Duration {
        let pass = gate.enter().unwrap();
        let now = gate.pause.now();
        pass.closed(patience, asked_for).until - now
    }

    #[test]
    fn what_the_service_asks_for_is_kept_within_reason() {
        let gate = gate();
        assert!(wait(&gate, BUSY, Some(Duration::from_secs(9))) >= Duration::from_secs(9));
        assert_eq!(wait(&gate, BUSY, Some(Duration::from_hours(9))), LONGEST_ASKED_FOR);
    }

    #[test]
    fn calls_that_were_under_way_close_it_once() {
        let gate = gate();
        let crowd: Vec<_> = (0..4).map(|_| gate.enter().unwrap()).collect();
        for pass in crowd {
            pass.closed(AWAY, None);
        }
        assert_eq!(gate.lock().tries, 1);
    }

    #[test]
    fn an_answer_opens_it_for_all_and_only_one_asks() {
        let gate = gate();
        gate.enter().unwrap().closed(AWAY, None);
        let probe = gate.enter().unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| gate.enter().is_some_and(|pass| !pass.probe));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            probe.answered();
            assert!(other.join().unwrap());
        });
    }

    #[test]
    fn a_probe_that_is_dropped_lets_the_next_one_ask() {
        let gate = gate();
        gate.enter().unwrap().closed(AWAY, None);
        drop(gate.enter().unwrap());
        assert!(gate.enter().unwrap().probe);
    }

    #[test]
    fn nobody_waits_when_it_is_time_to_stop() {
        let gate = gate();
        gate.enter().unwrap().closed(BUSY, Some(Duration::from_mins(1)));
        gate.pause.end();
        assert!(gate.enter().is_none());
    }
}
