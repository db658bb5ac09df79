//! Reboots that steps ask for: never twice for the same reason, never more than a few in a row. A step only asks; the run then
//! ends in order, and rebooting is its last act.

mod required;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::instance::boot_id;
use super::state::StateFolder;
use super::{Facts, Host, World};
use crate::error::{Context as _, Error, Kind, Result};

/// The service that goes on after a reboot.
pub const BOOT_UNIT: &str = "bootstrap-agent.service";
/// The record's name in the state folder.
const RECORD: &str = "reboots.json";
/// The form of it that this agent reads and writes.
const VERSION: u32 = 1;
/// So often one boot run after the other may reboot: more is a playbook that goes round in circles.
const MOST: u32 = 3;

/// What this run knows about reboots.
#[derive(Default)]
pub struct Reboots(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Why the machine is going to be rebooted.
    due: Option<String>,
    /// Reasons that were looked for and not found.
    gone: BTreeSet<String>,
    /// Why it should be rebooted, by another run than this one.
    left: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// How many runs in a row have ended so.
    in_a_row: u32,
    /// When the first of them began, in milliseconds since 1970.
    began: i64,
    /// The boot in which a reboot was asked for last.
    boot: String,
    /// The boots in which it was asked for, by reason, until the reason is gone.
    reasons: BTreeMap<String, String>,
}

impl Record {
    fn read(state: &Path) -> Result<Self> {
        let bytes = StateFolder::new(state).read(RECORD)?;
        let record: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(record.filter(|record| record.version == VERSION).unwrap_or(Self { version: VERSION, ..Self::default() }))
    }

    fn write(&self, state: &Path) -> Result<()> {
        let content = serde_json::to_vec(self).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        StateFolder::new(state).write(RECORD, &content)
    }
}

impl Facts {
    /// Fails where the machine was rebooted for this before, and it did not help.
    ///
    /// # Errors
    /// `NotConverged`, or `Failed` after too many reboots in a row.
    pub fn may_reboot_for(&self, reason: &str) -> Result<()> {
        let record = Record::read(&self.world.options.state)?;
        let boot = boot_id()?;
        let was_gone = self.reboots().gone.contains(reason);
        if !was_gone && record.reasons.get(reason).is_some_and(|asked| *asked != boot) {
            return Err(Error::new(Kind::NotConverged, "the machine was rebooted for this, and the reason is still there")
                .hint("it is not rebooted again for the same reason; find out why the reboot did not help"));
        }
        if record.in_a_row >= MOST && record.boot != boot {
            return Err(Error::new(Kind::Failed, format!("the machine was rebooted {MOST} times in a row")));
        }
        Ok(())
    }

    /// The reason was looked for and is not there: should it come again, it is a new one.
    pub fn no_reason_to_reboot(&self, reason: &str) {
        self.reboots().gone.insert(reason.to_owned());
    }

    /// Whether this run was started by the timer, which reboots nothing that did not say it may.
    #[must_use]
    pub fn is_by_timer(&self) -> bool {
        self.world.options.by_timer
    }

    /// There is a reason, and this run leaves it to another one.
    pub fn leave_reboot(&self, why: &str) {
        self.reboots().left.push(why.to_owned());
    }

    fn reboots(&self) -> MutexGuard<'_, Known> {
        self.world.reboots.held()
    }
}

impl Host {
    /// Has the machine rebooted at the end of this run, which comes now.
    ///
    /// # Errors
    /// When nobody would go on after it, or it cannot be written down.
    pub fn reboot_for(&self, reason: &str, why: &str) -> Result<()> {
        let unit = self.unit(BOOT_UNIT).doing(|| "looking for who goes on after the reboot".to_owned())?;
        if unit.unit_file_state != "enabled" {
            return Err(Error::new(Kind::Failed, format!("nobody would go on after it: `{BOOT_UNIT}` is not enabled"))
                .hint("`agent install --playbook …` brings the boot service; its run goes on after a reboot"));
        }
        let state = &self.world.options.state;
        let (mut record, boot) = (Record::read(state)?, boot_id()?);
        if record.boot != boot {
            record.in_a_row += 1;
        }
        if record.in_a_row <= 1 {
            record.began = self.world.began;
        }
        record.boot.clone_from(&boot);
        record.reasons.insert(reason.to_owned(), boot);
        record.write(state)?;
        self.reboots().due = Some(why.to_owned());
        Ok(())
    }
}

impl Reboots {
    fn held(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Why the machine is going to be rebooted at the end of this run.
    #[must_use]
    pub fn reboot_due(&self) -> Option<String> {
        self.reboots.held().due.clone()
    }

    /// Records which reasons are gone, at the end of a run that may write. Says which were left to another run.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub fn keep_reboots(&self) -> Result<Vec<String>> {
        let mut known = self.reboots.held();
        let before = Record::read(&self.options.state)?;
        let mut record = before.clone();
        if known.due.is_none() {
            record.reasons.retain(|reason, _| !known.gone.contains(reason));
            (record.in_a_row, record.began) = (0, 0);
            record.boot.clear();
        }
        if record != before {
            record.write(&self.options.state)?;
        }
        Ok(std::mem::take(&mut known.left))
    }
}

/// How much time went by since the first of the runs that this boot's run goes on with; `None` when it begins anew.
#[must_use]
pub fn spent_before(state: &Path) -> Option<Duration> {
    let record = Record::read(state).ok().filter(|record| record.in_a_row > 0)?;
    let boot = boot_id().ok().filter(|boot| *boot != record.boot)?;
    drop(boot);
    let spent = jiff::Timestamp::now().as_millisecond().saturating_sub(record.began);
    u64::try_from(spent).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
