//! The shipper's figures for others: a status file for `agent status`, and one line a minute for `CloudWatch`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::latency::quantiles;
use super::{DROPPED, Figure, Figures, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::host::process::resident_bytes;
use crate::host::state::StateFolder;
use crate::logs::emf::{self, Dimension, Metric};

/// The name of the status file in the shipper's state folder.
pub const STATUS: &str = "status.json";
const VERSION: u32 = 1;

/// What is not counted but looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Bytes that are there and not acknowledged, of all sources.
    pub backlog_bytes: u64,
    /// The age of the oldest line among them.
    pub oldest_unshipped_seconds: u64,
    /// The bytes of the outbox that are used.
    pub budget_used: u64,
    /// What it may use.
    pub budget: u64,
    /// How many files and journals are followed.
    pub sources: u64,
}

/// The status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    version: u32,
    /// The process that ships.
    pub process: u32,
    /// When this was written, in milliseconds since 1970.
    pub at: i64,
    /// What keeps it from shipping, while something does.
    pub trouble: Option<String>,
    /// What is looked at.
    #[serde(flatten)]
    pub gauges: Gauges,
    /// Memory in use.
    pub resident_bytes: u64,
    /// The median of the service's answers, in milliseconds.
    pub put_p50_milliseconds: u64,
    /// Their 99th percentile.
    pub put_p99_milliseconds: u64,
    /// Every figure by its name.
    pub figures: BTreeMap<String, u64>,
}

impl Status {
    /// How it stands now.
    #[must_use]
    pub fn new(at: i64, figures: &Figures, gauges: &Gauges, trouble: Option<String>) -> Self {
        let latency = figures.latency();
        Self {
            version: VERSION,
            process: std::process::id(),
            at,
            trouble,
            gauges: gauges.clone(),
            resident_bytes: resident_bytes().unwrap_or(0),
            put_p50_milliseconds: latency.p50,
            put_p99_milliseconds: latency.p99,
            figures: Figure::ALL.iter().map(|figure| (figure.name().to_owned(), figures.of(*figure))).collect(),
        }
    }

    /// Whether only the time and our memory are others.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.trouble, &self.gauges, &self.figures) == (&other.trouble, &other.gauges, &other.figures)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, state: &StateFolder) -> Result<()> {
        state.write(STATUS, &serde_json::to_vec(self).map_err(|error| Error::from_source(Kind::Bug, &error))?)
    }

    /// What a shipper wrote last; `None` where none ever did, or another version.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(state: &StateFolder) -> Result<Option<Self>> {
        let written: Option<Self> = state.read(STATUS)?.and_then(|content| serde_json::from_slice(&content).ok());
        Ok(written.filter(|status| status.version == VERSION))
    }
}

/// Makes the line of each minute: what came since the one before, and how it stands.
#[derive(Debug)]
pub struct Minutes {
    dimension: Dimension,
    instance: String,
    before: Snapshot,
}

impl Minutes {
    /// Between two lines.
    pub const EVERY: Duration = Duration::from_mins(1);

    /// For this instance; its group's name is what its metrics are told apart by.
    #[must_use]
    pub fn new(dimension: Dimension, instance: String) -> Self {
        Self { dimension, instance, before: Snapshot::default() }
    }

    /// The line for the time since the one before.
    #[must_use]
    pub fn line(&mut self, at: i64, figures: &Figures, gauges: &Gauges) -> String {
        let now = figures.snapshot();
        let since = |figure| now.since(&self.before, figure);
        let latency = quantiles(&now.answers, &self.before.answers);
        let metric = |name, unit, value| Metric { name, unit, value };
        // Each of these is a metric that somebody pays for; everything else is a property.
        let metrics = [
            metric("LogBacklogBytes", "Bytes", gauges.backlog_bytes),
            metric("LogOldestUnshippedAge", "Seconds", gauges.oldest_unshipped_seconds),
            metric("LogShippedBytes", "Bytes", since(Figure::AcknowledgedBytes)),
            metric("LogShippedEvents", "Count", since(Figure::AcknowledgedEvents)),
            metric("LogRetries", "Count", since(Figure::Retries)),
            metric("LogRejected", "Count", since(Figure::Rejected)),
            metric("LogDeadLettered", "Count", since(Figure::DeadLettered)),
            metric("LogDropped", "Count", DROPPED.into_iter().map(since).sum()),
        ];
        let mut properties = Map::from_iter([
            ("instance".to_owned(), json!(self.instance)),
            ("resident_bytes".to_owned(), json!(resident_bytes().unwrap_or(0))),
            ("put_p50_milliseconds".to_owned(), json!(latency.p50)),
            ("put_p99_milliseconds".to_owned(), json!(latency.p99)),
            ("budget_used".to_owned(), json!(gauges.budget_used)),
            ("sources".to_owned(), json!(gauges.sources)),
        ]);
        // What did not happen needs no room.
        let happened = Figure::ALL.iter().map(|figure| (figure.name(), since(*figure))).filter(|(_, count)| *count > 0);
        properties.extend(happened.map(|(name, count)| (name.to_owned(), Value::from(count))));
        self.before = now;
        emf::line(at, &self.dimension, &metrics, properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_700_000_000_000;

    #[test]
    fn a_minute_tells_what_is_new_and_how_it_stands() {
        let figures = Figures::default();
        let dimension = Dimension { name: "AutoScalingGroupName".to_owned(), value: "web".to_owned() };
        let mut minutes = Minutes::new(dimension, "i-1".to_owned());
        let gauges = Gauges { backlog_bytes: 9, oldest_unshipped_seconds: 61, ..Gauges::default() };
        figures.count(Figure::AcknowledgedEvents, 5_u64);
        figures.count(Figure::DroppedSpoolFull, 1_u64);
        figures.count(Figure::DroppedVanished, 2_u64);
        figures.answered_after(Duration::from_millis(40));
        let mut line = || serde_json::from_str::<Value>(&minutes.line(AT, &figures, &gauges)).unwrap();
        let first = line();
        assert_eq!((&first["LogShippedEvents"], &first["LogDropped"]), (&json!(5), &json!(3)));
        assert_eq!((&first["dropped_spool_full"], &first["dropped_vanished"]), (&json!(1), &json!(2)));
        assert!((40..=50).contains(&first["put_p99_milliseconds"].as_u64().unwrap()));
        figures.count(Figure::AcknowledgedEvents, 2_u64);
        let second = line();
        assert_eq!(
            (&second["LogShippedEvents"], &second["LogDropped"], &second["put_p99_milliseconds"]),
            (&json!(2), &json!(0), &json!(0))
        );
        assert_eq!((&second["LogBacklogBytes"], &second["LogOldestUnshippedAge"]), (&json!(9), &json!(61)));
        assert!(second.get("dropped_vanished").is_none(), "{second}");
    }

    #[test]
    fn the_status_file_says_what_the_process_knows() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        assert_eq!(Status::read(&state).unwrap(), None);
        let figures = Figures::default();
        figures.count(Figure::Masked, 3_u64);
        let gauges = Gauges { backlog_bytes: 7, ..Gauges::default() };
        let status = Status::new(AT, &figures, &gauges, Some("the service is away".to_owned()));
        status.write(&state).unwrap();
        let read = Status::read(&state).unwrap().unwrap();
        assert_eq!(read, status);
        assert_eq!((read.figures["masked"], read.gauges.backlog_bytes), (3, 7));
        assert!(read.resident_bytes > 100_000, "{}", read.resident_bytes);
    }
}
