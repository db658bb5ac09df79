//! Named locks and places at the workbench: what keeps two steps from using `dpkg` at once, and a hundred from starting at once.
//!
//! A step takes all its locks in one go or none, so steps cannot block each other crosswise.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::horizon::{GLANCE, Horizon};

/// The locks of one run. Clones share them.
#[derive(Clone)]
pub struct Locks(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Which step holds which lock.
    held: BTreeMap<&'static str, usize>,
    /// Steps at work.
    working: Vec<usize>,
    width: usize,
    closed: bool,
    abandoned: Vec<usize>,
}

/// Why a step may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Nothing new starts any more.
    Closed,
    /// The time was over while another step held this lock, or while all places were taken.
    TimedOut(Option<(&'static str, usize)>),
    /// The step which holds this lock was abandoned: it will never let go.
    Abandoned(&'static str, usize),
}

impl Locks {
    /// Lets this many steps work at once.
    #[must_use]
    pub fn new(width: usize) -> Self {
        let state = State { held: BTreeMap::new(), working: Vec::new(), width, closed: false, abandoned: Vec::new() };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    /// Waits for all these locks and a place; `waiting` is told once, when it has to wait for a lock.
    ///
    /// # Errors
    /// Why it cannot begin.
    pub fn take(
        &self,
        names: &[&'static str],
        step: usize,
        horizon: &Horizon,
        mut waiting: impl FnMut(&'static str, usize),
    ) -> Result<Held, Refused> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = false;
        loop {
            if state.closed {
                return Err(Refused::Closed);
            }
            let taken = names.iter().find_map(|name| state.held.get(name).map(|holder| (*name, *holder)));
            match taken {
                Some((name, holder)) if state.abandoned.contains(&holder) => return Err(Refused::Abandoned(name, holder)),
                Some((name, holder)) if !told => {
                    told = true;
                    waiting(name, holder);
                }
                None if state.working.len() < state.width => {
                    state.held.extend(names.iter().map(|name| (*name, step)));
                    state.working.push(step);
                    return Ok(Held { locks: self.clone(), step });
                }
                _ => {}
            }
            let left = horizon.end().saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refused::TimedOut(taken));
            }
            state = self.0.changed.wait_timeout(state, left.min(GLANCE)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing new starts any more; whoever waits is refused.
    pub fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.changed.notify_all();
    }

    /// This step is past its time: its place is free again, its locks stay held.
    pub fn abandon(&self, step: usize) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.abandoned.push(step);
        state.working.retain(|other| *other != step);
        self.0.changed.notify_all();
    }
}

/// Locks and a place, given back on drop.
pub struct Held {
    locks: Locks,
    step: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.locks.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        // What was given up on stays given up: nobody knows in which state it left what the locks protect.
        if !state.abandoned.contains(&self.step) {
            state.held.retain(|_, holder| *holder != self.step);
            state.working.retain(|step| *step != self.step);
        }
        self.locks.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Horizon {
        Horizon::new(Instant::now(), Duration::from_millis(30))
    }

    #[test]
    fn one_holder_at_a_time() {
        let locks = Locks::new(8);
        let first = locks.take(&["packages"], 1, &soon(), |_, _| {}).unwrap();
        let mut told = Vec::new();
        let refused = locks.take(&["systemd", "packages"], 2, &soon(), |name, step| told.push((name, step))).err();
        assert_eq!(refused, Some(Refused::TimedOut(Some(("packages", 1)))));
        assert_eq!(told, [("packages", 1)]);
        let other = locks.take(&["systemd"], 3, &soon(), |_, _| {}).expect("all locks or none");
        drop((first, other));
        assert!(locks.take(&["systemd", "packages"], 2, &soon(), |_, _| {}).is_ok());
    }

    #[test]
    fn no_more_than_there_are_places() {
        let locks = Locks::new(1);
        let first = locks.take(&[], 1, &soon(), |_, _| {}).unwrap();
        assert_eq!(locks.take(&[], 2, &soon(), |_, _| {}).err(), Some(Refused::TimedOut(None)));
        drop(first);
        assert!(locks.take(&[], 2, &soon(), |_, _| {}).is_ok());
    }

    #[test]
    fn an_abandoned_step_keeps_its_locks_and_gives_its_place_back() {
        let locks = Locks::new(1);
        let lost = locks.take(&["packages"], 1, &soon(), |_, _| {}).unwrap();
        locks.abandon(1);
        assert_eq!(locks.take(&["packages"], 2, &soon(), |_, _| {}).err(), Some(Refused::Abandoned("packages", 1)));
        assert!(locks.take(&[], 3, &soon(), |_, _| {}).is_ok());
        drop(lost);
        assert_eq!(locks.take(&["packages"], 2, &soon(), |_, _| {}).err(), Some(Refused::Abandoned("packages", 1)));
    }

    #[test]
    fn closing_refuses_those_who_wait() {
        let locks = Locks::new(8);
        let _held = locks.take(&["packages"], 1, &soon(), |_, _| {}).unwrap();
        let waiting = std::thread::spawn({
            let locks = locks.clone();
            move || locks.take(&["packages"], 2, &Horizon::new(Instant::now(), Duration::from_mins(1)), |_, _| {}).err()
        });
        locks.close();
        assert_eq!(waiting.join().unwrap(), Some(Refused::Closed));
    }
}
