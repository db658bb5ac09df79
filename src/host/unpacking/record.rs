//! What was unpacked: the archive's digest, and of each entry what it was. It lies in the directory itself, so that it goes where
//! the directory goes (into an image, into a copy) and is gone when that is.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::host::digest::Sha256;

/// Its name in the directory.
pub const NAME: &str = ".bootstrap-agent-archive.json";
/// The form of it that this agent reads and writes.
const VERSION: u32 = 1;
/// A larger one is not ours: this is room for more entries than may be in an archive.
const LARGEST: u64 = 64 << 20;

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Of the archive.
    pub sha256: Sha256,
    /// How many directories were left out at the top of each name.
    pub strip: u32,
    entries: BTreeMap<PathBuf, Entry>,
}

/// What one entry was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// A file that held these bytes, with these permission bits.
    File(Sha256, u32),
    /// A link that led there.
    Link(PathBuf),
    /// A directory.
    Directory,
}

impl Record {
    /// Of an archive with this digest, of which this was unpacked.
    pub fn new(sha256: Sha256, strip: u32, entries: BTreeMap<PathBuf, Entry>) -> Self {
        Self { version: VERSION, sha256, strip, entries }
    }

    /// All of them, by path.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// As it is written down.
    ///
    /// # Errors
    /// When a name is no text.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::from_source(Kind::Failed, &error))
    }

    /// As it was written down; `None` where it is not one that this agent has written: whoever owns the tree may have.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(file: impl Read) -> Result<Option<Self>> {
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        let record = serde_json::from_slice(&bytes).ok().filter(|record: &Self| record.version == VERSION);
        // Whatever it says, nothing outside of the directory is looked at.
        Ok(record.filter(|record| record.entries.keys().all(|path| super::entry::is_inside(path))))
    }
}
