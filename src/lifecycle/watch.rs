//! The task beside a boot run: finds the hook, then keeps it waiting until told to stop, or until the deadline.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::find::look;
use super::pulse::Pulse;
use super::{Found, Hook, Line, find};
use crate::error::{Error, Kind, Result};
use crate::playbook::Lifecycle;

/// How often it looks whether it is told to stop.
const GLANCE: Duration = Duration::from_millis(200);
/// How long the last heartbeat before a reboot is tried.
const LAST_BEAT: Duration = Duration::from_secs(10);

/// What whoever follows the run is told.
pub enum Sign<'s> {
    /// One sentence.
    Said(&'s str),
    /// A heartbeat was taken.
    Heartbeat,
}

/// Tells whoever follows the run.
pub(super) type Tell = Arc<dyn Fn(Sign<'_>) + Send + Sync>;

/// Watches over one boot run. Dropped, it stops.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// When the watch began, and with it the run.
    began: Instant,
    line: Line,
    wanted: Lifecycle,
    tell: Tell,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: Option<Result<Found>>,
    expires: Option<Instant>,
    answer_by: Option<Instant>,
    stopped: bool,
}

impl Watch {
    /// Begins. `started` is when the instance did; `until` is the run's deadline.
    #[must_use]
    pub fn start(line: Line, wanted: Lifecycle, started: Instant, until: Instant, tell: Tell) -> Self {
        let shared = Arc::new(Shared { began: line.now(), line, wanted, tell, state: Mutex::default() });
        let working = shared.clone();
        let thread = std::thread::Builder::new().name("lifecycle".to_owned()).spawn(move || working.work(started, until));
        Self { shared, thread: Mutex::new(thread.ok()) }
    }

    /// The line it talks over.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.shared.line
    }

    /// When the hook stops waiting, as far as is known by now.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.shared.lock().expires
    }

    /// The hook's clock, for who plans the run.
    #[must_use]
    pub fn clock(&self) -> HookClock {
        HookClock { shared: self.shared.clone() }
    }

    /// The playbook's own mistake, if there is one (several hooks and none named): worth ending the run for.
    #[must_use]
    pub fn mistake(&self) -> Option<Error> {
        match &self.shared.lock().found {
            Some(Err(error)) if error.kind() == Kind::Playbook => Some(error.clone()),
            _ => None,
        }
    }

    /// Who waits for an answer. Looks again if there was nobody or nobody could be asked: a hook may be made after its group.
    ///
    /// # Errors
    /// As [`find()`].
    pub fn whom_to_tell(&self, deadline: Instant) -> Result<Found> {
        let found = loop {
            let found = self.shared.lock().found.clone();
            if found.is_some() || self.shared.line.now() >= deadline || self.is_over() {
                break found;
            }
            self.shared.line.retry.clock().sleep(GLANCE);
        };
        match found {
            Some(Ok(Found::Hook(hook))) => Ok(Found::Hook(hook)),
            Some(Err(error)) if error.kind() == Kind::Playbook => Err(error),
            _ => look(&self.shared.line, &self.shared.wanted, deadline),
        }
    }

    /// Keeps the hook waiting until this instant, which may be after the run's deadline, and returns then.
    pub fn hold(&self, hook: Hook, until: Instant) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        // One heartbeat at once: the hook's clock may be about to end.
        let since = self.line().now().checked_sub(hook.timeout).unwrap_or_else(|| self.line().now());
        self.shared.lock().stopped = false;
        self.shared.live(Pulse::new(hook, since), until);
        let line = self.line();
        line.retry.clock().sleep(until.saturating_duration_since(line.now()));
    }

    /// One last heartbeat, so that the hook has all of its time while the machine reboots. Nothing to say where nobody takes it.
    pub fn beat_once_more(&self) {
        self.stop();
        let found = self.shared.lock().found.clone();
        if let Some(Ok(Found::Hook(hook))) = found {
            let line = self.line();
            let now = line.now();
            let _ = Pulse::new(hook, now).beat(line, now + LAST_BEAT);
        }
    }

    /// No more heartbeats. One that is under way ends by itself.
    pub fn stop(&self) {
        self.shared.lock().stopped = true;
    }

    fn is_over(&self) -> bool {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(JoinHandle::is_finished)
    }
}

/// The hook's clock, as a run must know it.
#[derive(Clone)]
pub struct HookClock {
    shared: Arc<Shared>,
}

impl HookClock {
    /// What it says now; `None` while it does not run against the run.
    ///
    /// A hook whose time was over before the run began bounds nothing: nobody waits any more, and the report will say so.
    #[must_use]
    pub fn time(&self) -> Option<HookTime> {
        let state = self.shared.lock();
        let answer_by = state.answer_by.filter(|by| *by > self.shared.began)?;
        Some(HookTime { answer_by, expires: state.expires? })
    }
}

/// Two instants on the hook's clock, which the next heartbeat may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookTime {
    /// When the steps must be over for the verdict to come in time.
    pub answer_by: Instant,
    /// When the hook stops waiting.
    pub expires: Instant,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, sentence: &str) {
        (self.tell)(Sign::Said(sentence));
    }

    fn work(&self, started: Instant, until: Instant) {
        let found = find(&self.line, &self.wanted, until);
        self.lock().found = Some(found.clone());
        match found {
            Ok(Found::Hook(hook)) => {
                self.say(&format!("hook `{}` of group `{}` waits for this run", hook.name, hook.group));
                self.live(Pulse::new(hook, started), until);
            }
            Ok(Found::Nobody(why)) => self.say(&format!("no lifecycle hook to answer so far: {why}")),
            Err(error) => self.say(&format!("the lifecycle hook cannot be found: {error}")),
        }
    }

    /// Heartbeats until told to stop, or until this instant.
    fn live(&self, mut pulse: Pulse, until: Instant) {
        let mut last_problem: Option<String> = None;
        loop {
            let mut state = self.lock();
            state.expires = Some(pulse.expires());
            state.answer_by = pulse.answer_by();
            let stopped = state.stopped;
            drop(state);
            let now = self.line.now();
            if stopped || now >= until {
                return;
            }
            if pulse.due() > now {
                self.line.retry.clock().sleep(GLANCE.min(pulse.due() - now));
                continue;
            }
            let problem = pulse.beat(&self.line, until).map(|error| error.to_string());
            if problem.is_none() {
                (self.tell)(Sign::Heartbeat);
            }
            // Said once, not every few seconds.
            if let Some(problem) = problem.as_ref().filter(|problem| last_problem.as_ref() != Some(problem)) {
                self.say(&format!("a heartbeat was not taken: {problem}"));
            }
            last_problem = problem;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::scripted::Scripted;

    fn wait_until(what: impl Fn() -> bool) {
        let start = std::time::Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(10), "did not happen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn heartbeats_end_with_the_deadline() {
        let scripted = Scripted::new().member("g", "Pending:Wait").hook("h", 300).active("h");
        let line = scripted.line();
        let start = line.now();
        let told = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = told.clone();
        let count = Arc::new(move |sign: Sign<'_>| {
            counted.fetch_add(usize::from(matches!(sign, Sign::Heartbeat)), std::sync::atomic::Ordering::SeqCst);
        });
        let watch = Watch::start(line, Lifecycle::default(), start, start + Duration::from_mins(10), count);
        wait_until(|| watch.is_over());
        let beats = scripted.calls().iter().filter(|call| call.starts_with("heartbeat")).count();
        assert!((4..=8).contains(&beats), "{beats}");
        assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), beats, "each is told");
        assert!(watch.expires().is_some_and(|expires| expires > start + Duration::from_mins(10)));
    }

    #[test]
    fn without_heartbeats_the_steps_must_be_over_before_the_hook_is() {
        let scripted = Scripted::new().denied();
        let line = scripted.line();
        let start = line.now();
        let wanted = Lifecycle {
            group: Some("g".to_owned()),
            hook: Some("h".to_owned()),
            timeout: Some(crate::step::fields::Span(Duration::from_secs(300))),
        };
        let watch = Watch::start(line.clone(), wanted.clone(), start, start + Duration::from_mins(10), Arc::new(|_| ()));
        let clock = watch.clock();
        wait_until(|| watch.is_over());
        let time = HookTime { answer_by: start + Duration::from_secs(260), expires: start + Duration::from_secs(300) };
        assert_eq!(clock.time(), Some(time));
        let late = Watch::start(line.clone(), wanted, start, line.now() + Duration::from_mins(1), Arc::new(|_| ()));
        let clock = late.clock();
        wait_until(|| late.is_over());
        assert_eq!(clock.time(), None, "it was over before this run began");
    }

    #[test]
    fn a_mistake_in_the_playbook_is_known_early() {
        let scripted = Scripted::new().member("g", "Pending:Wait").hook("a", 300).hook("b", 300);
        let line = scripted.line();
        let start = line.now();
        let watch = Watch::start(line, Lifecycle::default(), start, start + Duration::from_mins(10), Arc::new(|_| ()));
        wait_until(|| watch.mistake().is_some());
        assert!(watch.whom_to_tell(start + Duration::from_mins(10)).is_err());
    }

    #[test]
    fn a_hook_that_is_made_later_is_found_at_the_end() {
        let scripted = Scripted::new().member("g", "Pending");
        let line = scripted.line();
        let start = line.now();
        let watch = Watch::start(line, Lifecycle::default(), start, start + Duration::from_mins(10), Arc::new(|_| ()));
        wait_until(|| watch.is_over());
        scripted.add_hook("late", 60);
        let found = watch.whom_to_tell(start + Duration::from_mins(10)).unwrap();
        assert!(matches!(found, Found::Hook(hook) if hook.name == "late"));
    }
}
