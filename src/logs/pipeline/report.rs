//! What the shipper says about itself: the status file, and one line a minute in its own stream.

use std::time::{Duration, Instant};

use crate::host::state::StateFolder;
use crate::logs::complaints::Complaints;
use crate::logs::emf::Dimension;
use crate::logs::figures::Figures;
use crate::logs::figures::report::{Gauges, Minutes, Status};
use crate::logs::outbox::{Destination, Outbox, SourceId};
use crate::logs::text::Now;

/// How often the status is written, if it is another one.
const STATUS_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Report {
    outbox: Outbox,
    own: SourceId,
    lines: u64,
    minutes: Minutes,
    next_line: Instant,
    next_status: Instant,
    written: Option<Status>,
}

impl Report {
    pub(super) fn new(outbox: &Outbox, to: &Destination) -> Self {
        // A group is what a fleet shares; an instance would be a metric of its own, and cost as much.
        let dimension = Dimension { name: "LogGroup".to_owned(), value: to.group.clone() };
        let now = Instant::now();
        Self {
            outbox: outbox.clone(),
            own: outbox.register_passing(to),
            lines: 0,
            minutes: Minutes::new(dimension, to.stream.clone()),
            next_line: now + Minutes::EVERY,
            next_status: now,
            written: None,
        }
    }

    /// When it has something to say next.
    pub(super) fn due(&self) -> Instant {
        self.next_line
    }

    /// Says what is due.
    pub(super) fn tell(
        &mut self,
        now: Now,
        state: &StateFolder,
        figures: &Figures,
        complaints: &Complaints,
        gauges: impl Fn() -> Gauges,
    ) {
        if now.steady >= self.next_status {
            self.next_status = now.steady + STATUS_EVERY;
            self.write_status(now.wall, state, figures, complaints, &gauges());
        }
        if now.steady >= self.next_line {
            self.next_line = now.steady + Minutes::EVERY;
            self.lines += 1;
            let line = self.minutes.line(now.wall, figures, &gauges());
            self.outbox.intake(self.own).push(now.wall, &line, self.lines);
        }
    }

    /// Writes the status down, unless only its time and our memory are new.
    pub(super) fn write_status(
        &mut self,
        at: i64,
        state: &StateFolder,
        figures: &Figures,
        complaints: &Complaints,
        gauges: &Gauges,
    ) {
        let status = Status::new(at, figures, gauges, complaints.trouble());
        if self.written.as_ref().is_some_and(|written| written.is_like(&status)) {
            return;
        }
        match status.write(state) {
            Ok(()) => self.written = Some(status),
            Err(error) => tracing::debug!(%error, "the status is not written"),
        }
    }
}
