//! Digests of large files and of objects in S3, found out once: a file is read again when it looks different (see `tree/stamp`),
//! an object is fetched again when its entity tag is another. A record that is lost costs one reading and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use super::files::mixed_up;
use super::state::StateFolder;
use super::tree::{Digested, Errand, Reply, Stamp};
use super::{Facts, World};
use crate::error::{Error, Kind, Result};

/// The record's name in the state folder.
const RECORD: &str = "digests.json";
/// The form of it that this agent reads and writes.
const VERSION: u32 = 1;

/// What is known about the files and objects of a run.
#[derive(Default)]
pub struct Digests(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// As earlier runs left it; read when it is first needed.
    before: Option<Record>,
    /// What this run asked about: what nobody asks about any more is forgotten.
    now: Record,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    version: u32,
    files: BTreeMap<PathBuf, KnownFile>,
    objects: BTreeMap<String, KnownObject>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, files: BTreeMap::new(), objects: BTreeMap::new() }
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct KnownFile {
    stamp: Stamp,
    sha256: Sha256,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct KnownObject {
    tag: String,
    sha256: Sha256,
}

impl Digests {
    fn held(&self, state: &Path) -> MutexGuard<'_, Inner> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody's truth: what cannot be read (a dry-run of somebody else, a newer agent's record) is found out again.
        inner.before.get_or_insert_with(|| {
            let bytes = StateFolder::new(state).read(RECORD).ok().flatten().unwrap_or_default();
            serde_json::from_slice(&bytes).ok().filter(|record: &Record| record.version == VERSION).unwrap_or_default()
        });
        inner
    }
}

impl Facts {
    /// The digest of the file at this path, read only where it looks different than it did; `None` where there is none.
    ///
    /// # Errors
    /// `Denied` where we may not read; `Failed` if it is no ordinary file.
    pub fn file_digest(&self, path: &Path) -> Result<Option<Sha256>> {
        let (digests, state) = (&self.world.digests, &self.world.options.state);
        let known = {
            let inner = digests.held(state);
            inner.now.files.get(path).or_else(|| inner.before.as_ref()?.files.get(path)).cloned()
        };
        let errand = Errand::Digest { path: path.to_owned(), known: known.as_ref().map(|known| known.stamp.clone()) };
        let Reply::Digested(found) = self.look_there(errand)? else { return Err(mixed_up()) };
        let (sha256, remembered) = match (found, known) {
            (None, _) => return Ok(None),
            (Some(Digested::AsKnown), Some(known)) => (known.sha256, Some(known)),
            (Some(Digested::AsKnown), None) => return Err(mixed_up()),
            (Some(Digested::Now { sha256, stamp }), _) => (sha256, stamp.map(|stamp| KnownFile { stamp, sha256 })),
        };
        let mut inner = digests.held(state);
        match remembered {
            Some(known) => inner.now.files.insert(path.to_owned(), known),
            None => inner.now.files.remove(path),
        };
        Ok(Some(sha256))
    }

    /// The digest of the object with this entity tag, if it was ever fetched.
    pub(in crate::host) fn object_digest(&self, name: &str, tag: &str) -> Option<Sha256> {
        let mut inner = self.world.digests.held(&self.world.options.state);
        let known = inner.now.objects.get(name).or_else(|| inner.before.as_ref()?.objects.get(name));
        let known = known.filter(|known| known.tag == tag)?.clone();
        let sha256 = known.sha256;
        inner.now.objects.insert(name.to_owned(), known);
        Some(sha256)
    }

    /// The object with this entity tag was fetched and has this digest.
    pub(in crate::host) fn learn_object(&self, name: &str, tag: &str, sha256: Sha256) {
        let known = KnownObject { tag: tag.to_owned(), sha256 };
        self.world.digests.held(&self.world.options.state).now.objects.insert(name.to_owned(), known);
    }
}

impl World {
    /// Records what was found out, for the next run: at the end of one that may write.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn keep_digests(&self) -> Result<()> {
        let mut inner = self.digests.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody asked, or nothing is new.
        if inner.before.as_ref().is_none_or(|before| *before == inner.now) {
            return Ok(());
        }
        let text = serde_json::to_vec(&inner.now).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        StateFolder::new(&self.options.state).write(RECORD, &text)?;
        inner.before = Some(inner.now.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::host::fakes::Machine;

    const LARGE: usize = 1024 * 1024;

    /// What the record says about this file.
    fn recorded(machine: &Machine, path: &Path) -> Option<KnownFile> {
        let bytes = std::fs::read(machine.path("state/digests.json")).ok()?;
        serde_json::from_slice::<Record>(&bytes).unwrap().files.get(path).cloned()
    }

    /// Asks as one run would, and records what was found out.
    fn asked(machine: &Machine, path: &Path) -> Sha256 {
        let facts = machine.facts();
        let found = facts.file_digest(path).unwrap().unwrap();
        facts.world.keep_digests().unwrap();
        found
    }

    #[test]
    fn a_large_file_is_read_again_only_when_it_looks_different() {
        let machine = Machine::new();
        let path = machine.write("large", &"a".repeat(LARGE));
        assert_eq!(asked(&machine, &path), Sha256::of(&vec![b'a'; LARGE]));
        // Whether it is read shows when the record lies.
        let mut record: Record = serde_json::from_str(&machine.content("state/digests.json")).unwrap();
        let lie = Sha256::of(b"a lie");
        record.files.get_mut(&path).unwrap().sha256 = lie;
        machine.write("state/digests.json", &serde_json::to_string(&record).unwrap());
        assert_eq!(asked(&machine, &path), lie);

        // The same size and the same modification time do not hide a change.
        let times = std::fs::metadata(&path).unwrap();
        std::fs::write(&path, vec![b'b'; LARGE]).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(
            SystemTime::UNIX_EPOCH
                + Duration::new(u64::try_from(times.mtime()).unwrap(), u32::try_from(times.mtime_nsec()).unwrap()),
        )
        .unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mtime_nsec(), times.mtime_nsec());
        assert_eq!(asked(&machine, &path), Sha256::of(&vec![b'b'; LARGE]));
    }

    #[test]
    fn a_write_right_after_the_reading_is_seen() {
        let machine = Machine::new();
        for round in 0..3_u8 {
            let path = machine.write("large", &"a".repeat(LARGE));
            asked(&machine, &path);
            assert!(recorded(&machine, &path).is_some(), "round {round}");
            let mut file = std::fs::File::options().write(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, b"b").unwrap();
            drop(file);
            let mut after = vec![b'a'; LARGE];
            after[0] = b'b';
            assert_eq!(asked(&machine, &path), Sha256::of(&after), "round {round}");
        }
    }

    #[test]
    fn small_files_are_read_and_what_nobody_asks_about_is_forgotten() {
        let machine = Machine::new();
        let (small, large) = (machine.write("small", "x"), machine.write("large", &"x".repeat(LARGE)));
        assert_eq!(asked(&machine, &small), Sha256::of(b"x"));
        assert!(!machine.path("state/digests.json").exists(), "there is nothing to remember");
        asked(&machine, &large);
        assert!(recorded(&machine, &large).is_some());
        asked(&machine, &small);
        assert!(recorded(&machine, &large).is_none());
        assert_eq!(machine.facts().file_digest(&machine.path("none")).unwrap(), None);
        // A newer agent's record, or half of one, is no reason to fail.
        for text in ["{", r#"{"version":2,"files":{},"objects":{}}"#] {
            machine.write("state/digests.json", text);
            assert_eq!(asked(&machine, &large), Sha256::of(&vec![b'x'; LARGE]));
        }
    }

    #[test]
    fn an_object_is_known_by_its_tag() {
        let machine = Machine::new();
        let facts = machine.facts();
        facts.learn_object("s3://b/k", "\"1\"", Sha256::of(b"one"));
        facts.world.keep_digests().unwrap();
        let facts = machine.facts();
        assert_eq!(facts.object_digest("s3://b/k", "\"1\""), Some(Sha256::of(b"one")));
        assert_eq!(facts.object_digest("s3://b/k", "\"2\""), None);
        assert_eq!(facts.object_digest("s3://b/other", "\"1\""), None);
    }
}
