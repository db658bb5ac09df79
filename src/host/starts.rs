//! The record of last starts: which inputs a unit (or an `on_change` command) was last started with.
//!
//! Restart-after-change is a fact, not a notification: the digest is recorded after the successful start, so a crash between
//! change and restart cannot lose it. Digests are keyed with a random value of this machine, so the record tells nothing about
//! secrets among the inputs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::files::NewFile;
use super::{Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};
use crate::step::Fingerprint;

/// The record's file in the state folder.
const RECORD: &str = "starts.json";
/// Its key, beside it.
const KEY: &str = "starts.key";
const KEY_SIZE: usize = 32;

/// Steps run side by side and share the file: reading, changing and writing it is one act.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// Keyed digests by what was started.
    starts: BTreeMap<String, String>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: 1, starts: BTreeMap::new() }
    }
}

impl Facts {
    /// Whether the last recorded start of `what` had exactly these inputs; `None` without a record.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn started_with(&self, what: &str, inputs: &Fingerprint) -> Result<Option<bool>> {
        let Some(key) = self.start_key()? else { return Ok(None) };
        let record = self.start_record()?;
        Ok(record.starts.get(what).map(|known| *known == keyed(&key, inputs)))
    }

    /// What is recorded of the starts of this unit, whichever step started it.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(in crate::host) fn starts_of(&self, unit: &str) -> Result<BTreeMap<String, String>> {
        let mut starts = self.start_record()?.starts;
        starts.retain(|what, _| what.split(' ').nth(1) == Some(unit));
        Ok(starts)
    }

    fn start_record(&self) -> Result<Record> {
        let path = self.start_file(RECORD);
        let Some(bytes) = self.read(&path)? else { return Ok(Record::default()) };
        let record: Record = serde_json::from_slice(&bytes)
            .map_err(|error| Error::from_source(Kind::Failed, &error))
            .doing(|| format!("reading the record of starts in `{}`", path.display()))
            .map_err(|error| error.hint("remove the file: every unit with `restart_on` is then restarted once"))?;
        if record.version != 1 {
            return Err(Error::new(Kind::Failed, format!("`{}` was written by a newer agent", path.display())));
        }
        Ok(record)
    }

    fn start_key(&self) -> Result<Option<Secret>> {
        // A key of another length is a leftover of something else: as good as none.
        Ok(self.read(&self.start_file(KEY))?.filter(|key| key.len() == KEY_SIZE).map(Secret::new))
    }

    fn start_file(&self, name: &str) -> PathBuf {
        self.world.options.state.join(name)
    }
}

impl Host {
    /// Records that `what` was started with these inputs.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_start(&self, what: &str, inputs: &Fingerprint) -> Result<()> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if let Some(key) = self.start_key()? {
            key
        } else {
            let key = Secret::new(rand::random::<[u8; KEY_SIZE]>());
            self.write_record(KEY, Sensitive::Secret(key.clone()))?;
            key
        };
        let mut record = self.start_record()?;
        record.starts.insert(what.to_owned(), keyed(&key, inputs));
        self.write_starts(&record)
    }

    /// Records that units were started as they were when [`Facts::starts_of`] said this.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(in crate::host) fn restore_starts(&self, starts: &BTreeMap<String, String>) -> Result<()> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.start_record()?;
        record.starts.extend(starts.clone());
        self.write_starts(&record)
    }

    fn write_starts(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        self.write_record(RECORD, text.into())
    }

    fn write_record(&self, name: &str, content: Sensitive) -> Result<()> {
        self.write_file(&NewFile { path: self.start_file(name), content, owner: None, group: None, mode: 0o600 })
    }
}

/// The digest under this machine's key. Key and fingerprint have fixed lengths, so a plain hash of both cannot be extended.
fn keyed(key: &Secret, inputs: &Fingerprint) -> String {
    STANDARD.encode(Fingerprint::of(&[key.expose(), &inputs.0, key.expose()]).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn a_start_is_remembered_with_its_inputs() {
        let machine = Machine::new();
        let (old, new) = (Fingerprint::of(&[b"old"]), Fingerprint::of(&[b"new"]));
        assert_eq!(machine.facts().started_with("app.service", &old).unwrap(), None);
        machine.host().record_start("app.service", &old).unwrap();
        machine.host().record_start("other.service", &new).unwrap();
        assert_eq!(machine.facts().started_with("app.service", &old).unwrap(), Some(true));
        assert_eq!(machine.facts().started_with("app.service", &new).unwrap(), Some(false));
        assert_eq!(machine.facts().started_with("third.service", &new).unwrap(), None);
        let record = machine.content("state/starts.json");
        assert!(!record.contains(&STANDARD.encode(old.0)), "the bare digest would let anybody test guesses");
    }

    #[test]
    fn another_key_or_a_broken_record_is_not_taken_for_a_match() {
        let machine = Machine::new();
        let inputs = Fingerprint::of(&[b"x"]);
        machine.host().record_start("app.service", &inputs).unwrap();
        machine.write("state/starts.key", &"k".repeat(32));
        assert_eq!(machine.facts().started_with("app.service", &inputs).unwrap(), Some(false));
        machine.write("state/starts.json", "{");
        assert!(machine.facts().started_with("app.service", &inputs).unwrap_err().advice().is_some());
    }
}
