//! systemd through `systemctl show`: always there, speaks to PID 1 even when the bus is not up, made for parsing.

use super::Facts;
use crate::error::Result;

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitFacts {
    /// `loaded`, `not-found`, `masked`, …
    pub load_state: String,
    /// `active`, `activating`, `failed`, `inactive`, …
    pub active_state: String,
    /// `running`, `auto-restart`, `dead`, …
    pub sub_state: String,
    /// `enabled`, `disabled`, `static`, …
    pub unit_file_state: String,
    /// `success`, `exit-code`, `signal`, `oom-kill`, …
    pub result: String,
    /// How often systemd restarted it by itself since it was started.
    pub restarts: u32,
    /// Exit status of the main process.
    pub exit_status: i32,
    /// Process id of the main process; 0 when there is none.
    pub main_pid: u32,
    /// Changes whenever the unit is started anew.
    pub invocation_id: String,
    /// Whether the unit's file changed on disk since it was loaded.
    pub needs_reload: bool,
}

impl Facts {
    /// What systemd says of this unit.
    ///
    /// # Errors
    /// `Missing` where there is no systemd; `Failed` when it does not answer.
    pub fn unit(&self, name: &str) -> Result<UnitFacts> {
        let _ = name;
        todo!()
    }

    /// The last lines of the unit's journal since its last start.
    #[must_use]
    pub fn journal_tail(&self, unit: &str, lines: usize) -> Vec<String> {
        let _ = (unit, lines);
        todo!()
    }
}
