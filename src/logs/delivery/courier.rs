//! What becomes of one batch: it is stored whole, or in parts, or it waits for its next turn. It is never given up.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::compression::Compression;
use super::creation::{self, Retentions};
use super::dead_letters::DeadLetters;
use super::gate::{AWAY, BUSY, Gate, Patience, REFUSED};
use super::pause::Pause;
use crate::error::Error;
use crate::host::aws::{Class, LogBody, LogStore, Refusal, Stored};
use crate::host::retry::jitter;
use crate::logs::complaints::Complaints;
use crate::logs::figures::{Figure, Figures};
use crate::logs::outbox::{Batch, Destination};

/// What concerns one group or stream, such as a permission, does not close the gate for the others.
const OF_ITS_OWN: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// A stream that was just made is not always there at once.
const JUST_MADE: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(10) };
/// When so many single events in a row are refused and nothing is taken, it is not the events.
const NOT_THE_EVENTS: u32 = 100;
/// Hiccups that are over before this are nobody's business.
const WORTH_SAYING: Duration = Duration::from_secs(5);
/// The complaint about the service as a whole.
const SERVICE: &str = "service";

/// All that the senders share.
pub(super) struct Courier {
    pub(super) service: Arc<dyn LogStore>,
    pub(super) figures: Figures,
    pub(super) compression: Compression,
    pub(super) complaints: Complaints,
    pub(super) gate: Gate,
    pub(super) pause: Arc<Pause>,
    pub(super) letters: DeadLetters,
    /// How often in a row each destination had a problem of its own.
    pub(super) troubled: Mutex<HashMap<Destination, u32>>,
    /// One sender at a time makes streams.
    pub(super) making: Mutex<()>,
    /// Retentions that are still to be set.
    pub(super) retentions: Retentions,
    /// Single events refused since the service took anything.
    pub(super) refused: AtomicU32,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All of it is stored, or known never to be.
    Settled,
    /// Not before this instant.
    Later(Instant),
    /// It is time to stop.
    Stopped,
}

/// How one request ended.
enum Tried {
    Stored(Stored),
    /// The service will not take what is in it.
    Refused(Error),
    Later(Instant),
    Stopped,
}

/// It is time to stop: what was on its way is not acknowledged.
struct Halt;

impl Courier {
    /// Brings it to the service.
    pub(super) fn carry(&self, batch: &Batch) -> End {
        let all = 0..batch.len();
        let body = batch.body();
        let size = body.len();
        let done = match self.attempt(batch, &self.compression.pack(body, batch.len()), size) {
            Tried::Stored(stored) => self.settle(batch, &all, stored, None),
            Tried::Refused(error) => self.isolate(batch, all, None, error),
            Tried::Later(then) => return End::Later(then),
            Tried::Stopped => Err(Halt),
        };
        match done {
            Ok(()) => {
                self.figures.count(Figure::Batches, 1_u64);
                End::Settled
            }
            Err(Halt) => End::Stopped,
        }
    }

    /// One request, once; it is this long before compression.
    fn attempt(&self, batch: &Batch, body: &LogBody, size: usize) -> Tried {
        let to = batch.to();
        let Some(pass) = self.gate.enter() else { return Tried::Stopped };
        self.figures.count(Figure::SentEvents, body.events);
        self.figures.count(Figure::SentBytes, size);
        self.figures.count(Figure::WireBytes, body.bytes.len());
        let begun = self.pause.now();
        let answer = self.service.put(body);
        self.figures.answered_after(self.pause.now() - begun);
        match answer {
            Ok(stored) => {
                pass.answered();
                self.refused.store(0, Ordering::Relaxed);
                self.recovered(to);
                if let Err(error) = self.retentions.pay(&*self.service, &to.group, self.pause.now()) {
                    self.complaints.mention(
                        &about("retention", to),
                        &format!("the retention of `{}` is not what was asked for: {error}", to.group),
                    );
                }
                self.figures.count(Figure::AcknowledgedBytes, size);
                self.figures.count(Figure::AcknowledgedEvents, stored.end - stored.first);
                Tried::Stored(stored)
            }
            Err(refusal) => self.refused(to, pass, refusal),
        }
    }

    fn refused(&self, to: &Destination, pass: super::gate::Pass<'_>, refusal: Refusal) -> Tried {
        let patience = match refusal.class {
            Class::Content => {
                pass.answered();
                return Tried::Refused(*refusal.error);
            }
            Class::Missing => {
                pass.answered();
                return self.make(to);
            }
            Class::Denied | Class::Other => {
                pass.answered();
                return Tried::Later(self.own_trouble(to, &refusal.error));
            }
            Class::Busy => BUSY,
            Class::Unreachable => AWAY,
            Class::Credentials | Class::Clock => REFUSED,
        };
        if refusal.class == Class::Busy {
            self.figures.count(Figure::Throttled, 1_u64);
        }
        self.figures.count(Figure::Retries, 1_u64);
        let closed = pass.closed(patience, refusal.pause);
        if closed.lasts >= WORTH_SAYING || patience == REFUSED && refusal.class != Class::Clock {
            let said = format!("logs are not shipped for now; they are kept, and it is tried again: {}", refusal.error);
            self.complaints.raise(SERVICE, &said);
        }
        Tried::Later(closed.until)
    }

    /// Makes what is missing; then the request is made again.
    fn make(&self, to: &Destination) -> Tried {
        self.figures.count(Figure::Retries, 1_u64);
        let making = self.making.try_lock();
        if let Err(TryLockError::WouldBlock) = making {
            // Another sender makes something, perhaps the same: when that is done, the request tells.
            drop(self.making.lock());
            return Tried::Later(self.pause.now());
        }
        let times = self.times_troubled(to);
        match creation::make(&*self.service, &self.pause, to) {
            Ok(()) => {
                self.retentions.owe(to, self.pause.now());
                let wait = if times == 0 { Duration::ZERO } else { jitter(JUST_MADE.after(times)) };
                Tried::Later(self.pause.now() + wait)
            }
            Err(refusal) if refusal.class == Class::Missing => Tried::Later(self.pause.now() + jitter(JUST_MADE.after(times))),
            Err(refusal) if matches!(refusal.class, Class::Denied | Class::Content | Class::Other) => {
                Tried::Later(self.own_trouble(to, &refusal.error))
            }
            Err(refusal) => {
                drop(making);
                self.gate.enter().map_or(Tried::Stopped, |pass| self.refused(to, pass, refusal))
            }
        }
    }

    /// A defect of ours ended a try half-way: the batch is tried again, and the others go on.
    pub(super) fn failed(&self, batch: &Batch) -> End {
        self.complaints.mention("a defect", "a defect of the agent kept logs from being shipped; it is tried again");
        End::Later(self.pause.now() + jitter(OF_ITS_OWN.after(self.times_troubled(batch.to()))))
    }

    fn own_trouble(&self, to: &Destination, error: &Error) -> Instant {
        self.figures.count(Figure::Retries, 1_u64);
        let said = format!("logs are not shipped to `{}` for now; they are kept, and it is tried again: {error}", to.group);
        self.complaints.raise(&about("destination", to), &said);
        self.pause.now() + jitter(OF_ITS_OWN.after(self.times_troubled(to)))
    }

    /// How often it had been in trouble; it is once more now.
    fn times_troubled(&self, to: &Destination) -> u32 {
        let mut troubled = self.troubled.lock().unwrap_or_else(PoisonError::into_inner);
        let times = troubled.entry(to.clone()).or_default();
        *times = times.saturating_add(1).min(16);
        *times - 1
    }

    fn recovered(&self, to: &Destination) {
        self.complaints.settle(SERVICE, "logs are shipped again");
        if self.troubled.lock().unwrap_or_else(PoisonError::into_inner).remove(to).is_some() {
            self.complaints.settle(&about("destination", to), &format!("logs are shipped to `{}` again", to.group));
        }
    }

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
    fn settle(&self, batch: &Batch, part: &Range<usize>, stored: Stored, at: Option<i64>) -> Result<(), Halt> {
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
    fn isolate(&self, batch: &Batch, part: Range<usize>, at: Option<i64>, error: Error) -> Result<(), Halt> {
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

/// The name of a complaint about one destination.
fn about(what: &str, to: &Destination) -> String {
    format!("{what} {} {}", to.group, to.stream)
}
