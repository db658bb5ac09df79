//! What is written down about followed files, so that the next process goes on where the service has acknowledged.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Files;
use super::content::Content;
use super::generation::{Generation, Inode};
use super::identity::Print;
use crate::host::inode::Handle;

/// A source that a configuration leaves out is known this long: the next one may have it again.
const UNWANTED_ARE_KEPT: Duration = Duration::from_hours(24);

/// All that is known about files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesRecord {
    /// One for each source.
    sources: Vec<SourceRecord>,
    /// In the order in which they were found.
    files: Vec<FileRecord>,
}

/// By what a source is known again: what it asks for, and where that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SourceRecord {
    pattern: String,
    group: String,
    stream: String,
    newest: Option<i64>,
    /// Since when nobody asks for it, in milliseconds since 1970: for a while its files are known, in case somebody does again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unwanted: Option<i64>,
}

/// One generation of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    /// Which of the sources.
    source: usize,
    home: PathBuf,
    path: Option<PathBuf>,
    inode: Option<InodeRecord>,
    /// Acknowledged.
    offset: u64,
    size: u64,
    written: i64,
    head: Print,
    anchor: Print,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    strips: bool,
    /// Nothing more was expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_over: bool,
    /// Since when it is nowhere to be found, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missed: Option<i64>,
    /// What was unread of it was counted as lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_given_up: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spooled: Option<SpoolRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InodeRecord {
    handle: String,
    inode: u64,
    born: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_packed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SpoolRecord {
    name: String,
    base: u64,
}

impl Files {
    /// What to write down now: nothing that is not acknowledged counts as done.
    pub fn records(&mut self) -> FilesRecord {
        let sources = self.sources.iter().map(|source| SourceRecord {
            pattern: source.given.pattern.clone(),
            group: source.given.to.group.clone(),
            stream: source.given.to.stream.clone(),
            newest: source.newest,
            unwanted: None,
        });
        let sources = sources.collect();
        let outbox = &self.desk.outbox;
        let files = self.generations.values_mut().map(|file| FileRecord::of(file, outbox)).collect();
        let mut all = FilesRecord { sources, files };
        all.append(&self.unwanted);
        all
    }

    /// Goes on from what an earlier process wrote down. For the time before the first turn.
    pub fn resume(&mut self, known: FilesRecord, now: Instant) {
        let place = |record: &SourceRecord| {
            self.sources.iter().position(|source| {
                let to = &source.given.to;
                (&source.given.pattern, &to.group, &to.stream) == (&record.pattern, &record.group, &record.stream)
            })
        };
        let places: Vec<Option<usize>> = known.sources.iter().map(place).collect();
        for (record, place) in known.sources.iter().zip(&places) {
            if let Some(source) = place.and_then(|place| self.sources.get_mut(place)) {
                source.newest = record.newest;
            }
        }
        self.unwanted = known.of_nobody(&places, jiff::Timestamp::now().as_millisecond());
        for record in known.files {
            if let Some(source) = places.get(record.source).copied().flatten() {
                let file = self.generation_of(record, source, now);
                self.add(file);
            }
        }
        let mut names: Vec<String> =
            self.generations.values().filter_map(|file| Some(file.rescue.as_ref()?.name.clone())).collect();
        names.extend(self.unwanted.files.iter().filter_map(|file| Some(file.spooled.as_ref()?.name.clone())));
        self.spool.keep(|name| names.iter().any(|known| known == name));
    }

    fn generation_of(&self, record: FileRecord, source: usize, now: Instant) -> Generation {
        let inode = record.inode.and_then(|inode| {
            let handle = Handle::from_text(&inode.handle)?;
            Some(Inode { place: (0, inode.inode), born: inode.born, handle, is_packed: inode.is_packed })
        });
        let mut file = Generation::new(source, record.home, inode, now);
        (file.offset, file.looked, file.size) = (record.offset, record.offset, record.size);
        (file.path, file.written, file.head) = (record.path, record.written, record.head);
        file.recorded = record.anchor;
        file.anchor = if record.anchor.end == record.offset { record.anchor } else { Print::of(&[], record.offset) };
        (file.strips, file.is_over, file.missed_at) = (record.strips, record.is_over, record.missed);
        file.is_given_up = record.is_given_up;
        if let Some(spooled) = record.spooled {
            match self.spool.open(&spooled.name, spooled.base) {
                Ok((saved, rescue)) => {
                    file.size = file.size.max(rescue.end);
                    file.content = Some(Content::Spooled(saved, rescue.base));
                    file.rescue = Some(rescue);
                }
                Err(error) => tracing::warn!(%error, "what was spooled is gone"),
            }
        }
        file
    }
}

impl FilesRecord {
    /// What is known of sources that have no place here any more, unless that is long ago.
    fn of_nobody(&self, places: &[Option<usize>], now: i64) -> Self {
        let kept_since = now - i64::try_from(UNWANTED_ARE_KEPT.as_millis()).unwrap_or(i64::MAX);
        let mut rest = Self::default();
        for (number, source) in self.sources.iter().enumerate() {
            let since = source.unwanted.unwrap_or(now);
            if places.get(number).copied().flatten().is_some() || since < kept_since {
                continue;
            }
            let place = rest.sources.len();
            rest.sources.push(SourceRecord { unwanted: Some(since), ..source.clone() });
            let files = self.files.iter().filter(|file| file.source == number);
            rest.files.extend(files.map(|file| FileRecord { source: place, ..file.clone() }));
        }
        rest
    }

    fn append(&mut self, other: &Self) {
        let first = self.sources.len();
        self.sources.extend(other.sources.iter().cloned());
        self.files.extend(other.files.iter().map(|file| FileRecord { source: first + file.source, ..file.clone() }));
    }
}

impl FileRecord {
    fn of(file: &mut Generation, outbox: &crate::logs::outbox::Outbox) -> Self {
        let offset = file.acknowledged(outbox);
        let inode = file.inode.as_ref().map(|inode| InodeRecord {
            handle: inode.handle.to_text(),
            inode: inode.place.1,
            born: inode.born,
            is_packed: inode.is_packed,
        });
        Self {
            source: file.source,
            home: file.home.clone(),
            path: file.path.clone(),
            inode,
            offset,
            size: file.size.max(file.looked),
            written: file.written,
            head: file.head,
            anchor: file.record_anchor(offset),
            strips: file.strips,
            is_over: file.is_over && offset == file.offset,
            missed: file.missed_at,
            is_given_up: file.is_given_up,
            spooled: file.rescue.as_ref().map(|rescue| SpoolRecord { name: rescue.name.clone(), base: rescue.base }),
        }
    }
}
