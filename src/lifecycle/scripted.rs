//! An Auto Scaling that does what a test says, on a clock that a test moves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Line;
use crate::error::{Error, Kind, Result};
use crate::host::aws::{Answer, AutoScaling, LaunchHook, Membership, Verdict};
use crate::host::clock::{Clock as _, FakeClock};
use crate::host::retry::Retry;
use crate::host::state::StateFolder;

/// The script, and what was asked of it.
#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) clock: Arc<FakeClock>,
    state: Arc<Mutex<Script>>,
    folder: Arc<tempfile::TempDir>,
}

#[derive(Default)]
struct Script {
    member: Option<Membership>,
    hooks: Vec<LaunchHook>,
    active: Option<String>,
    active_from: Option<Instant>,
    throttled_until: Option<Instant>,
    denied: bool,
    calls: Vec<String>,
    taken: Vec<Verdict>,
}

impl Scripted {
    pub(super) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self { clock: FakeClock::shared(), state: Arc::default(), folder }
    }

    fn with(self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.state.lock().unwrap());
        self
    }

    pub(super) fn member(self, group: &str, state: &str) -> Self {
        self.with(|script| script.member = Some(Membership { group: group.to_owned(), state: state.to_owned() }))
    }

    pub(super) fn hook(self, name: &str, seconds: u64) -> Self {
        self.add_hook(name, seconds);
        self
    }

    pub(super) fn add_hook(&self, name: &str, seconds: u64) {
        self.state.lock().unwrap().hooks.push(LaunchHook { name: name.to_owned(), timeout: Duration::from_secs(seconds) });
    }

    /// An action of this hook waits.
    pub(super) fn active(self, hook: &str) -> Self {
        self.with(|script| script.active = Some(hook.to_owned()))
    }

    /// It begins to wait after this much time.
    pub(super) fn active_after(self, hook: &str, span: Duration) -> Self {
        let from = self.clock.now() + span;
        self.active(hook).with(|script| script.active_from = Some(from))
    }

    pub(super) fn throttled_for(self, span: Duration) -> Self {
        let until = self.clock.now() + span;
        self.with(|script| script.throttled_until = Some(until))
    }

    pub(super) fn denied(self) -> Self {
        self.with(|script| script.denied = true)
    }

    pub(super) fn allow(&self) {
        self.state.lock().unwrap().denied = false;
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(super) fn taken(&self) -> Vec<Verdict> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(super) fn line(&self) -> Line {
        Line {
            service: Arc::new(self.clone()),
            retry: Retry::new(self.clock.clone()),
            instance: "i-1".to_owned(),
            boot: "boot-1".to_owned(),
            state: StateFolder::new(self.folder.path().join("state")),
        }
    }

    fn asked<T>(&self, call: String, answer: impl FnOnce(&mut Script, Instant) -> T) -> Result<T> {
        let mut script = self.state.lock().unwrap();
        let now = self.clock.now();
        if script.throttled_until.is_some_and(|until| now < until) {
            return Err(Error::new(Kind::Throttled, "`Throttling`"));
        }
        script.calls.push(call);
        if script.denied {
            return Err(Error::new(Kind::Denied, "`AccessDenied`"));
        }
        Ok(answer(&mut script, now))
    }
}

impl Script {
    fn waits(&self, hook: &str, now: Instant) -> bool {
        self.active.as_deref() == Some(hook) && self.active_from.is_none_or(|from| from <= now)
    }
}

impl AutoScaling for Scripted {
    fn membership(&self, _: &str) -> Result<Option<Membership>> {
        self.asked("membership".to_owned(), |script, _| script.member.clone())
    }

    fn launch_hooks(&self, group: &str) -> Result<Vec<LaunchHook>> {
        self.asked(format!("hooks {group}"), |script, _| script.hooks.clone())
    }

    fn heartbeat(&self, _: &str, hook: &str, _: &str) -> Result<Answer> {
        self.asked(
            format!("heartbeat {hook}"),
            |script, now| {
                if script.waits(hook, now) { Answer::Taken } else { Answer::NoActiveAction }
            },
        )
    }

    fn complete(&self, _: &str, hook: &str, _: &str, verdict: Verdict) -> Result<Answer> {
        self.asked(format!("complete {hook} {}", verdict.word()), |script, now| {
            if !script.waits(hook, now) {
                return Answer::NoActiveAction;
            }
            script.active = None;
            script.taken.push(verdict);
            Answer::Taken
        })
    }
}
