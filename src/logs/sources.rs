//! The playbook's sources: patterns become files, units become journals, and each is read in turn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoints, Place};
use super::journal::Journal;
use super::send::Destination;
use super::settings::{LogSettings, days};
use super::tail::Tail;
use crate::error::Result;
use crate::secret::Redactor;

/// How often patterns are looked at for new files.
const RESCAN: Duration = Duration::from_secs(2);
/// A problem is said again only when it has been something else in between.
type Said = BTreeMap<String, String>;

/// One line of a source on its way.
pub(super) struct Read {
    pub(super) to: Destination,
    pub(super) at: i64,
    pub(super) text: String,
    /// The source and the place reached with it.
    pub(super) reaches: Option<(String, Place)>,
}

/// All sources of a playbook.
pub(super) struct Sources {
    all: Vec<Followed>,
    said: Said,
    next: usize,
}

struct Followed {
    to: Destination,
    kind: Kind,
}

enum Kind {
    Files { pattern: String, tails: BTreeMap<PathBuf, Tail>, scanned: Option<Instant> },
    Unit { unit: String, journal: Option<Journal> },
}

impl Sources {
    /// What the settings name; what a source leaves out is what the block says, and in the end `stream`.
    pub(super) fn new(settings: &LogSettings, stream: &str) -> Self {
        let mut all = Vec::new();
        for source in &settings.sources {
            let stream = source.stream.as_deref().or(settings.stream.as_deref()).unwrap_or(stream);
            let to = Destination {
                group: source.group.clone().unwrap_or_else(|| settings.group.clone()),
                stream: stream.to_owned(),
                days: source.retention.or(settings.retention).and_then(days),
            };
            let kind = match (&source.file, &source.unit) {
                (Some(pattern), _) => Kind::Files { pattern: pattern.clone(), tails: BTreeMap::new(), scanned: None },
                (None, Some(unit)) => Kind::Unit { unit: unit.clone(), journal: None },
                (None, None) => continue,
            };
            all.push(Followed { to, kind });
        }
        Self { all, said: Said::new(), next: 0 }
    }

    /// Finds out which entries the journals have by now.
    pub(super) fn await_newest(&mut self) {
        self.journals().for_each(Journal::await_newest);
    }

    /// Whether a journal has entries that were not read yet.
    pub(super) fn is_behind(&mut self) -> bool {
        self.journals().any(|journal| journal.is_behind())
    }

    fn journals(&mut self) -> impl Iterator<Item = &mut Journal> {
        self.all.iter_mut().filter_map(|source| match &mut source.kind {
            Kind::Unit { journal, .. } => journal.as_mut(),
            Kind::Files { .. } => None,
        })
    }

    /// What is there to read, for about so many bytes; and what went wrong, each problem once.
    pub(super) fn read(&mut self, room: usize, known: &Checkpoints, redactor: &Redactor) -> (Vec<Read>, Vec<String>) {
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        let mut room = room;
        // A busy source must not starve the others: another one comes first each time.
        let count = self.all.len();
        self.next = self.next.wrapping_add(1);
        for turn in 0..count {
            let place = (self.next + turn) % count;
            let Some(source) = self.all.get_mut(place) else { continue };
            let before = lines.len();
            for (key, problem) in source.read(room, known, redactor, &mut lines) {
                if self.said.get(&key) != Some(&problem) {
                    problems.push(format!("cannot read the log source `{key}`: {problem}"));
                    self.said.insert(key, problem);
                }
            }
            room = room.saturating_sub(lines.iter().skip(before).map(|line| line.text.len()).sum());
        }
        (lines, problems)
    }
}

impl Followed {
    /// Appends what is there; returns who could not be read, and why.
    fn read(&mut self, room: usize, known: &Checkpoints, redactor: &Redactor, lines: &mut Vec<Read>) -> Vec<(String, String)> {
        let to = &self.to;
        let key = |name: &str| format!("{name} > {} {}", to.group, to.stream);
        let mut problems = Vec::new();
        match &mut self.kind {
            Kind::Unit { unit, journal } => {
                let key = key(unit);
                let journal = journal.get_or_insert_with(|| Journal::new(unit, known.of(&key).cloned()));
                match journal.read(room, redactor) {
                    Ok(entries) => lines.extend(entries.into_iter().map(|(at, text, place)| Read {
                        to: to.clone(),
                        at,
                        text,
                        reaches: Some((key.clone(), place)),
                    })),
                    Err(error) => problems.push((unit.clone(), error.to_string())),
                }
            }
            Kind::Files { pattern, tails, scanned } => {
                if scanned.is_none_or(|scanned| scanned.elapsed() >= RESCAN) {
                    for path in matching(pattern) {
                        let resume = known.of(&key(&path.to_string_lossy())).cloned();
                        tails.entry(path.clone()).or_insert_with(|| Tail::new(&path, resume));
                    }
                    *scanned = Some(Instant::now());
                }
                for (path, tail) in tails {
                    let name = path.to_string_lossy();
                    match read_file(tail, room, redactor) {
                        Ok(read) => lines.extend(read.into_iter().map(|(at, text, place)| Read {
                            to: to.clone(),
                            at,
                            text,
                            reaches: place.map(|place| (key(&name), place)),
                        })),
                        Err(error) => problems.push((name.into_owned(), error.to_string())),
                    }
                }
            }
        }
        problems
    }
}

/// A file's lines carry the time at which they were read: whatever they say themselves, they said in a form of their own.
fn read_file(tail: &mut Tail, room: usize, redactor: &Redactor) -> Result<Vec<(i64, String, Option<Place>)>> {
    let now = jiff::Timestamp::now().as_millisecond();
    Ok(tail.read(room, redactor)?.into_iter().map(|line| (now, line.text, line.place)).collect())
}

/// The files of a pattern; a plain path is followed even before it exists.
fn matching(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![Path::new(pattern).to_owned()];
    }
    let options =
        glob::MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    glob::glob_with(pattern, options).map(|paths| paths.flatten().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::state::StateFolder;

    #[test]
    fn a_pattern_finds_its_files_and_each_source_its_own_destination() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "c.txt"] {
            std::fs::write(folder.path().join(name), format!("{name}\n")).unwrap();
        }
        let place = folder.path().display();
        let yaml = format!(
            "group: g\nretention: 7d\nsources:\n- file: {place}/*.log\n- {{ file: {place}/c.txt, group: other, stream: s }}\n"
        );
        let settings: LogSettings = serde_yaml::from_str(&yaml).unwrap();
        let known = Checkpoints::read(&StateFolder::new(folder.path().join("state")));
        let mut sources = Sources::new(&settings, "i-1");
        let (mut lines, problems) = sources.read(1_000_000, &known, &Redactor::new());
        lines.sort_by(|a, b| a.text.cmp(&b.text));
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.text.as_str(), line.to.group.as_str(), line.to.stream.as_str(), line.to.days))
            .collect();
        assert_eq!(told, [("a.log", "g", "i-1", Some(7)), ("b.log", "g", "i-1", Some(7)), ("c.txt", "other", "s", Some(7))]);
        assert!(problems.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let settings: LogSettings =
            serde_yaml::from_str(&format!("group: g\nsources: [{{ file: {} }}]\n", folder.path().display())).unwrap();
        let known = Checkpoints::read(&StateFolder::new(folder.path().join("state")));
        let mut sources = Sources::new(&settings, "i-1");
        assert_eq!(sources.read(1000, &known, &Redactor::new()).1.len(), 1);
        assert!(sources.read(1000, &known, &Redactor::new()).1.is_empty());
    }
}
