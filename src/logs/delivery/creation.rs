//! Makes what a request turned out to lack. Nobody asks first: a fleet's groups are usually there, and asking has the smallest quota.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pause::Pause;
use crate::error::Error;
use crate::host::aws::{Class, LogStore, Told};
use crate::host::retry::{Patience, jitter};
use crate::logs::outbox::Destination;

/// A fleet that boots at once makes its streams within this time, not in one moment.
const SPREAD: Duration = Duration::from_secs(2);
/// Where the group was there, its retention very likely is right: it is looked after within this time, when the fleet is at work.
const AT_LEISURE: Duration = Duration::from_mins(15);
/// The call that sets a retention has a small quota.
const AGAIN: Patience = Patience { first: Duration::from_secs(2), longest: Duration::from_mins(5) };

/// What was found to be missing and is not made yet. A busy service lets one call pass now and then, and each has to bring us further.
#[derive(Default)]
pub(super) struct Missing(Mutex<HashMap<Destination, Lack>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Stream,
    Group,
    StreamOfNewGroup,
}

/// What was made, besides the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Stream,
    Group,
}

impl Missing {
    /// Whether a request for it would be in vain.
    pub(super) fn has(&self, to: &Destination) -> bool {
        self.lock().contains_key(to)
    }

    /// Makes the stream, and before it the group with its tags if that is missing too; from where the last try ended.
    pub(super) fn make(&self, service: &dyn LogStore, pause: &Pause, to: &Destination) -> Told<Made> {
        let known = self.lock().get(to).copied();
        if known.is_none() {
            self.lock().insert(to.clone(), Lack::Stream);
            pause.wait(jitter(SPREAD));
        }
        if known != Some(Lack::Group) {
            let made = if known == Some(Lack::StreamOfNewGroup) { Made::Group } else { Made::Stream };
            match service.make_stream(&to.group, &to.stream) {
                Err(refusal) if refusal.class == Class::Missing => self.lock().insert(to.clone(), Lack::Group),
                answer => return self.settle(to, answer.map(|()| made)),
            };
        }
        if let Err(refusal) = service.make_group(&to.group, &to.tags) {
            return self.settle(to, Err(refusal));
        }
        self.lock().insert(to.clone(), Lack::StreamOfNewGroup);
        self.settle(to, service.make_stream(&to.group, &to.stream).map(|()| Made::Group))
    }

    fn settle(&self, to: &Destination, made: Told<Made>) -> Told<Made> {
        // What it will not do is no step on a way that leads on.
        if !matches!(&made, Err(refusal) if matches!(refusal.class, Class::Busy | Class::Unreachable)) {
            self.lock().remove(to);
        }
        made
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, Lack>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Retentions that are still to be set. Nothing waits for them: logs that are kept for too long are better than none.
#[derive(Default)]
pub(super) struct Retentions(Mutex<BTreeMap<String, Owed>>);

struct Owed {
    days: i32,
    tries: u32,
    not_before: Instant,
}

impl Retentions {
    /// A stream of this group was made. Whoever made the group may not have got as far as its retention, so the others see to it
    /// too, but not all of a fleet while it boots.
    pub(super) fn owe(&self, to: &Destination, made: Made, now: Instant) {
        let Some(days) = to.days else { return };
        let not_before = match made {
            Made::Group => now,
            Made::Stream => now + jitter(AT_LEISURE),
        };
        let mut owed = self.lock();
        let at = owed.entry(to.group.clone()).or_insert(Owed { days, tries: 0, not_before });
        at.not_before = at.not_before.min(not_before);
    }

    /// Sets that of the group, if it is to be set and it is time. What the service will not do is an error.
    pub(super) fn pay(&self, service: &dyn LogStore, group: &str, now: Instant) -> Result<(), Error> {
        let days = match self.lock().get_mut(group) {
            Some(owed) if owed.not_before <= now => {
                owed.not_before = now + jitter(AGAIN.after(owed.tries));
                owed.tries = owed.tries.saturating_add(1);
                owed.days
            }
            _ => return Ok(()),
        };
        match service.keep(group, days) {
            Ok(()) => {
                self.lock().remove(group);
                Ok(())
            }
            Err(refusal) if matches!(refusal.class, Class::Denied | Class::Content | Class::Other) => {
                self.lock().remove(group);
                Err(*refusal.error)
            }
            // Missing too: a group that was just made is not always there at once.
            Err(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Owed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
