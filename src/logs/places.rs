//! How far every source is acknowledged, on disk: what a crash, a power cut or a full disk leaves is never half a record.
//!
//! After a kill, only what was on its way may be sent twice, so the record is written with almost every acknowledgement, but to the
//! kernel only; once a second a copy goes to the disk for good. Each carries the sum of its bytes, so damage is seen, said, and
//! costs duplicates instead of lines. The content is whatever the readers of files and journals know their places by.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::complaints::Complaints;
use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;

/// The name of the record in the shipper's state folder.
pub const RECORD: &str = "state.json";
/// The last one that outlives a power cut.
pub const PREVIOUS: &str = "state.prev.json";
const VERSION: u32 = 1;
/// How often it goes to the disk for good, at most.
const LASTING_EVERY: Duration = Duration::from_secs(1);
/// How often it is written at all, at most; and no more than this part of the time is spent on it, as long as that does not
/// put it off for so long that a kill would have more sent twice than what was on its way.
const EVERY: Duration = Duration::from_millis(5);
const SHARE: u32 = 20;
const LONGEST: Duration = Duration::from_millis(25);
/// The complaint about the disk.
const ABOUT: &str = "places";

/// Writes the places down.
pub struct PlaceRecord {
    state: StateFolder,
    complaints: Complaints,
    /// What was written last, by the number its owner gave it.
    written: Option<u64>,
    next: Option<Instant>,
    lasting: Option<u64>,
    next_lasting: Option<Instant>,
}

impl PlaceRecord {
    /// In this folder; a disk that does not take it is complained about.
    #[must_use]
    pub fn new(state: StateFolder, complaints: Complaints) -> Self {
        Self { state, complaints, written: None, next: None, lasting: None, next_lasting: None }
    }

    /// What was recorded. Damage is said; then the record before it counts, or nothing is known of any source.
    #[must_use]
    pub fn read<P: DeserializeOwned + Default>(&self) -> P {
        let mut damage = Vec::new();
        for name in [RECORD, PREVIOUS] {
            // What cannot be swept away is in nobody's way.
            let _ = self.state.sweep(name);
            match self.state.read(name).and_then(|content| content.map(|content| parse(&content)).transpose()) {
                Ok(Some(places)) => {
                    if let Some(damage) = damage.first() {
                        self.say(&format!("{damage}; an older one is used, and some lines may be shipped twice"));
                    }
                    return places;
                }
                // A power cut may leave the lasting one only.
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
        if self.lasting != Some(change) && self.next_lasting.is_none_or(|next| next <= now) {
            self.write_now(now, change, places);
        } else if self.written != Some(change) && self.next.is_none_or(|next| next <= now) {
            let began = Instant::now();
            if self.put(&places(), false) {
                self.written = Some(change);
            }
            self.next = Some(now + (began.elapsed() * SHARE).clamp(EVERY, LONGEST));
        }
    }

    /// Writes them for good if they changed, however short ago it was. Whether what is on disk is what is true.
    pub fn write_now<P: Serialize>(&mut self, now: Instant, change: u64, places: impl FnOnce() -> P) -> bool {
        if self.lasting == Some(change) {
            return true;
        }
        self.next_lasting = Some(now + LASTING_EVERY);
        let done = self.put(&places(), true);
        if done {
            (self.written, self.lasting) = (Some(change), Some(change));
        }
        done
    }

    fn put(&self, places: &impl Serialize, lasting: bool) -> bool {
        let written = serialise(places).and_then(|content| {
            if lasting {
                self.state.write(PREVIOUS, &content)?;
            }
            self.state.write_lightly(RECORD, &content)
        });
        match written {
            Ok(()) => self.complaints.settle(ABOUT, "how far logs are shipped is recorded again"),
            Err(ref error) => self.complaints.raise(
                ABOUT,
                &format!(
                    "how far logs are shipped cannot be recorded, and is tried again; after a restart lines are shipped twice: {error}"
                ),
            ),
        }
        written.is_ok()
    }

    /// Whether what is on disk for good is not what is true any more.
    #[must_use]
    pub fn is_behind(&self, change: u64) -> bool {
        self.lasting != Some(change)
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
    fn it_is_written_when_it_changed_and_lastingly_not_too_often() {
        let mut rig = rig();
        let now = Instant::now();
        let lasting = |rig: &Rig| parse::<Places>(&rig.state.read(PREVIOUS).unwrap().unwrap()).unwrap();
        assert_eq!(rig.record.read::<Places>(), Places::default());
        rig.record.write(now, 1, || at(1));
        assert_eq!((rig.record.read::<Places>(), lasting(&rig)), (at(1), at(1)));
        rig.record.write(now + Duration::from_millis(100), 2, || at(2));
        assert_eq!((rig.record.read::<Places>(), lasting(&rig)), (at(2), at(1)), "the disk is left in peace");
        assert!(rig.record.is_behind(2));
        rig.record.write(now + Duration::from_millis(101), 3, || -> Places { unreachable!("too soon") });
        rig.record.write(now + Duration::from_secs(1), 2, || at(2));
        assert_eq!((lasting(&rig), rig.record.is_behind(2)), (at(2), false));
        rig.record.write(now + Duration::from_secs(5), 2, || -> Places { unreachable!("nothing changed") });
        assert!(rig.said().is_empty());
    }

    #[test]
    fn whatever_byte_is_damaged_the_lasting_record_counts_and_it_is_said() {
        let mut rig = rig();
        rig.write(1);
        rig.record.write(Instant::now(), 2, || at(2));
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
    fn a_power_cut_costs_no_more_than_a_second() {
        let mut rig = rig();
        rig.write(1);
        rig.record.write(Instant::now(), 2, || at(2));
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
