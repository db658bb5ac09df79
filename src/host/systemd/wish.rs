//! What is wished of a unit's running and booting, compared with what systemd says: shared by the steps about our own units and
//! about other people's.
//!
//! Whether to restart is read from the record of the last start, not from what this run changed: a crash between change and
//! restart is thus made good by the next run.

use std::fmt;

use super::{NOT_RUNNING, UnitFacts, Verb};
use crate::error::{Error, Kind, Result};
use crate::host::{Answer, Facts, Host};
use crate::step::Fingerprint;

/// Whether a unit shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Running {
    /// It shall run; what changed is restarted.
    Started,
    /// It shall not run.
    Stopped,
    /// Whether it runs is somebody else's business; what changed is restarted if it runs.
    Unchanged,
}

/// What is wished of a unit.
#[derive(Debug, Clone)]
pub struct UnitWish<'w> {
    /// Its name with suffix.
    pub unit: &'w str,
    /// Whether it runs.
    pub running: Running,
    /// Whether it is started at boot; `None` leaves that alone.
    pub enabled: Option<bool>,
    /// Whether it cannot be started at all; `None` leaves that alone.
    pub masked: Option<bool>,
    /// What it must have been started with; `None` when nothing that matters to it is known to the playbook.
    pub restart_on: Option<Answer<Fingerprint>>,
    /// Names the record of the last start: each step that wishes something of a unit has its own.
    pub record: String,
    /// The same for what a reload is enough for.
    pub reload_on: Option<Answer<Fingerprint>>,
    /// Whether it does its work and ends (`Type=oneshot` without `RemainAfterExit`): having run with these inputs is enough.
    pub ends_by_itself: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitChange {
    /// What to do.
    pub verb: Verb,
    unit: String,
    because: &'static str,
}

impl fmt::Display for UnitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verb {
            Verb::Reload => "reload",
            other => other.argument(),
        };
        write!(f, "{word} `{}`", self.unit)?;
        if self.because.is_empty() { Ok(()) } else { write!(f, " ({})", self.because) }
    }
}

/// What a comparison gave.
#[derive(Debug, Default)]
pub struct Difference {
    /// What to do, in this order.
    pub changes: Vec<UnitChange>,
    /// Why it cannot tell everything.
    pub unknown: Option<String>,
}

impl UnitWish<'_> {
    /// The differences; on a machine without systemd: that it cannot tell. `exists_after` says that an earlier change of the
    /// same step makes the unit.
    ///
    /// # Errors
    /// `Missing` when there is no such unit; when systemd or the record cannot be read.
    pub fn compare(&self, facts: &Facts, exists_after: bool) -> Result<Difference> {
        let unit = match facts.unit(self.unit) {
            Ok(unit) => unit,
            Err(error) if error.kind() == Kind::Missing => {
                return Ok(Difference { unknown: Some(NOT_RUNNING.to_owned()), ..Difference::default() });
            }
            Err(error) => return Err(error),
        };
        if unit.load_state == "not-found" && !exists_after {
            if self.running != Running::Started && self.enabled != Some(true) && self.masked != Some(true) {
                return Ok(Difference::default());
            }
            return Err(Error::new(Kind::Missing, format!("there is no unit `{}`", self.unit)));
        }
        self.compare_with(&unit, facts)
    }

    fn compare_with(&self, unit: &UnitFacts, facts: &Facts) -> Result<Difference> {
        let mut found = Difference::default();
        let is_masked = unit.load_state == "masked";
        match self.masked {
            Some(true) if !is_masked => found.changes.push(self.change(Verb::Mask, "")),
            Some(false) if is_masked => found.changes.push(self.change(Verb::Unmask, "")),
            None if is_masked && (self.running == Running::Started || self.enabled == Some(true)) => {
                return Err(Error::new(Kind::Failed, format!("`{}` is masked", self.unit))
                    .hint("somebody made starting it impossible; `masked: false` in a `service` step takes that back"));
            }
            _ => {}
        }
        let is_enabled = matches!(unit.unit_file_state.as_str(), "enabled" | "enabled-runtime" | "alias");
        // Nothing can be said about these at boot: they are started by others.
        let has_no_boot = matches!(unit.unit_file_state.as_str(), "static" | "generated" | "transient" | "indirect");
        match self.enabled {
            Some(true) if !is_enabled && !has_no_boot => found.changes.push(self.change(Verb::Enable, "")),
            Some(false) if is_enabled => found.changes.push(self.change(Verb::Disable, "")),
            _ => {}
        }
        self.compare_running(unit, facts, &mut found)?;
        Ok(found)
    }

    fn compare_running(&self, unit: &UnitFacts, facts: &Facts, found: &mut Difference) -> Result<()> {
        let is_up = unit.is_active() || unit.is_starting();
        if self.running == Running::Stopped {
            if is_up || unit.active_state == "activating" {
                found.changes.push(self.change(Verb::Stop, ""));
            }
            return Ok(());
        }
        // What is to be started anyway is started with whatever there is then.
        let restart = if is_up || self.ends_by_itself {
            recorded(facts, &self.record, self.restart_on.as_ref(), found)?
        } else {
            Recorded::NotAsked
        };
        if !is_up {
            let has_run = self.ends_by_itself && restart == Recorded::Same && unit.active_state == "inactive";
            if self.running == Running::Started && !has_run {
                let because = match (unit.active_state.as_str(), unit.sub_state.as_str()) {
                    ("failed", _) => "it has failed",
                    (_, "auto-restart") => "it dies and is restarted again and again",
                    _ => "",
                };
                let verb = if unit.sub_state == "auto-restart" { Verb::Restart } else { Verb::Start };
                found.changes.push(self.change(verb, because));
            }
            return Ok(());
        }
        match restart {
            Recorded::Different => {
                found.changes.push(self.change(Verb::Restart, "what it depends on has changed since its last start"));
                return Ok(());
            }
            Recorded::Nothing => {
                found.changes.push(self.change(Verb::Restart, "it runs, and there is no record of what it was started with"));
                return Ok(());
            }
            Recorded::Same | Recorded::NotAsked => {}
        }
        match recorded(facts, &self.reload_record(), self.reload_on.as_ref(), found)? {
            Recorded::Different => {
                found.changes.push(self.change(Verb::Reload, "what it reads has changed since its last reload"));
            }
            Recorded::Nothing => found.changes.push(self.change(Verb::Reload, "there is no record of what it has read")),
            Recorded::Same | Recorded::NotAsked => {}
        }
        Ok(())
    }

    fn reload_record(&self) -> String {
        format!("{} (reload)", self.record)
    }

    fn change(&self, verb: Verb, because: &'static str) -> UnitChange {
        UnitChange { verb, unit: self.unit.to_owned(), because }
    }

    /// What is to be done with a unit that does not exist yet, on a machine that cannot be asked about units.
    pub fn when_new(&self) -> Vec<UnitChange> {
        let enable = (self.enabled == Some(true)).then(|| self.change(Verb::Enable, ""));
        let start = (self.running == Running::Started).then(|| self.change(Verb::Start, ""));
        enable.into_iter().chain(start).collect()
    }

    /// Makes the change, and writes down what the unit was started with.
    ///
    /// # Errors
    /// When systemd says no, the unit dies, or the record cannot be written.
    pub fn apply(&self, change: &UnitChange, host: &Host) -> Result<()> {
        host.act_on_unit(self.unit, change.verb)?;
        let read = matches!(change.verb, Verb::Start | Verb::Restart | Verb::Reload);
        if let (true, Some(Answer::Known(inputs))) = (read && change.verb != Verb::Reload, &self.restart_on) {
            host.record_start(&self.record, inputs)?;
        }
        if let (true, Some(Answer::Known(inputs))) = (read, &self.reload_on) {
            host.record_start(&self.reload_record(), inputs)?;
        }
        Ok(())
    }
}

/// What the record says of the last start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recorded {
    Same,
    Different,
    Nothing,
    NotAsked,
}

/// What the record says about these inputs; `found` learns that they are not known.
fn recorded(facts: &Facts, key: &str, inputs: Option<&Answer<Fingerprint>>, found: &mut Difference) -> Result<Recorded> {
    Ok(match inputs {
        None => Recorded::NotAsked,
        Some(Answer::Unknown(why)) => {
            found.unknown.get_or_insert_with(|| why.clone());
            Recorded::NotAsked
        }
        Some(Answer::Known(inputs)) => match facts.started_with(key, inputs)? {
            Some(true) => Recorded::Same,
            Some(false) => Recorded::Different,
            None => Recorded::Nothing,
        },
    })
}
