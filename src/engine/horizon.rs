//! How far a run may plan: to its own deadline, and never beyond the moment at which the lifecycle hook must have its answer.
//!
//! The hook's moment moves with every heartbeat that is taken, so it is asked for anew each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lifecycle::HookClock;
use crate::step::fields::Span;

/// How often whoever waits looks whether the hook's clock says something else by now.
pub const GLANCE: Duration = Duration::from_secs(1);

/// When the hook must have its answer, as far as is known now.
type AnswerBy = Arc<dyn Fn() -> Option<Instant> + Send + Sync>;

/// The end of a run's time. Clones share the hook's clock.
#[derive(Clone)]
pub struct Horizon {
    began: Instant,
    deadline: Instant,
    answer_by: Option<AnswerBy>,
}

impl Horizon {
    /// A run that began then and may take so long.
    #[must_use]
    pub fn new(began: Instant, budget: Duration) -> Self {
        Self { began, deadline: began + budget, answer_by: None }
    }

    /// The same, and a hook waits for the run.
    #[must_use]
    pub fn under(self, clock: Option<HookClock>) -> Self {
        let answer_by = clock.map(|clock| Arc::new(move || clock.answer_by()) as AnswerBy);
        Self { answer_by, ..self }
    }

    /// The `deadline:` of the run, whatever the hook says.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When the steps must be over, as far as is known now.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.hook().map_or(self.deadline, |by| by.min(self.deadline))
    }

    /// Whether nothing may start any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// Why it is over, in words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        if self.hook().is_some_and(|by| by < self.deadline) {
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

    fn hook(&self) -> Option<Instant> {
        self.answer_by.as_ref().and_then(|answer_by| answer_by())
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

    /// The instant at which programs are stopped. A heartbeat may yet move the hook's; nothing moves these.
    #[must_use]
    pub fn fixed(&self) -> Instant {
        self.own.map_or(self.horizon.deadline(), |own| own.min(self.horizon.deadline()))
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
    /// A horizon whose hook must have its answer then.
    #[must_use]
    pub fn with_hook(self, answer_by: impl Fn() -> Option<Instant> + Send + Sync + 'static) -> Self {
        Self { answer_by: Some(Arc::new(answer_by)), ..self }
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
    fn programs_are_not_stopped_by_a_hook_that_may_yet_wait_longer() {
        let began = Instant::now();
        let horizon = Horizon::new(began, Duration::from_mins(1)).with_hook(move || Some(began));
        let limit = Limit::new(None, horizon);
        assert!(limit.is_over());
        assert_eq!(limit.fixed(), began + Duration::from_mins(1));
    }
}
