//! One step for real: check, apply each change, check again; and what is done when that fails.
//!
//! What is transient (throttling, a broken connection) is tried again by itself with full jitter, inside the step's time.
//! `retries:` is the user's own number of further tries, on any failure.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::event::Timing;
use super::horizon::Limit;
use super::poll::Poll;
use super::stop::Stop;
use super::voice::Voice;
use crate::error::{Error, Kind, Result};
use crate::host::{Host, World};
use crate::step::{AnyFinding, AnyStep};

/// Longest time that transient failures are retried without the user having asked: a host that does not exist must not eat the
/// run's whole deadline.
const TRANSIENT_FOR: Duration = Duration::from_mins(2);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A step at work.
pub struct Attempt<'a> {
    /// The step.
    pub step: &'a dyn AnyStep,
    /// Its hands.
    pub host: &'a Host,
    /// Whose facts are forgotten when something was written.
    pub world: &'a World,
    /// Tells what happens.
    pub voice: &'a Voice,
    /// Ends every wait.
    pub stop: &'a Stop,
    /// When it must be over.
    pub limit: Limit,
    /// `retries:`.
    pub retries: u32,
    /// Where the time went.
    pub timing: Timing,
    /// How long it waited for the time to try or look again.
    pub slept: Cell<Duration>,
    /// Changes made so far.
    pub made: usize,
    /// Whether a step it waited for has changed something: what must hold for a while has to show that anew.
    pub unsettled: bool,
}

impl Attempt<'_> {
    /// Carries the step out.
    ///
    /// # Errors
    /// Why it is not done, after all tries.
    pub fn carry_out(&mut self) -> Result<AnyFinding> {
        let began = Instant::now();
        let (mut tries, mut pause, mut asked) = (1, FIRST_PAUSE, 0);
        loop {
            let error = match self.once() {
                Ok(finding) => return Ok(finding),
                Err(error) => error,
            };
            let transient = error.kind().is_transient() && began.elapsed() < TRANSIENT_FOR;
            if self.stop.reason().is_some() || self.limit.is_over() || !(transient || asked < self.retries) {
                return Err(error);
            }
            asked += u32::from(!transient);
            tries += 1;
            self.voice.retried(tries, &error);
            let jittered = Instant::now() + pause.mul_f64(rand::random::<f64>());
            let start = Instant::now();
            let waited = self.stop.wait_until(jittered.min(self.limit.instant()));
            self.slept.set(self.slept.get() + start.elapsed());
            waited?;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.world.forget();
        }
    }

    fn once(&mut self) -> Result<AnyFinding> {
        let start = Instant::now();
        let found = self.look();
        self.timing.check += milliseconds(start);
        let found = found?;
        if let Some(why) = &found.unknown {
            return Err(Error::new(Kind::Failed, why.clone()).doing("finding out what is to be done"));
        }
        let must_hold = self.unsettled && !self.step.patience().hold.is_zero();
        if found.changes.is_empty() && !must_hold {
            return Ok(found);
        }
        let start = Instant::now();
        let applied = self.apply(&found);
        self.timing.apply += milliseconds(start);
        applied?;
        if !self.step.is_rechecked() {
            return Ok(found);
        }
        let start = Instant::now();
        let poll = Poll { patience: self.step.patience(), limit: self.limit.clone(), stop: self.stop, slept: &self.slept };
        let again = poll.until_it_holds(
            || {
                self.world.forget();
                self.look()
            },
            |missing| self.voice.waiting(missing),
        );
        self.timing.recheck += milliseconds(start);
        let waited = !self.step.patience().within.is_zero();
        again.map_err(|error| match error.kind() {
            Kind::NotConverged if waited => error.tail(self.step.evidence(&self.host.with_a_moment_left())),
            _ => error,
        })
    }

    fn look(&self) -> Result<AnyFinding> {
        self.step.check(self.host)
    }

    fn apply(&mut self, found: &AnyFinding) -> Result<()> {
        for change in &found.changes {
            if let Some(reason) = self.stop.reason() {
                return Err(Error::new(Kind::Failed, format!("the run was interrupted by {reason}")));
            }
            if self.limit.is_over() {
                return Err(Error::new(Kind::TimedOut, format!("no time was left to {}", change.text)));
            }
            self.voice.change(change, true, !self.step.is_rechecked());
            let applied = self.step.apply(change, self.host);
            // Also after a failure: half of it may have been written.
            self.world.forget();
            applied.map_err(|error| error.doing(change.text.clone()))?;
            self.made += 1;
        }
        Ok(())
    }
}

/// Milliseconds since then.
pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
