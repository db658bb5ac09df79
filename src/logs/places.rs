//! How far every source is acknowledged, on disk: what a crash, a power cut or a full disk leaves is never half a record.
//!
//! The content is whatever the readers of files and journals know their places by. The record carries the sum of its bytes and
//! the one before it is kept, so damage is seen, said, and costs duplicates instead of lines.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::complaints::Complaints;
use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;

/// The name of the record in the shipper's state folder.
pub const RECORD: &str = "state.json";
/// The one before it.
pub const PREVIOUS: &str = "state.prev.json";
const VERSION: u32 = 1;
/// It is written no more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// The complaint about the disk.
const ABOUT: &str = "places";

/// Writes the places down.
pub struct PlaceRecord {
    state: StateFolder,
    complaints: Complaints,
    /// What was written last, by the number its owner gave it.
    written: Option<u64>,
    next: Option<Instant>,
}

impl PlaceRecord {
    /// In this folder; a disk that does not take it is complained about.
    #[must_use]
    pub fn new(state: StateFolder, complaints: Complaints) -> Self {
        Self { state, complaints, written: None, next: None }
    }

    /// What was recorded. Damage is said; then the record before it counts, or nothing is known of any source.
    #[must_use]
    pub fn read<P: DeserializeOwned + Default>(&self) -> P {
        let mut damage = Vec::new();
        for name in [RECORD, PREVIOUS] {
            match self.state.read(name).and_then(|content| content.map(|content| parse(&content)).transpose()) {
                Ok(Some(places)) => {
                    if let Some(damage) = damage.first() {
                        self.say(&format!("{damage}; the one before it is used, and some lines may be shipped twice"));
                    }
                    return places;
                }
                // A crash between two renames leaves the one before only.
                Ok(None) => {}
                Err(error) => damage.push(format!("the record of how far logs are shipped cannot be used: {error}")),
            }
        }
        if let Some(damage) = damage.first() {
            self.say(&format!("{damage}; all sources are shipped from their beginning"));
        }
        P::default()
    }

    /// Writes the places if they changed since, and not too soon; `change` is another number after each change.
    pub fn write<P: Serialize>(&mut self, now: Instant, change: u64, places: impl FnOnce() -> P) {
        if self.next.is_none_or(|next| next <= now) {
            self.write_now(now, change, places);
        }
    }

    /// Writes them if they changed, however short ago it was. Whether what is on disk is what is true.
    pub fn write_now<P: Serialize>(&mut self, now: Instant, change: u64, places: impl FnOnce() -> P) -> bool {
        if self.written == Some(change) {
            return true;
        }
        self.next = Some(now + AT_MOST_EVERY);
        let written = serialise(&places()).and_then(|content| self.state.write_and_keep(RECORD, PREVIOUS, &content));
        match written {
            Ok(()) => {
                self.written = Some(change);
                self.complaints.settle(ABOUT, "how far logs are shipped is recorded again");
                true
            }
            Err(error) => {
                let said = format!(
                    "how far logs are shipped cannot be recorded, and is tried again; after a restart lines are shipped twice: {error}"
                );
                self.complaints.raise(ABOUT, &said);
                false
            }
        }
    }

    /// Whether what was written last is not what is true any more.
    #[must_use]
    pub fn is_behind(&self, change: u64) -> bool {
        self.written != Some(change)
    }

    fn say(&self, sentence: &str) {
        self.complaints.mention("the record of places", sentence);
    }
}

/// The record: one JSON object whose first two fields are the version and the sum of what follows them.
fn serialise(places: &impl Serialize) -> Result<Vec<u8>> {
    let content = serde_json::to_vec(places).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    let content = content.strip_prefix(b"{").unwrap_or_default();
    let mut record = head(crc32fast::hash(content)).into_bytes();
    record.extend_from_slice(content);
    Ok(record)
}

fn head(sum: u32) -> String {
    format!("{{\"version\":{VERSION},\"crc32\":{sum},")
}

fn parse<P: DeserializeOwned>(record: &[u8]) -> Result<P> {
    #[derive(Deserialize)]
    struct Record<P> {
        version: u32,
        crc32: u32,
        #[serde(flatten)]
        places: P,
    }
    let damaged = |why: &dyn std::error::Error| Error::from_source(Kind::Failed, why).doing(format!("reading `{RECORD}`"));
    let read: Record<P> = serde_json::from_slice(record).map_err(|error| damaged(&error))?;
    if read.version != VERSION {
        return Err(Error::new(Kind::Failed, format!("it has version {}, and this is version {VERSION}", read.version)));
    }
    let sum = record.strip_prefix(head(read.crc32).as_bytes()).map(crc32fast::hash);
    if sum == Some(read.crc32) { Ok(read.places) } else { Err(Error::new(Kind::Failed, "its sum is wrong")) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Places {
        offset: u64,
    }

    struct Rig {
        record: PlaceRecord,
        state: StateFolder,
        said: Arc<Mutex<Vec<String>>>,
        folder: tempfile::TempDir,
    }

    fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("logs"));
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let ears = said.clone();
        let complaints = Complaints::new(Arc::new(move |sentence| ears.lock().unwrap().push(sentence.to_owned())));
        Rig { record: PlaceRecord::new(state.clone(), complaints), state, said, folder }
    }

    fn at(offset: u64) -> Places {
        Places { offset }
    }

    impl Rig {
        fn write(&mut self, offset: u64) -> bool {
            self.record.write_now(Instant::now(), offset, || at(offset))
        }

        fn said(&self) -> Vec<String> {
            self.said.lock().unwrap().clone()
        }
    }

    #[test]
    fn it_is_written_when_it_changed_and_not_too_often() {
        let mut rig = rig();
        let now = Instant::now();
        assert_eq!(rig.record.read::<Places>(), Places::default());
        rig.record.write(now, 1, || at(1));
        assert_eq!(rig.record.read::<Places>(), at(1));
        rig.record.write(now + Duration::from_millis(900), 2, || at(2));
        assert_eq!(rig.record.read::<Places>(), at(1), "too soon");
        rig.record.write(now + Duration::from_secs(1), 2, || at(2));
        assert_eq!(rig.record.read::<Places>(), at(2));
        rig.record.write(now + Duration::from_secs(5), 2, || -> Places { unreachable!("nothing changed") });
        assert!(rig.said().is_empty());
    }

    #[test]
    fn whatever_byte_is_damaged_the_record_before_it_counts_and_it_is_said() {
        let mut rig = rig();
        rig.write(1);
        rig.write(2);
        let whole = rig.state.read(RECORD).unwrap().unwrap();
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 4;
            for content in [&damaged, &whole[..index].to_vec()] {
                std::fs::write(rig.state.path().join(RECORD), content).unwrap();
                assert_eq!(rig.record.read::<Places>(), at(1), "{}", String::from_utf8_lossy(content));
            }
        }
        assert!(rig.said()[0].contains("shipped twice"), "{:?}", rig.said());
    }

    #[test]
    fn where_both_are_damaged_everything_is_unknown_and_it_is_said() {
        let mut rig = rig();
        rig.write(1);
        rig.write(2);
        for name in [RECORD, PREVIOUS] {
            rig.state.write(name, b"").unwrap();
        }
        assert_eq!(rig.record.read::<Places>(), Places::default());
        assert!(rig.said()[0].contains("from their beginning"), "{:?}", rig.said());
    }

    #[test]
    fn a_crash_between_the_renames_costs_nothing_but_a_second() {
        let mut rig = rig();
        rig.write(1);
        rig.write(2);
        rig.state.remove(RECORD).unwrap();
        assert_eq!(rig.record.read::<Places>(), at(1));
        assert!(rig.said().is_empty());
    }

    #[test]
    fn a_disk_that_refuses_is_said_once_and_tried_again() {
        let mut rig = rig();
        let blocked = rig.folder.path().join("logs");
        std::fs::write(&blocked, "in the way").unwrap();
        assert!(!rig.write(1) && !rig.write(1) && !rig.write(2));
        assert_eq!(rig.said().len(), 1);
        std::fs::remove_file(&blocked).unwrap();
        assert!(rig.write(2));
        assert_eq!((rig.record.read::<Places>(), rig.said().len()), (at(2), 2));
    }
}
