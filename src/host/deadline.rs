//! When a step must be over. A heartbeat that the lifecycle hook takes puts that off, so whoever waits asks anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often whoever waits for something else looks whether its deadline has moved.
const GLANCE: Duration = Duration::from_secs(1);

/// An instant that may come sooner than it must, as far as is known now.
type Sooner = Arc<dyn Fn() -> Option<Instant> + Send + Sync>;

/// When a step must be over, and its programs with it.
#[derive(Clone)]
pub struct Deadline {
    last: Instant,
    sooner: Option<Sooner>,
}

impl Deadline {
    /// This instant, which nothing moves.
    #[must_use]
    pub fn at(last: Instant) -> Self {
        Self { last, sooner: None }
    }

    /// The same, or what this says at the time, if that is sooner.
    #[must_use]
    pub fn or(self, sooner: impl Fn() -> Option<Instant> + Send + Sync + 'static) -> Self {
        Self { sooner: Some(Arc::new(sooner)), ..self }
    }

    /// The same, and in no case later than this.
    #[must_use]
    pub fn capped(self, cap: Instant) -> Self {
        Self { last: self.last.min(cap), ..self }
    }

    /// The instant after which it cannot be put off.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.last
    }

    /// The instant, as far as is known now.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.sooner.as_ref().and_then(|sooner| sooner()).map_or(self.last, |sooner| sooner.min(self.last))
    }

    /// How long to sleep before asking anew; nothing when it is over.
    #[must_use]
    pub fn nap(&self, now: Instant) -> Duration {
        let left = self.instant().saturating_duration_since(now);
        if self.sooner.is_some() { left.min(GLANCE) } else { left }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_sooner_is_asked_anew_and_never_later_than_the_last() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let hook = Arc::new(Mutex::new(Some(after(5))));
        let asked = hook.clone();
        let deadline = Deadline::at(after(60)).or(move || *asked.lock().unwrap());
        assert_eq!((deadline.instant(), deadline.nap(now)), (after(5), GLANCE));
        *hook.lock().unwrap() = Some(after(90));
        assert_eq!(deadline.instant(), after(60));
        assert_eq!(deadline.clone().capped(after(30)).instant(), after(30));
        *hook.lock().unwrap() = None;
        assert_eq!((deadline.instant(), deadline.last()), (after(60), after(60)));
        *hook.lock().unwrap() = Some(now);
        assert_eq!(deadline.nap(now), Duration::ZERO);
    }
}
