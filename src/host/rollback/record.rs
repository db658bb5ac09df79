//! The record: of each application the release that was last healthy, and the revisions that failed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::state::StateFolder;

/// Its file in the state folder.
const FILE: &str = "releases.json";
const VERSION: u32 = 1;
/// How many failed revisions are remembered.
const MOST_FAILED: usize = 10;

/// What the file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// By the directory that holds the releases.
    pub places: BTreeMap<PathBuf, Standing>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, places: BTreeMap::new() }
    }
}

/// How the releases of an application stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The last one that was seen healthy.
    pub healthy: Option<Healthy>,
    /// Revisions that failed, by commit.
    #[serde(default)]
    pub failed: BTreeMap<String, Failed>,
}

/// A release that was seen healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    /// Its commit.
    pub commit: String,
    /// What the record of starts said of its unit then: after going back it is true again.
    #[serde(default)]
    pub starts: BTreeMap<String, String>,
}

/// A revision that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Why, in a line.
    pub because: String,
}

impl Standing {
    /// Remembers a failed revision, and forgets the oldest of too many.
    pub fn blame(&mut self, commit: &str, failed: Failed) {
        self.failed.insert(commit.to_owned(), failed);
        while self.failed.len() > MOST_FAILED {
            let oldest = self.failed.iter().min_by_key(|(_, failed)| failed.at).map(|(commit, _)| commit.clone());
            oldest.map(|commit| self.failed.remove(&commit));
        }
    }
}

impl Record {
    /// Reads it; an empty one where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(state: &StateFolder) -> Result<Self> {
        let Some(bytes) = state.read(FILE)? else { return Ok(Self::default()) };
        let path = state.path().join(FILE);
        let record: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::from_source(Kind::Failed, &error))
            .doing(|| format!("reading the record of releases in `{}`", path.display()))
            .map_err(|error| error.hint("remove the file: the release that answers next is then the last healthy one"))?;
        if record.version != VERSION {
            return Err(Error::new(Kind::Failed, format!("`{}` was written by a newer agent", path.display())));
        }
        Ok(record)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, state: &StateFolder) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        state.write(FILE, &text)
    }
}
