//! One call to the service, and the group or stream it turns out to need first. Never a Describe.

use std::time::Instant;

use crate::error::{Kind, Result};
use crate::host::aws::{LogEvent, LogService, Rejected};
use crate::host::retry::Retry;

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Destination {
    pub(super) group: String,
    pub(super) stream: String,
    /// How many days the group keeps events.
    pub(super) days: Option<i32>,
}

/// Stores the events, which keep the service's limits, trying until the deadline.
pub(super) fn send(
    service: &dyn LogService,
    retry: &Retry,
    to: &Destination,
    events: &[LogEvent],
    deadline: Instant,
) -> Result<Rejected> {
    let put = || retry.run(deadline, || service.put(&to.group, &to.stream, events));
    match put() {
        Err(error) if error.kind() == Kind::Missing => {}
        answer => return answer,
    }
    make(service, retry, to, deadline)?;
    put()
}

/// The stream, and the group if it is missing too: a fleet's groups are usually there, and making them has the smallest quota.
fn make(service: &dyn LogService, retry: &Retry, to: &Destination, deadline: Instant) -> Result<()> {
    let stream = || retry.run(deadline, || service.make_stream(&to.group, &to.stream));
    let made = match stream() {
        Err(error) if error.kind() == Kind::Missing => {
            retry.run(deadline, || service.make_group(&to.group))?;
            stream()
        }
        other => other,
    };
    made?;
    if let Some(days) = to.days {
        // Logs that are kept for too long are better than none.
        if let Err(error) = retry.run(deadline, || service.keep(&to.group, days)) {
            tracing::warn!(%error, "the retention is not set");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::shipper::scripted::Scripted;

    fn to() -> Destination {
        Destination { group: "g".to_owned(), stream: "s".to_owned(), days: Some(7) }
    }

    fn one() -> Vec<LogEvent> {
        vec![LogEvent { at: 1, text: "x".to_owned() }]
    }

    fn ship(service: &Scripted) -> Result<Rejected> {
        let retry = service.retry();
        let deadline = retry.clock().now() + std::time::Duration::from_mins(3);
        send(service, &retry, &to(), &one(), deadline)
    }

    #[test]
    fn what_is_missing_is_made_with_its_retention() {
        let service = Scripted::new();
        ship(&service).unwrap();
        assert_eq!(service.calls(), ["put", "stream s", "group g", "stream s", "keep 7", "put"]);
        ship(&service).unwrap();
        assert_eq!(service.calls().len(), 7, "the second time, it is one call");
    }

    #[test]
    fn a_group_that_is_there_is_not_made() {
        let service = Scripted::new().with_group();
        ship(&service).unwrap();
        assert_eq!(service.calls(), ["put", "stream s", "keep 7", "put"]);
    }

    #[test]
    fn a_minute_of_throttling_is_waited_out() {
        let service = Scripted::new().with_group().throttled_for(std::time::Duration::from_mins(1));
        ship(&service).unwrap();
        assert_eq!(service.shipped(), ["x"]);
    }
}
