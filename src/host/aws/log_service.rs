//! The log service, as far as a shipper needs it: put events; make group and stream when they are missing. Never a Describe.

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;

use super::Aws;
use super::errors::explain;
use crate::error::{Context as _, Error, Kind, Result};

/// One line with its instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The line, already redacted.
    pub text: String,
}

/// How many events of a batch the service did not store, by reason. The others are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Too far in the future.
    pub too_new: usize,
    /// Too old, or older than the group keeps events.
    pub too_old: usize,
}

/// The calls of the shipper. One try each.
pub trait LogService: Send + Sync {
    /// Stores the batch, which keeps the service's limits.
    ///
    /// # Errors
    /// `Missing` when there is no such group or stream; whatever else kept it from being stored.
    fn put(&self, group: &str, stream: &str, events: &[LogEvent]) -> Result<Rejected>;

    /// Makes the group; one that is there already is fine.
    ///
    /// # Errors
    /// When it cannot be made.
    fn make_group(&self, group: &str) -> Result<()>;

    /// Makes the stream; one that is there already is fine.
    ///
    /// # Errors
    /// `Missing` when there is no such group; whatever else keeps it from being made.
    fn make_stream(&self, group: &str, stream: &str) -> Result<()>;

    /// Sets how many days the group keeps events.
    ///
    /// # Errors
    /// When it cannot be set.
    fn keep(&self, group: &str, days: i32) -> Result<()>;
}

impl LogService for Aws {
    fn put(&self, group: &str, stream: &str, events: &[LogEvent]) -> Result<Rejected> {
        let mut wire = Vec::with_capacity(events.len());
        for event in events {
            let built = InputLogEvent::builder().timestamp(event.at).message(&event.text).build();
            wire.push(built.map_err(|error| Error::from_source(Kind::Bug, &error))?);
        }
        let answer = self
            .attempt(&async |clients: &super::Clients| {
                let request = clients.logs.put_log_events().log_group_name(group).log_stream_name(stream);
                request.set_log_events(Some(wire.clone())).send().await.map_err(|error| explain(&error))
            })
            .doing(|| format!("shipping {} events to `{group}`, stream `{stream}`", events.len()))?;
        Ok(answer.rejected_log_events_info().map_or_else(Rejected::default, |info| {
            let index = |at: Option<i32>| at.and_then(|at| usize::try_from(at).ok());
            Rejected {
                too_new: index(info.too_new_log_event_start_index()).map_or(0, |start| events.len().saturating_sub(start)),
                // Both ends are exclusive, and both count from the start of the same batch.
                too_old: index(info.too_old_log_event_end_index()).max(index(info.expired_log_event_end_index())).unwrap_or(0),
            }
        }))
    }

    fn make_group(&self, group: &str) -> Result<()> {
        self.attempt(&async |clients: &super::Clients| {
            let sent = clients.logs.create_log_group().log_group_name(group).send().await;
            existing_is_fine(sent.map(|_| ()).map_err(|error| (error.code().map(str::to_owned), explain(&error))))
        })
        .doing(|| format!("making log group `{group}`"))
    }

    fn make_stream(&self, group: &str, stream: &str) -> Result<()> {
        self.attempt(&async |clients: &super::Clients| {
            let sent = clients.logs.create_log_stream().log_group_name(group).log_stream_name(stream).send().await;
            existing_is_fine(sent.map(|_| ()).map_err(|error| (error.code().map(str::to_owned), explain(&error))))
        })
        .doing(|| format!("making log stream `{stream}` in `{group}`"))
    }

    fn keep(&self, group: &str, days: i32) -> Result<()> {
        self.attempt(&async |clients: &super::Clients| {
            let request = clients.logs.put_retention_policy().log_group_name(group).retention_in_days(days);
            request.send().await.map(|_| ()).map_err(|error| explain(&error))
        })
        .doing(|| format!("setting the retention of log group `{group}` to {days} days"))
    }
}

/// Somebody else made it first: that is what we wanted.
fn existing_is_fine(made: Result<(), (Option<String>, Error)>) -> Result<()> {
    match made {
        Err((Some(code), _)) if code == "ResourceAlreadyExistsException" => Ok(()),
        other => other.map_err(|(_, error)| error),
    }
}
