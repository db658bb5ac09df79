//! How far a run may plan: to its own deadline, and never beyond the moment at which the lifecycle hook must have its answer.
//!
//! The hook's moment moves with every heartbeat that is taken, so it is asked for anew each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::host::deadline::Deadline;
use crate::lifecycle::{HookClock, HookTime};
use crate::step::fields::Span;

/// How often whoever waits looks whether the hook's clock says something else by now.
pub const GLANCE: Duration = Duration::from_secs(1);

/// What the hook's clock says, as far as is known now.
type AskHook = Arc<dyn Fn() -> Option<HookTime> + Send + Sync>;

/// The end of a run's time. Clones share the hook's clock.
#[derive(Clone)]
pub struct Horizon {
    began: Instant,
    deadline: Instant,
    hook: Option<AskHook>,
}

impl Horizon {
    /// A run that began then and may take so long.
    #[must_use]
    pub fn new(began: Instant, budget: Duration) -> Self {
        Self { began, deadline: began + budget, hook: None }
    }

    /// The same, and a hook waits for the run.
    #[must_use]
    pub fn under(self, clock: Option<HookClock>) -> Self {
        let hook = clock.map(|clock| Arc::new(move || clock.time()) as AskHook);
        Self { hook, ..self }
    }

    /// When the run began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The `deadline:` of the run, whatever the hook says.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When the steps must be over, as far as is known now.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.hook().map_or(self.deadline, |hook| hook.answer_by.min(self.deadline))
    }

    /// Whether nothing may start any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Why it is over, in words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        if self.hook().is_some_and(|hook| hook.answer_by < self.deadline) {
            "the time of the lifecycle hook is nearly over and no heartbeat is taken"
        } else {
            "the `deadline:` of the run is over"
        }
    }

    /// The same, with who took how much of it.
    #[must_use]
    pub fn eaten_by(&self, name: &str, took: Duration) -> String {
        let budget = whole(self.end().saturating_duration_since(self.began));
        format!("{}; {name} took {} of {budget}", self.why(), whole(took))
    }

    /// How long after the end whoever has not stopped is waited for: so long, unless the hook leaves less.
    #[must_use]
    pub fn grace(&self, most: Duration) -> Duration {
        let Some(hook) = self.hook() else { return most };
        // The rest is for the logs and the verdict.
        most.min(hook.expires.saturating_duration_since(self.end()) * 3 / 5)
    }

    fn hook(&self) -> Option<HookTime> {
        self.hook.as_ref().and_then(|hook| hook())
    }
}

/// When a step must be over: its own `timeout:`, within the run's horizon.
#[derive(Clone)]
pub struct Limit {
    own: Option<Instant>,
    horizon: Horizon,
}

impl Limit {
    /// The limit of a step that starts now.
    #[must_use]
    pub fn new(timeout: Option<Duration>, horizon: Horizon) -> Self {
        Self { own: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), horizon }
    }

    /// The instant, as far as is known now.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.own.map_or(self.horizon.end(), |own| own.min(self.horizon.end()))
    }

    /// The same for the step's programs, which are stopped then.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        let last = self.horizon.deadline();
        let horizon = self.horizon.clone();
        Deadline::at(self.own.map_or(last, |own| own.min(last))).or(move || horizon.hook().map(|hook| hook.answer_by))
    }

    /// When a step that has not stopped is left behind.
    #[must_use]
    pub fn left_behind(&self, grace: Duration) -> Instant {
        self.instant() + self.horizon.grace(grace)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.instant()
    }

    /// Whether it is the step's own `timeout:` that ends it.
    #[must_use]
    pub fn is_its_own(&self) -> bool {
        self.own.is_some_and(|own| own < self.horizon.end())
    }
}

/// A span in whole seconds, where it has any: nobody counts a budget in milliseconds.
fn whole(span: Duration) -> Span {
    if span < Duration::from_secs(1) { Span(span) } else { Span(Duration::from_secs(span.as_secs())) }
}

#[cfg(test)]
impl Horizon {
    /// A horizon whose hook must have its answer then, and ends half a minute later.
    #[must_use]
    pub fn with_hook(self, answer_by: impl Fn() -> Option<Instant> + Send + Sync + 'static) -> Self {
        let time = |answer_by| HookTime { answer_by, expires: answer_by + Duration::from_secs(30) };
        Self { hook: Some(Arc::new(move || answer_by().map(time))), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_hook_ends_a_run_before_its_deadline_and_a_heartbeat_moves_it() {
        let began = Instant::now();
        let hook = Arc::new(Mutex::new(Some(began + Duration::from_secs(5))));
        let asked = hook.clone();
        let horizon = Horizon::new(began, Duration::from_mins(1)).with_hook(move || *asked.lock().unwrap());
        let limit = Limit::new(Some(Duration::from_secs(30)), horizon.clone());
        assert_eq!(limit.instant(), began + Duration::from_secs(5));
        assert!(horizon.why().contains("lifecycle hook") && !limit.is_its_own());
        *hook.lock().unwrap() = Some(began + Duration::from_mins(2));
        assert_eq!(horizon.end(), began + Duration::from_mins(1));
        assert!(horizon.why().contains("`deadline:`") && limit.is_its_own());
        *hook.lock().unwrap() = None;
        assert_eq!(
            horizon.eaten_by("step 1 `pip`", Duration::from_millis(50_400)),
            format!("{}; step 1 `pip` took 50s of 1m", horizon.why())
        );
    }

    #[test]
    fn programs_are_stopped_when_the_hook_must_have_its_answer() {
        let began = Instant::now();
        let by = began + Duration::from_secs(20);
        let limit = Limit::new(None, Horizon::new(began, Duration::from_mins(1)).with_hook(move || Some(by)));
        assert_eq!((limit.deadline().instant(), limit.deadline().last()), (by, began + Duration::from_mins(1)));
    }

    #[test]
    fn a_hook_that_is_about_to_expire_is_not_kept_waiting_for_who_does_not_stop() {
        let began = Instant::now();
        let by = began + Duration::from_secs(20);
        let limit = Limit::new(None, Horizon::new(began, Duration::from_mins(1)).with_hook(move || Some(by)));
        assert_eq!(limit.left_behind(Duration::from_secs(10)), by + Duration::from_secs(10));
        assert_eq!(limit.left_behind(Duration::from_mins(1)), by + Duration::from_secs(18));
        let alone = Limit::new(None, Horizon::new(began, Duration::from_mins(1)));
        assert_eq!(alone.left_behind(Duration::from_secs(10)), began + Duration::from_secs(70));
    }
}
