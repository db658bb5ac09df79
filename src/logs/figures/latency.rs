//! How long the service takes to answer: counts in steps of a quarter, so that a day of answers fits in half a kilobyte.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each step is longer than the one before by this factor, from a millisecond to some four minutes.
const STEP: f64 = 1.25;
const STEPS: u32 = 56;

/// The distribution.
#[derive(Debug)]
pub(super) struct Latency(Vec<AtomicU64>);

/// What half of the answers kept, and all but one in a hundred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// The median, in milliseconds, rounded up to a step.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self((0..STEPS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Latency {
    pub(super) fn record(&self, time: Duration) {
        let step = (0..STEPS - 1).find(|step| time.as_secs_f64() * 1000.0 <= bound(*step)).unwrap_or(STEPS - 1);
        if let Some(count) = usize::try_from(step).ok().and_then(|step| self.0.get(step)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Of the answers that came between the two.
pub(super) fn quantiles(now: &[u64], before: &[u64]) -> Quantiles {
    let counts: Vec<u64> = now.iter().enumerate().map(|(step, count)| count - before.get(step).copied().unwrap_or(0)).collect();
    let all: u64 = counts.iter().sum();
    let at = |percent: u64| {
        let rank = (all * percent).div_ceil(100);
        let mut passed = 0;
        let step = counts.iter().zip(0..).find_map(|(count, step)| {
            passed += count;
            (passed >= rank && passed > 0).then_some(step)
        });
        step.map_or(0, milliseconds)
    };
    Quantiles { p50: at(50), p99: at(99) }
}

/// The longest time of a step, in milliseconds.
fn bound(step: u32) -> f64 {
    STEP.powi(i32::try_from(step).unwrap_or(i32::MAX))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bound is a positive number of at most six digits")]
fn milliseconds(step: u32) -> u64 {
    bound(step).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_step_and_of_what_is_new() {
        let latency = Latency::default();
        assert_eq!(quantiles(&latency.counts(), &[]), Quantiles::default());
        for time in 1..=1000 {
            latency.record(Duration::from_millis(time));
        }
        let all = quantiles(&latency.counts(), &[]);
        assert!((500..=625).contains(&all.p50) && (990..=1238).contains(&all.p99), "{all:?}");
        let before = latency.counts();
        latency.record(Duration::from_millis(7));
        let new = quantiles(&latency.counts(), &before);
        assert!(new.p50 == new.p99 && (7..=9).contains(&new.p50), "{new:?}");
        latency.record(Duration::from_hours(1));
        assert!(quantiles(&latency.counts(), &before).p99 > 200_000);
    }
}
