//! What becomes of one batch: it is stored whole, or in parts, or it waits for its next turn. It is never given up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::compression::Compression;
use super::creation::{Missing, Retentions};
use super::dead_letters::DeadLetters;
use super::pause::Pause;
use crate::error::Error;
use crate::host::aws::{Class, LogBody, LogStore, Refusal, Stored};
use crate::host::retry::{Gate, Pass, Patience, jitter};
use crate::logs::complaints::Complaints;
use crate::logs::figures::{Figure, Figures};
use crate::logs::outbox::{Batch, Destination};

/// Nobody answers, or the service has a problem of its own. Shorter than what is left for a last flush, so that it is one try at
/// least; and nobody gives up here, so this decides how soon after an outage logs flow again.
pub(super) const AWAY: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(4) };
/// It asks us to slow down.
pub(super) const BUSY: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(30) };
/// It does not believe who we are.
pub(super) const REFUSED: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
/// What concerns one group or stream, such as a permission, does not close the gate for the others.
pub(super) const OF_ITS_OWN: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// A stream that was just made is not always there at once.
const JUST_MADE: Patience = Patience { first: Duration::from_millis(200), longest: Duration::from_secs(10) };
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
    /// What is to be made before a request is worth its while.
    pub(super) missing: Missing,
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
pub(super) enum Tried {
    Stored(Stored),
    /// The service will not take what is in it.
    Refused(Error),
    Later(Instant),
    Stopped,
}

/// It is time to stop: what was on its way is not acknowledged.
pub(super) struct Halt;

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
    pub(super) fn attempt(&self, batch: &Batch, body: &LogBody, size: usize) -> Tried {
        let to = batch.to();
        let Some(pass) = self.gate.enter(&*self.pause) else { return Tried::Stopped };
        if self.missing.has(to) {
            drop(pass);
            return self.make(to);
        }
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
                self.pay_retention(to);
                self.figures.count(Figure::AcknowledgedBytes, size);
                self.figures.count(Figure::AcknowledgedEvents, stored.end - stored.first);
                Tried::Stored(stored)
            }
            Err(refusal) => self.refused(to, pass, refusal),
        }
    }

    fn pay_retention(&self, to: &Destination) {
        if let Err(error) = self.retentions.pay(&*self.service, &to.group, self.pause.now()) {
            self.complaints
                .mention(&about("retention", to), &format!("the retention of `{}` is not what was asked for: {error}", to.group));
        }
    }

    fn refused(&self, to: &Destination, pass: Pass<'_>, refusal: Refusal) -> Tried {
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
        match self.missing.make(&*self.service, &self.pause, to) {
            Ok(made) => {
                self.retentions.owe(to, made, self.pause.now());
                // Before the first events: then the service refuses those it would not keep, and they can be given another time.
                self.pay_retention(to);
                let wait = if times == 0 { Duration::ZERO } else { jitter(JUST_MADE.after(times)) };
                Tried::Later(self.pause.now() + wait)
            }
            Err(refusal) if refusal.class == Class::Missing => Tried::Later(self.pause.now() + jitter(JUST_MADE.after(times))),
            Err(refusal) if matches!(refusal.class, Class::Denied | Class::Content | Class::Other) => {
                Tried::Later(self.own_trouble(to, &refusal.error))
            }
            Err(refusal) => {
                drop(making);
                self.gate.enter(&*self.pause).map_or(Tried::Stopped, |pass| self.refused(to, pass, refusal))
            }
        }
    }

    /// A defect of ours ended a try half-way: the batch is tried again, and the others go on.
    pub(super) fn failed(&self, batch: &Batch) -> End {
        self.complaints.mention("a defect", "a defect of the agent kept logs from being shipped; it is tried again");
        End::Later(self.pause.now() + jitter(OF_ITS_OWN.after(self.times_troubled(batch.to()))))
    }

    pub(super) fn own_trouble(&self, to: &Destination, error: &Error) -> Instant {
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
}

/// The name of a complaint about one destination.
pub(super) fn about(what: &str, to: &Destination) -> String {
    format!("{what} {} {}", to.group, to.stream)
}
