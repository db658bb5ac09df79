//! What the service took only in part, or will never take: the ends of a request that it refuses for their time, and the one event
//! among thousands that makes it refuse them all.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::courier::{Courier, Halt, OF_ITS_OWN, Tried, about};
use crate::error::Error;
use crate::host::aws::Stored;
use crate::host::retry::jitter;
use crate::logs::figures::Figure;
use crate::logs::outbox::Batch;

/// When so many single events in a row are refused and nothing is taken, it is not the events.
const NOT_THE_EVENTS: u32 = 100;

impl Courier {
    /// A part of a batch, until the service has answered to it. The rest of the batch may be stored already, so it keeps its sender.
    fn insist(&self, batch: &Batch, part: &Range<usize>, at: Option<i64>) -> Result<Result<Stored, Error>, Halt> {
        let body = batch.part(part.clone(), at);
        let size = body.len();
        let body = self.compression.pack(body, part.len());
        loop {
            match self.attempt(batch, &body, size) {
                Tried::Stored(stored) => return Ok(Ok(stored)),
                Tried::Refused(error) => return Ok(Err(error)),
                Tried::Stopped => return Err(Halt),
                Tried::Later(then) => {
                    if !self.pause.wait(then.saturating_duration_since(self.pause.now())) {
                        return Err(Halt);
                    }
                }
            }
        }
    }

    /// This part was taken, but perhaps not its ends: they are sent once more with the service's time, and then they are dead.
    pub(super) fn settle(&self, batch: &Batch, part: &Range<usize>, stored: Stored, at: Option<i64>) -> Result<(), Halt> {
        let ends = [part.start..part.start + stored.first, part.start + stored.end..part.end];
        for end in ends.into_iter().filter(|end| !end.is_empty()) {
            self.figures.count(Figure::Rejected, end.len());
            if at.is_some() {
                for index in end {
                    self.bury(batch, index, "the service refuses its time")?;
                }
                continue;
            }
            let to = batch.to();
            let said = format!(
                "log lines for `{}` were refused for their time, and are shipped with the time at which they are sent; is the clock right?",
                to.group
            );
            self.complaints.mention(&about("time", to), &said);
            let now = jiff::Timestamp::now().as_millisecond() + stored.skew;
            match self.insist(batch, &end, Some(now))? {
                Ok(again) => {
                    self.figures.count(Figure::Restamped, again.end - again.first);
                    self.settle(batch, &end, again, Some(now))?;
                }
                Err(error) => self.isolate(batch, end, Some(now), error)?,
            }
        }
        Ok(())
    }

    /// Halves what was refused until what is left is the event whose fault it is.
    pub(super) fn isolate(&self, batch: &Batch, part: Range<usize>, at: Option<i64>, error: Error) -> Result<(), Halt> {
        // What is still to be looked at, the last one first; with an error where it was refused already.
        let mut left = vec![(part, Some(error))];
        while let Some((part, refused)) = left.pop() {
            let error = match refused {
                Some(error) => error,
                None => match self.insist(batch, &part, at)? {
                    Ok(stored) => {
                        self.settle(batch, &part, stored, at)?;
                        continue;
                    }
                    Err(error) => error,
                },
            };
            if part.len() > 1 {
                self.figures.count(Figure::Bisected, 1_u64);
                let middle = part.start + part.len() / 2;
                left.extend([(middle..part.end, None), (part.start..middle, None)]);
            } else if self.refused.fetch_add(1, Ordering::Relaxed) < NOT_THE_EVENTS {
                self.bury(batch, part.start, &error.to_string())?;
            } else {
                // Everything is refused: that is no event's fault, and may pass.
                let then = self.own_trouble(batch.to(), &error);
                if !self.pause.wait(then.saturating_duration_since(self.pause.now())) {
                    return Err(Halt);
                }
                left.push((part, None));
            }
        }
        Ok(())
    }

    /// Keeps the event in the file of those that the service never takes. A full disk is waited out.
    fn bury(&self, batch: &Batch, index: usize, because: &str) -> Result<(), Halt> {
        const ABOUT: &str = "dead letters";
        for tries in 0.. {
            match self.letters.keep(batch, index, because) {
                Ok(true) => {
                    self.figures.count(Figure::DeadLettered, 1_u64);
                    self.complaints.settle(ABOUT, "log lines that the service does not take are kept again");
                    self.complaints.mention(
                        &about("dead letter", batch.to()),
                        &format!(
                            "the service does not take some log lines for `{}`, which are kept in a file: {because}",
                            batch.to().group
                        ),
                    );
                    return Ok(());
                }
                Ok(false) => {
                    self.figures.count(Figure::DroppedDeadLettersFull, 1_u64);
                    self.complaints.mention(
                        "dead letters are full",
                        "the file of log lines that the service does not take is full: more of them are lost, and counted",
                    );
                    return Ok(());
                }
                Err(error) => {
                    self.complaints.raise(
                        ABOUT,
                        &format!("log lines that the service does not take cannot be kept, and it is tried again: {error}"),
                    );
                    if !self.pause.wait(jitter(OF_ITS_OWN.after(tries))) {
                        return Err(Halt);
                    }
                }
            }
        }
        Err(Halt)
    }
}
