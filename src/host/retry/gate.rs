//! One gate for all calls of the process: when a service says "slow down", everybody waits, one probes, then all go on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::jitter;
use crate::host::clock::Clock;

/// How long the gate stays closed the first time, at most.
const FIRST: Duration = Duration::from_secs(1);
/// How long it stays closed at most, however often the probe is refused.
const LONGEST: Duration = Duration::from_secs(30);
/// Waiters for a probe's outcome look this often, so that a deadline is never overslept.
const GLANCE: Duration = Duration::from_millis(50);

/// The gate. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Counts the trips, so that calls that left before a trip do not count as another one.
    trips: u64,
    /// From how long an interval the present closure was drawn; zero while the gate is open.
    backoff: Duration,
    door: Door,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    ClosedUntil(Instant),
    /// One call is out to see whether the service has recovered.
    Probing,
}

impl Gate {
    /// Open.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State { trips: 0, backoff: Duration::ZERO, door: Door::Open };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }), clock }
    }

    /// Waits until a call may go out; `None` when that is not before the deadline.
    #[must_use]
    pub fn enter(&self, deadline: Instant) -> Option<Pass<'_>> {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            match state.door {
                Door::Open => return Some(Pass { gate: self, trips: state.trips, probe: false }),
                Door::ClosedUntil(until) if until <= now => {
                    state.door = Door::Probing;
                    return Some(Pass { gate: self, trips: state.trips, probe: true });
                }
                Door::ClosedUntil(until) if until > deadline => return None,
                Door::ClosedUntil(until) => {
                    drop(state);
                    self.clock.sleep(until - now);
                    state = self.lock();
                }
                Door::Probing if now >= deadline => return None,
                Door::Probing => {
                    state = self.shared.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.shared.changed.notify_all();
    }
}

/// The right to make one call. Dropped without a word, it changes nothing, but lets somebody else probe.
#[must_use]
pub struct Pass<'g> {
    gate: &'g Gate,
    trips: u64,
    probe: bool,
}

impl Pass<'_> {
    /// The service answered: an open gate stays open, a probe opens it.
    pub fn succeeded(mut self) {
        if self.probe {
            self.probe = false;
            self.gate.change(|state| {
                state.door = Door::Open;
                state.backoff = Duration::ZERO;
            });
        }
    }

    /// The service asked us to slow down: the gate closes, for longer each time a probe is refused.
    pub fn throttled(mut self) {
        let probe = std::mem::take(&mut self.probe);
        let now = self.gate.clock.now();
        self.gate.change(|state| {
            // Others were under way when the gate closed; their refusals are the same one.
            if state.trips != self.trips {
                return;
            }
            state.trips += 1;
            state.backoff = if probe { (state.backoff * 2).clamp(FIRST, LONGEST) } else { FIRST };
            state.door = Door::ClosedUntil(now + jitter(state.backoff));
        });
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            let now = self.gate.clock.now();
            self.gate.change(|state| state.door = Door::ClosedUntil(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::FakeClock;

    fn gate() -> (Gate, Arc<FakeClock>, Instant) {
        let clock = FakeClock::shared();
        let deadline = clock.now() + Duration::from_hours(1);
        (Gate::new(clock.clone()), clock, deadline)
    }

    #[test]
    fn refused_probes_close_it_for_longer_up_to_a_limit() {
        let (gate, clock, deadline) = gate();
        let mut intervals = Vec::new();
        for _ in 0..8 {
            gate.enter(deadline).unwrap().throttled();
            intervals.push(gate.lock().backoff.as_secs());
        }
        assert_eq!(intervals, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert!(clock.waits().iter().all(|wait| *wait <= LONGEST));
    }

    #[test]
    fn calls_that_were_under_way_do_not_escalate() {
        let (gate, _, deadline) = gate();
        let crowd: Vec<_> = (0..20).map(|_| gate.enter(deadline).unwrap()).collect();
        for pass in crowd {
            pass.throttled();
        }
        let state = *gate.lock();
        assert_eq!((state.trips, state.backoff), (1, FIRST));
    }

    #[test]
    fn a_probe_that_is_answered_opens_it_for_all() {
        let (gate, _, deadline) = gate();
        gate.enter(deadline).unwrap().throttled();
        let probe = gate.enter(deadline).unwrap();
        assert!(probe.probe);
        probe.succeeded();
        assert!(!gate.enter(deadline).unwrap().probe);
        assert_eq!(gate.lock().backoff, Duration::ZERO);
    }

    #[test]
    fn only_one_probes_and_the_others_wait_for_its_outcome() {
        let (gate, _, deadline) = gate();
        gate.enter(deadline).unwrap().throttled();
        let probe = gate.enter(deadline).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| gate.enter(deadline).is_some_and(|pass| !pass.probe));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            probe.succeeded();
            assert!(other.join().unwrap());
        });
    }

    #[test]
    fn a_probe_that_ends_without_an_answer_lets_the_next_one_probe() {
        let (gate, _, deadline) = gate();
        gate.enter(deadline).unwrap().throttled();
        drop(gate.enter(deadline).unwrap());
        assert!(gate.enter(deadline).unwrap().probe);
    }

    #[test]
    fn nobody_waits_past_the_deadline() {
        let (gate, clock, deadline) = gate();
        gate.enter(deadline).unwrap().throttled();
        gate.lock().door = Door::ClosedUntil(clock.now() + Duration::from_secs(10));
        assert!(gate.enter(clock.now() + Duration::from_secs(5)).is_none());
    }
}
