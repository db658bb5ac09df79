//! The check after the apply: looked at again and again until it is so, for as long as the step asks and not a moment longer.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::horizon::Limit;
use super::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::step::fields::Span;
use crate::step::{AnyFinding, Patience};

/// How the engine looks, and for how long.
pub struct Poll<'a> {
    /// What the step asks for.
    pub patience: Patience,
    /// When the step must be over in any case.
    pub limit: Limit,
    /// Ends the wait.
    pub stop: &'a Stop,
    /// How long it did nothing but wait.
    pub slept: &'a Cell<Duration>,
}

impl Poll<'_> {
    /// Looks until nothing differs any more and has stayed so. `waiting` is told what is missing whenever that changes.
    ///
    /// # Errors
    /// `NotConverged` with what still differs; an error of the check itself, unless a later look may well succeed.
    pub fn until_it_holds(
        &self,
        mut look: impl FnMut() -> Result<AnyFinding>,
        mut waiting: impl FnMut(&str),
    ) -> Result<AnyFinding> {
        let ready_by = Instant::now() + self.patience.within;
        let mut so_since: Option<Instant> = None;
        let mut told = String::new();
        loop {
            let looked = Instant::now();
            let limit = self.limit.instant();
            let end = ready_by.min(limit);
            let next = looked + self.patience.every.max(Duration::from_millis(1));
            match look() {
                Ok(finding) if is_so(&finding) => {
                    let held_until = *so_since.get_or_insert(looked) + self.patience.hold;
                    if Instant::now() >= held_until {
                        return Ok(finding);
                    }
                    if looked >= limit {
                        return Err(Error::new(Kind::TimedOut, format!("it did not hold for {}", Span(self.patience.hold))));
                    }
                    self.sleep_until(next.min(held_until).min(limit))?;
                }
                answer => {
                    let missing = match answer {
                        Ok(finding) => missing(&finding),
                        Err(error) if error.kind().is_transient() => error.to_string(),
                        // The end cut this look off: what the one before saw is the reason.
                        Err(error) if error.kind() == Kind::TimedOut && self.limit.is_over() && !told.is_empty() => {
                            tracing::debug!(%error, "the last look was cut off");
                            told.clone()
                        }
                        Err(error) => return Err(error),
                    };
                    so_since = None;
                    // The look that began last before the end counts; none begins after it.
                    if looked >= end || Instant::now() >= end {
                        return Err(self.not_so(&missing));
                    }
                    if missing != told {
                        waiting(&missing);
                        told = missing;
                    }
                    self.sleep_until(next.min(end))?;
                }
            }
        }
    }

    fn sleep_until(&self, instant: Instant) -> Result<()> {
        let start = Instant::now();
        let answer = self.stop.wait_until(instant);
        self.slept.set(self.slept.get() + start.elapsed());
        answer
    }

    fn not_so(&self, missing: &str) -> Error {
        if self.patience.within.is_zero() {
            return Error::new(Kind::NotConverged, format!("it was applied, and the machine still differs: {missing}"));
        }
        let shortened = if self.limit.is_over() { ", as far as the step's time allowed" } else { "" };
        Error::new(Kind::NotConverged, format!("not so within {}{shortened}: {missing}", Span(self.patience.within)))
    }
}

fn is_so(finding: &AnyFinding) -> bool {
    finding.changes.is_empty() && finding.unknown.is_none()
}

fn missing(finding: &AnyFinding) -> String {
    let still = finding.changes.iter().map(|change| change.text.as_str()).collect::<Vec<_>>().join("; ");
    finding.not_yet.clone().or_else(|| finding.unknown.clone()).unwrap_or(still)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::horizon::Horizon;
    use crate::step::{Finding, Outputs};

    fn so() -> AnyFinding {
        AnyFinding {
            changes: Vec::new(),
            outputs: Outputs::new(),
            fingerprint: None,
            unknown: None,
            not_yet: None,
            notice: None,
            behind: None,
        }
    }

    fn not_yet(why: &str) -> AnyFinding {
        // `unknown` stands in for a change, which only a step can make.
        AnyFinding { unknown: Finding::<String>::unknown(why).unknown, not_yet: Some(why.into()), ..so() }
    }

    fn patience(within: u64, every: u64, hold: u64) -> Patience {
        let span = Duration::from_millis;
        Patience { within: span(within), every: span(every), hold: span(hold) }
    }

    fn poll(patience: Patience, limit: u64, mut look: impl FnMut(u32) -> Result<AnyFinding>) -> (Result<AnyFinding>, u32, u128) {
        let start = Instant::now();
        let stop = Stop::default();
        let mut looks = 0;
        let slept = Cell::default();
        let horizon = Horizon::new(start, Duration::from_mins(10));
        let poll = Poll { patience, limit: Limit::new(Some(Duration::from_millis(limit)), horizon), stop: &stop, slept: &slept };
        let answer = poll.until_it_holds(
            || {
                looks += 1;
                look(looks)
            },
            |_| {},
        );
        (answer, looks, start.elapsed().as_millis())
    }

    #[test]
    fn without_patience_there_is_one_look() {
        let (answer, looks, _) = poll(Patience::default(), 1000, |_| Ok(not_yet("mode is 0644")));
        assert_eq!(looks, 1);
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::NotConverged);
        assert!(error.to_string().ends_with("still differs: mode is 0644"), "{error}");
    }

    #[test]
    fn it_looks_until_it_is_so_and_ends_at_once() {
        let (answer, looks, took) =
            poll(patience(5000, 20, 0), 9000, |look| if look < 4 { Ok(not_yet("refused")) } else { Ok(so()) });
        assert!(answer.is_ok() && looks == 4);
        assert!((60..4000).contains(&took), "{took}");
    }

    #[test]
    fn it_never_oversleeps() {
        let (answer, looks, took) = poll(patience(50, 40_000, 0), 90_000, |_| Ok(not_yet("refused")));
        assert_eq!(looks, 2, "a last look at the very end");
        assert!((50..20_000).contains(&took), "{took}");
        assert!(answer.unwrap_err().to_string().starts_with("not so within 50ms: refused"));
        let (answer, _, took) = poll(patience(60_000, 10, 0), 50, |_| Ok(not_yet("refused")));
        assert!((50..20_000).contains(&took), "the step's limit ends it: {took}");
        assert!(answer.unwrap_err().to_string().contains("as far as the step's time allowed"));
    }

    #[test]
    fn a_look_that_the_end_cuts_off_does_not_hide_the_reason() {
        let (answer, ..) = poll(patience(60_000, 10, 0), 50, |look| {
            if look == 1 {
                return Ok(not_yet("refused"));
            }
            std::thread::sleep(Duration::from_millis(60));
            Err(Error::new(Kind::TimedOut, "`systemctl` was stopped"))
        });
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::NotConverged);
        assert!(error.to_string().ends_with(": refused"), "{error}");
    }

    #[test]
    fn what_must_hold_starts_over_when_it_breaks() {
        let flapping = |look| if look == 2 { Ok(not_yet("gone again")) } else { Ok(so()) };
        let (answer, looks, took) = poll(patience(5000, 10, 60), 9000, flapping);
        assert!(answer.is_ok() && looks > 4, "{looks}");
        assert!((70..4000).contains(&took), "{took}");
    }

    #[test]
    fn a_dead_unit_ends_the_wait_and_a_broken_connection_does_not() {
        let (answer, looks, _) = poll(patience(5000, 5, 0), 9000, |look| match look {
            1 => Err(Error::new(Kind::Unreachable, "connection reset")),
            2 => Ok(not_yet("503")),
            _ => Err(Error::new(Kind::Failed, "the unit is dead")),
        });
        assert_eq!((answer.unwrap_err().to_string().as_str(), looks), ("the unit is dead", 3));
    }
}
