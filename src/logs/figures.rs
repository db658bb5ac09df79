//! What the shipper counts about itself. Everything that is not shipped as it was is here, or it would be lost in silence.

mod latency;
pub mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use latency::Quantiles;

use self::latency::Latency;

/// Declares the figures, each with its name in the status file.
macro_rules! figures {
    ($($(#[$doc:meta])* $figure:ident = $name:literal,)+) => {
        /// One thing that is counted, from the start of the process.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Figure {
            $($(#[$doc])* $figure,)+
        }

        impl Figure {
            /// Every one, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$figure,)+];

            /// Its name in the status file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$figure => $name,)+
                }
            }
        }
    };
}

figures! {
    /// Bytes read from files and journals.
    ReadBytes = "read_bytes",
    /// Events made of them.
    ReadEvents = "read_events",
    /// Bytes of requests that were tried, before compression.
    SentBytes = "sent_bytes",
    /// The same as they left the machine.
    WireBytes = "wire_bytes",
    /// Events of requests that were tried.
    SentEvents = "sent_events",
    /// Bytes of requests that the service took.
    AcknowledgedBytes = "acknowledged_bytes",
    /// Events that the service has.
    AcknowledgedEvents = "acknowledged_events",
    /// Batches that are settled.
    Batches = "batches",
    /// Requests that had to be made again.
    Retries = "retries",
    /// Requests for which the service had no time.
    Throttled = "throttled",
    /// Events that the service refused for their time.
    Rejected = "rejected",
    /// Events that were sent with the present time, as the service would refuse or refused their own.
    Restamped = "restamped",
    /// Requests that were cut in two, as the service refused what is in them.
    Bisected = "bisected",
    /// Lines that were sent as several events.
    Split = "split",
    /// Secrets that were masked.
    Masked = "masked",
    /// Events that the service will never take: they are in the dead-letter file.
    DeadLettered = "dead_lettered",
    /// Lost: such events when that file was full.
    DroppedDeadLettersFull = "dropped_dead_letters_full",
    /// Lost: bytes about to vanish when the spool was full.
    DroppedSpoolFull = "dropped_spool_full",
    /// Lost: what vanished before it could be read.
    DroppedVanished = "dropped_vanished",
    /// Lost: the run's own lines when there was no room to keep them.
    DroppedOwnLines = "dropped_own_lines",
    /// Not wanted: events too old or too far ahead for the service, of sources that have them dropped.
    DroppedOutside = "dropped_outside",
    /// Files that were cut off while they were followed.
    Truncations = "truncations",
    /// Files in whose place another one was put.
    Rotations = "rotations",
    /// Bytes that were saved before they vanished.
    RescuedBytes = "rescued_bytes",
    /// Holes in a journal: entries were gone before they were read.
    Gaps = "gaps",
}

/// What cannot be shipped any more, for whatever reason.
pub const DROPPED: [Figure; 5] = [
    Figure::DroppedDeadLettersFull,
    Figure::DroppedSpoolFull,
    Figure::DroppedVanished,
    Figure::DroppedOwnLines,
    Figure::DroppedOutside,
];

/// The counters. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Figures(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    counts: Vec<AtomicU64>,
    latency: Latency,
}

impl Default for Figures {
    fn default() -> Self {
        let counts = Figure::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Counters { counts, latency: Latency::default() }))
    }
}

impl Figures {
    /// So many more of these.
    pub fn count(&self, figure: Figure, more: impl TryInto<u64>) {
        if let Some(count) = self.0.counts.get(figure as usize) {
            count.fetch_add(more.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn of(&self, figure: Figure) -> u64 {
        self.0.counts.get(figure as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// A request was answered after this time.
    pub fn answered_after(&self, time: Duration) {
        self.0.latency.record(time);
    }

    /// How long answers took so far.
    #[must_use]
    pub fn latency(&self) -> Quantiles {
        latency::quantiles(&self.0.latency.counts(), &[])
    }

    /// All counts and the distribution of answers, to compare with later.
    fn snapshot(&self) -> Snapshot {
        Snapshot { counts: Figure::ALL.iter().map(|figure| self.of(*figure)).collect(), answers: self.0.latency.counts() }
    }
}

/// The counts at one moment, so that what comes while a line is made is counted in the next one.
#[derive(Debug, Default)]
struct Snapshot {
    counts: Vec<u64>,
    answers: Vec<u64>,
}

impl Snapshot {
    /// How many of these came between the two.
    fn since(&self, before: &Self, figure: Figure) -> u64 {
        let of = |snapshot: &Self| snapshot.counts.get(figure as usize).copied().unwrap_or(0);
        of(self) - of(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_the_same_things_and_names_are_unique() {
        let figures = Figures::default();
        let other = figures.clone();
        figures.count(Figure::Gaps, 2_usize);
        other.count(Figure::Gaps, 1_u64);
        assert_eq!((figures.of(Figure::Gaps), figures.of(Figure::Rotations)), (3, 0));
        let mut names: Vec<_> = Figure::ALL.iter().map(|figure| figure.name()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let dropped = Figure::ALL.iter().filter(|figure| figure.name().starts_with("dropped_")).count();
        assert_eq!(dropped, DROPPED.len(), "what is dropped is summed up whole");
    }
}
