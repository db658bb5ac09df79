//! Heartbeats: within each third of the timeout, until the deadline and no longer.

use std::time::{Duration, Instant};

use super::{Hook, Line};
use crate::error::Error;
use crate::host::aws::Answer;
use crate::host::retry::jitter;

/// After a heartbeat that nobody took, the next one comes sooner than usual, within these limits.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(15);
/// What a failed run needs after its steps: to give up on one, to flush the logs before ABANDON, to say the verdict.
const RESERVE: Duration = Duration::from_secs(40);

/// The hook's clock as we know it.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    hook: Hook,
    /// When the hook's clock last started: the instance's start, until a heartbeat has been taken.
    since: Instant,
    next: Instant,
    /// Whether the last answer was that no action waits: too early, or long answered. Then no clock runs against us.
    unawaited: bool,
}

impl Pulse {
    /// The hook's clock began to run when the instance started.
    pub(super) fn new(hook: Hook, started: Instant) -> Self {
        let next = started + interval(hook.timeout);
        Self { hook, since: started, next, unawaited: false }
    }

    /// When the next heartbeat is due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// When the hook stops waiting, unless it hears from us.
    pub(super) fn expires(&self) -> Instant {
        self.since + self.hook.timeout
    }

    /// When the steps must be over, so that the verdict comes in time even if no further heartbeat is taken.
    pub(super) fn answer_by(&self) -> Option<Instant> {
        // A third at most: the next heartbeat is due when two thirds are left.
        let reserve = RESERVE.min(self.hook.timeout / 3);
        (!self.unawaited).then(|| self.since + self.hook.timeout.saturating_sub(reserve))
    }

    /// Sends one heartbeat. The error is worth a word, not a failure: the next one may be taken.
    pub(super) fn beat(&mut self, line: &Line, until: Instant) -> Option<Error> {
        let sent = line.now();
        let patience = until.min(sent + self.hook.timeout / 3);
        let answer = line.retry.run(patience, || line.service.heartbeat(&self.hook.group, &self.hook.name, &line.instance));
        let now = line.now();
        if let Ok(answer) = &answer {
            self.unawaited = matches!(answer, Answer::NoActiveAction);
        }
        if let Ok(Answer::Taken) = answer {
            // Counted from before the call, so that we are never the one who is late.
            self.since = sent;
            self.next = now.max(sent + interval(self.hook.timeout));
            return None;
        }
        self.next = now + (self.hook.timeout / 10).clamp(SOONEST, LATEST);
        // Too early, or long answered: the report will tell which.
        answer.err()
    }
}

/// From one heartbeat to the next: at most a third of the timeout, so that two may be lost. A group launches its instances in one
/// moment and all of them share one small quota, so they do not beat in one moment.
fn interval(timeout: Duration) -> Duration {
    timeout / 4 + jitter(timeout / 12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::scripted::Scripted;

    fn hook(seconds: u64) -> Hook {
        Hook { group: "g".to_owned(), name: "h".to_owned(), timeout: Duration::from_secs(seconds) }
    }

    /// Beats on the fake clock, as the watch does.
    fn live(line: &Line, pulse: &mut Pulse, until: Instant) {
        while pulse.due() < until {
            line.retry.clock().sleep(pulse.due().saturating_duration_since(line.now()));
            let _ = pulse.beat(line, until);
        }
    }

    #[test]
    fn it_beats_within_each_third_until_the_deadline() {
        let scripted = Scripted::new().active("h");
        let line = scripted.line();
        let start = line.now();
        let mut pulse = Pulse::new(hook(450), start);
        live(&line, &mut pulse, start + Duration::from_secs(1000));
        assert!((6..=8).contains(&scripted.calls().len()), "{}", scripted.calls().len());
        assert!(line.now() < start + Duration::from_secs(1000));
        assert!(pulse.expires() > line.now());
    }

    #[test]
    fn a_fleet_that_was_launched_in_one_moment_does_not_beat_in_one() {
        let start = Scripted::new().line().now();
        let due: Vec<u64> = (0..100).map(|_| (Pulse::new(hook(450), start).due() - start).as_secs()).collect();
        assert!(due.iter().all(|second| (112..=150).contains(second)), "{due:?}");
        let most = due.iter().map(|second| due.iter().filter(|other| *other == second).count()).max();
        assert!(most < Some(20), "{most:?} of 100 in one second");
    }

    #[test]
    fn the_time_left_counts_from_the_instances_start_until_a_heartbeat_was_taken() {
        let scripted = Scripted::new().active("h");
        let line = scripted.line();
        let started = line.now();
        line.retry.clock().sleep(Duration::from_secs(200));
        let mut pulse = Pulse::new(hook(450), started);
        assert_eq!(pulse.expires(), started + Duration::from_secs(450));
        assert!(pulse.due() < line.now(), "the first one is overdue");
        assert!(pulse.beat(&line, line.now() + Duration::from_mins(1)).is_none());
        assert_eq!(pulse.expires(), started + Duration::from_secs(650));
    }

    #[test]
    fn the_answer_is_due_before_the_hook_ends_unless_nobody_waits() {
        let scripted = Scripted::new().active_after("h", Duration::from_mins(5));
        let line = scripted.line();
        let start = line.now();
        let mut pulse = Pulse::new(hook(450), start);
        assert_eq!(pulse.answer_by(), Some(start + Duration::from_secs(410)));
        let _ = pulse.beat(&line, start + Duration::from_mins(1));
        assert_eq!(pulse.answer_by(), None, "too early: its clock does not run yet");
        line.retry.clock().sleep(Duration::from_mins(5));
        let taken = line.now();
        let _ = pulse.beat(&line, taken + Duration::from_mins(1));
        assert_eq!(pulse.answer_by(), Some(taken + Duration::from_secs(410)));
        assert_eq!(Pulse::new(hook(30), start).answer_by(), Some(start + Duration::from_secs(20)));
        let denied = Scripted::new().denied();
        let mut pulse = Pulse::new(hook(450), start);
        assert!(pulse.beat(&denied.line(), denied.line().now() + Duration::from_mins(1)).is_some());
        assert_eq!(pulse.answer_by(), Some(start + Duration::from_secs(410)), "what fails moves nothing");
    }

    #[test]
    fn one_that_was_not_taken_moves_nothing_but_comes_again_soon() {
        let scripted = Scripted::new();
        let line = scripted.line();
        let mut pulse = Pulse::new(hook(450), line.now());
        let expires = pulse.expires();
        assert!(pulse.beat(&line, line.now() + Duration::from_mins(5)).is_none());
        assert_eq!(pulse.expires(), expires);
        assert!(pulse.due() <= line.now() + LATEST);
    }
}
