//! One unit's journal, followed from an acknowledged entry on; a `journalctl` that ends is started again there.

use std::time::{Duration, Instant};

use super::checkpoint::Place;
use crate::error::Result;
use crate::host::journal::{Entry, Follow, newest};
use crate::secret::Redactor;

/// Between two starts of `journalctl`.
const PAUSE: Duration = Duration::from_secs(5);

/// A unit whose journal is followed.
pub(super) struct Journal {
    unit: String,
    /// The last entry that was handed on.
    cursor: Option<String>,
    /// The entry that has to be handed on before a flush is whole.
    awaited: Option<String>,
    follow: Option<Follow>,
    started: Option<Instant>,
}

impl Journal {
    /// Follows the unit from behind this place on.
    pub(super) fn new(unit: &str, resume: Option<Place>) -> Self {
        let cursor = match resume {
            Some(Place::Journal { cursor }) => Some(cursor),
            _ => None,
        };
        Self { unit: unit.to_owned(), cursor, awaited: None, follow: None, started: None }
    }

    /// Finds out what is there by now: a follower hands it on a little later.
    pub(super) fn await_newest(&mut self) {
        self.awaited = newest(&self.unit).filter(|newest| self.cursor.as_ref() != Some(newest));
    }

    /// Whether something that was there has not been handed on.
    pub(super) fn is_behind(&self) -> bool {
        self.awaited.is_some()
    }

    /// The next entries that are there, for about so many bytes.
    pub(super) fn read(&mut self, room: usize, redactor: &Redactor) -> Result<Vec<(i64, String, Place)>> {
        if self.follow.is_none() {
            if self.started.is_some_and(|started| started.elapsed() < PAUSE) {
                return Ok(Vec::new());
            }
            self.started = Some(Instant::now());
            self.follow = Some(Follow::start(&self.unit, self.cursor.as_deref())?);
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        while bytes < room {
            let Some(Entry { cursor, at, message }) = self.follow.as_ref().and_then(Follow::next) else { break };
            // The first one after a start is the one we have.
            if self.cursor.as_ref() == Some(&cursor) {
                continue;
            }
            bytes += message.len();
            self.cursor = Some(cursor.clone());
            self.awaited.take_if(|awaited| *awaited == cursor);
            entries.push((at, redactor.clean(&message).into_owned(), Place::Journal { cursor }));
        }
        if entries.is_empty() && self.follow.as_mut().is_some_and(Follow::has_ended) {
            self.follow = None;
        }
        Ok(entries)
    }
}
