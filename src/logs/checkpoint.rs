//! How far each source has been acknowledged. Written after the acknowledgement, so a crash sends twice rather than never.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;

const RECORD: &str = "log-offsets.json";
const VERSION: u32 = 1;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// So far in this file; device and inode tell it from one that was put in its place.
    File { device: u64, inode: u64, offset: u64 },
    /// Up to and including this entry of the journal.
    Journal { cursor: String },
}

/// The places of all sources, by path or unit.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    places: BTreeMap<String, Place>,
    changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    places: BTreeMap<String, Place>,
}

impl Checkpoints {
    /// What an earlier run wrote; a record that cannot be read means that all is sent again.
    pub(super) fn read(state: &StateFolder) -> Self {
        let content = state.read(RECORD).ok().flatten();
        let written: Option<Written> = content.and_then(|content| serde_json::from_slice(&content).ok());
        let places = written.filter(|written| written.version == VERSION).map(|written| written.places).unwrap_or_default();
        Self { places, changed: false }
    }

    /// How far this source has been acknowledged.
    pub(super) fn of(&self, source: &str) -> Option<&Place> {
        self.places.get(source)
    }

    /// It has been acknowledged up to here.
    pub(super) fn reach(&mut self, source: &str, place: Place) {
        self.places.insert(source.to_owned(), place);
        self.changed = true;
    }

    /// Writes them down, if there is news.
    pub(super) fn write(&mut self, state: &StateFolder) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let written = Written { version: VERSION, places: self.places.clone() };
        let content = serde_json::to_vec(&written).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        state.write(RECORD, &content)?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_outlive_the_process_and_rubbish_means_from_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("state"));
        let mut checkpoints = Checkpoints::read(&state);
        let place = Place::File { device: 1, inode: 2, offset: 3 };
        checkpoints.reach("/a", place.clone());
        checkpoints.write(&state).unwrap();
        assert_eq!(Checkpoints::read(&state).of("/a"), Some(&place));
        state.write(RECORD, b"{\"version\":1,").unwrap();
        assert!(Checkpoints::read(&state).of("/a").is_none());
    }
}
