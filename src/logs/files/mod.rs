//! Following files so that nothing is lost while its source exists.
//!
//! What is followed is a generation of a file, not a path: rotation renames it, copies it, compresses it or deletes it, and its unread
//! bytes are looked for wherever they went. The file is the buffer: what the service has not acknowledged is read again after a
//! crash. Looking at the folders is the truth, and inotify only a hint when to look.
//!
//! `scan` finds files and recognises them, `judge` decides what an unknown one is, `turn` reads, `record` remembers.

mod content;
mod desk;
mod family;
mod generation;
mod holes;
mod identity;
mod judge;
mod record;
mod scan;
mod source;
mod spool;
mod turn;
mod unpacking;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::record::FilesRecord;
pub use self::source::FileSource;
pub use self::turn::{Turn, Waker};

use self::desk::Desk;
use self::generation::Generation;
use self::source::Source;
use self::spool::Spool;
use crate::host::folder_watch::FolderWatch;
use crate::host::process;
use crate::logs::figures::Figures;
use crate::logs::outbox::{Destination, Outbox};
use crate::logs::text::Rules;
use crate::secret::Masker;

/// Files that rest are closed when more than this are open: thousands of files are no reason to hold thousands of descriptors.
const MOST_OPEN: usize = 512;
/// Nor more than this part of what the process may have: records and connections need some, too.
const PART_OPEN: usize = 4;

/// All files of all sources.
pub struct Files {
    sources: Vec<Source>,
    /// In the order in which they were found: of one log, the older ones first.
    generations: BTreeMap<u64, Generation>,
    made: u64,
    /// Those that are read, grew a moment ago, or are to be finished; all others rest until a scan or a hint finds them changed.
    active: BTreeMap<u64, Instant>,
    /// Whose turn it was when the outbox was full.
    resume_at: u64,
    by_path: HashMap<PathBuf, u64>,
    desk: Desk,
    spool: Spool,
    /// What an earlier process knew of sources that nobody asks for now.
    unwanted: FilesRecord,
    watch: Option<FolderWatch>,
    waker: turn::Waking,
    scans: u64,
    next_scan: Option<Instant>,
    last_scan: scan::Cost,
    /// What was judged to be no business of ours, until it changes.
    ignored: HashSet<judge::Key>,
    /// What cannot be judged yet, and since when.
    deferred: HashMap<judge::Key, Instant>,
    /// What is wrong at the moment, by path.
    problems: BTreeMap<PathBuf, String>,
    /// Of these, those that nobody was told yet.
    unsaid: BTreeSet<PathBuf>,
    most_open: usize,
    /// How many are open.
    open: usize,
}

impl Files {
    /// Follows these sources; unread bytes of deleted files are saved in the folder `spool`.
    #[must_use]
    pub fn new(sources: Vec<FileSource>, spool: &Path, outbox: Outbox, masker: Masker, figures: Figures) -> Self {
        let mut all: Vec<Source> = Vec::new();
        for given in sources {
            let same = all.iter().position(|known| known.given.to == given.to);
            let alike = same.unwrap_or(all.len());
            all.push(Source::new(given, alike));
        }
        Self {
            sources: all,
            generations: BTreeMap::new(),
            made: 0,
            active: BTreeMap::new(),
            resume_at: 0,
            by_path: HashMap::new(),
            desk: Desk::new(outbox, masker, figures),
            spool: Spool::new(spool),
            unwanted: FilesRecord::default(),
            watch: FolderWatch::new().inspect_err(|error| tracing::warn!(%error, "files are polled")).ok(),
            waker: turn::Waking::new(),
            scans: 0,
            next_scan: None,
            last_scan: scan::Cost::default(),
            ignored: HashSet::new(),
            deferred: HashMap::new(),
            problems: BTreeMap::new(),
            unsaid: BTreeSet::new(),
            most_open: (process::most_descriptors() / PART_OPEN).clamp(1, MOST_OPEN),
            open: 0,
        }
    }

    /// What is wrong that was not told before, one sentence each.
    pub fn news(&mut self) -> Vec<String> {
        let unsaid = std::mem::take(&mut self.unsaid);
        let problem = |path: &PathBuf| Some(format!("cannot read the log `{}`: {}", path.display(), self.problems.get(path)?));
        unsaid.iter().filter_map(problem).collect()
    }

    /// Bytes that the service does not have yet, and since when the oldest file with such bytes has been waiting.
    #[must_use]
    pub fn backlog(&self, now: Instant) -> (u64, Option<Duration>) {
        let mut bytes = 0;
        let mut age = None;
        for id in self.active.keys() {
            let Some(file) = self.generations.get(id) else { continue };
            let waiting = file.size.max(file.looked).saturating_sub(file.acknowledged(&self.desk.outbox));
            if waiting > 0 && !file.is_given_up {
                bytes += waiting;
                age = age.max(Some(now.saturating_duration_since(file.waiting_since)));
            }
        }
        (bytes, age)
    }

    fn add(&mut self, file: Generation) -> u64 {
        self.made += 1;
        if let Some(path) = &file.path {
            self.by_path.insert(path.clone(), self.made);
        }
        self.generations.insert(self.made, file);
        self.made
    }

    /// It is to be looked at in the next turn.
    fn wake(&mut self, id: u64, now: Instant) {
        self.active.insert(id, now);
    }

    /// Where a generation's lines go, and how they are read.
    fn rules_of(&self, source: usize) -> Option<(Destination, Arc<Rules>)> {
        let given = &self.sources.get(source)?.given;
        Some((given.to.clone(), Arc::clone(&given.rules)))
    }

    /// Something is wrong with what stands at this path; said when it is news.
    fn blame(&mut self, path: &Path, problem: &str) {
        if self.problems.get(path).is_none_or(|known| known != problem) {
            self.problems.insert(path.to_owned(), problem.to_owned());
            self.unsaid.insert(path.to_owned());
        }
    }

    fn clear(&mut self, path: &Path) {
        if !self.problems.is_empty() {
            self.problems.remove(path);
        }
    }
}

#[cfg(test)]
mod tests;
