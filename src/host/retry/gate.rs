//! One gate for all calls that share a service: when it asks us to slow down, or is away, one of us asks now and then, and the
//! others wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::jitter;

/// A pause that the service asks for is kept, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_mins(2);
/// Those who wait for a probe's outcome look this often whether they still have time for it.
const GLANCE: Duration = Duration::from_millis(50);

/// How long the service may be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first time, at most.
    pub first: Duration,
    /// At most, however often it was asked in vain.
    pub longest: Duration,
}

impl Patience {
    /// The interval from which the wait after so many tries is drawn.
    #[must_use]
    pub fn after(self, tries: u32) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(self.longest)
    }
}

/// Who waits at the gate, and for how long.
pub trait Waiting {
    /// This instant.
    fn now(&self) -> Instant;
    /// Whether no call is wanted any more, not even through an open gate.
    fn is_over(&self) -> bool;
    /// Whether it is worth waiting until then.
    fn has_until(&self, then: Instant) -> bool;
    /// Lets time pass; less of it, where it is worth it no more.
    fn wait(&self, span: Duration);
}

/// The gate. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How often it closed: calls that left before that do not close it once more.
    trips: u64,
    /// How often it closed without an answer that opened it.
    tries: u32,
    /// Since when nothing was answered.
    since: Option<Instant>,
    door: Door,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    ClosedUntil(Instant),
    /// One call is out to see whether the service has recovered.
    Probing,
}

/// What a call that failed did to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// When to come back.
    pub until: Instant,
    /// How long nothing has been answered.
    pub lasts: Duration,
}

impl Gate {
    /// Waits until a call may go out; `None` when there is no time for that.
    #[must_use]
    pub fn enter<'g>(&'g self, who: &'g dyn Waiting) -> Option<Pass<'g>> {
        let mut state = self.lock();
        loop {
            if who.is_over() {
                return None;
            }
            let now = who.now();
            match state.door {
                Door::Open => return Some(Pass { gate: self, who, trips: state.trips, probe: false }),
                Door::ClosedUntil(until) if until <= now => {
                    state.door = Door::Probing;
                    return Some(Pass { gate: self, who, trips: state.trips, probe: true });
                }
                Door::ClosedUntil(until) if !who.has_until(until) => return None,
                Door::ClosedUntil(until) => {
                    drop(state);
                    who.wait(until - now);
                    state = self.lock();
                }
                Door::Probing if !who.has_until(now) => return None,
                Door::Probing => {
                    state = self.0.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }
}

/// The right to make one call. Dropped without a word, it changes nothing, but lets somebody else probe.
#[must_use]
pub struct Pass<'g> {
    gate: &'g Gate,
    who: &'g dyn Waiting,
    trips: u64,
    probe: bool,
}

impl Pass<'_> {
    /// The service answered: the gate is open. It does not forget at once how busy the service was.
    pub fn answered(mut self) {
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
    pub fn closed(mut self, patience: Patience, asked_for: Option<Duration>) -> Closed {
        self.probe = false;
        let now = self.who.now();
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
            let now = self.who.now();
            self.gate.change(|state| state.door = Door::ClosedUntil(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::{Clock, FakeClock};
    use crate::host::retry::Until;

    const PATIENCE: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

    struct Scene {
        gate: Gate,
        clock: Arc<FakeClock>,
    }

    impl Scene {
        fn new() -> Self {
            Self { gate: Gate::default(), clock: FakeClock::shared() }
        }

        fn until(&self, left: Duration) -> Until<'_> {
            Until { clock: &*self.clock, deadline: self.clock.now() + left }
        }

        fn hour(&self) -> Until<'_> {
            self.until(Duration::from_hours(1))
        }

        /// How long a call that fails closes the gate.
        fn wait(&self, patience: Patience, asked_for: Option<Duration>) -> Duration {
            let hour = self.hour();
            let pass = self.gate.enter(&hour).unwrap();
            let now = self.clock.now();
            pass.closed(patience, asked_for).until - now
        }
    }

    #[test]
    fn refused_probes_close_it_for_longer_up_to_a_limit() {
        assert_eq!([0, 1, 2, 3, 4, 5, 40].map(|tries| PATIENCE.after(tries).as_secs()), [1, 2, 4, 8, 16, 30, 30]);
        let scene = Scene::new();
        let waits: Vec<Duration> = (0..200).map(|_| scene.wait(PATIENCE, None)).collect();
        for (wait, tries) in waits.iter().zip(0..) {
            assert!(*wait <= PATIENCE.after(tries), "{wait:?} after {tries} tries");
        }
        let longest = waits.iter().max().unwrap();
        assert!(*longest > PATIENCE.longest / 2, "two hundred draws reach {longest:?} only");
    }

    #[test]
    fn what_the_service_asks_for_is_kept_within_reason() {
        let scene = Scene::new();
        assert!(scene.wait(PATIENCE, Some(Duration::from_secs(9))) >= Duration::from_secs(9));
        assert_eq!(scene.wait(PATIENCE, Some(Duration::from_hours(9))), LONGEST_ASKED_FOR);
    }

    #[test]
    fn calls_that_were_under_way_close_it_once() {
        let scene = Scene::new();
        let hour = scene.hour();
        let crowd: Vec<_> = (0..20).map(|_| scene.gate.enter(&hour).unwrap()).collect();
        for pass in crowd {
            pass.closed(PATIENCE, None);
        }
        let state = *scene.gate.lock();
        assert_eq!((state.trips, state.tries), (1, 1));
    }

    #[test]
    fn a_probe_that_is_answered_opens_it_for_all_and_only_one_asks() {
        let scene = Scene::new();
        scene.wait(PATIENCE, None);
        let (hour, others) = (scene.hour(), scene.hour());
        let probe = scene.gate.enter(&hour).unwrap();
        assert!(probe.probe);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| scene.gate.enter(&others).is_some_and(|pass| !pass.probe));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            probe.answered();
            assert!(other.join().unwrap());
        });
        assert_eq!(scene.gate.lock().tries, 0);
    }

    #[test]
    fn how_busy_the_service_was_is_not_forgotten_at_its_first_answer() {
        let scene = Scene::new();
        for _ in 0..4 {
            scene.wait(PATIENCE, None);
        }
        scene.gate.enter(&scene.hour()).unwrap().answered();
        assert_eq!(scene.gate.lock().tries, 2);
    }

    #[test]
    fn a_probe_that_ends_without_an_answer_lets_the_next_one_probe() {
        let scene = Scene::new();
        scene.wait(PATIENCE, None);
        let hour = scene.hour();
        drop(scene.gate.enter(&hour).unwrap());
        assert!(scene.gate.enter(&hour).unwrap().probe);
    }

    #[test]
    fn nobody_waits_longer_than_there_is_time() {
        let scene = Scene::new();
        scene.wait(PATIENCE, Some(Duration::from_secs(10)));
        let before = scene.clock.now();
        assert!(scene.gate.enter(&scene.until(Duration::from_secs(5))).is_none());
        assert_eq!(scene.clock.now(), before);
    }
}
