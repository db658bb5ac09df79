//! systemd through `systemctl show`: always there, speaks to PID 1 even when the bus is not up, made for parsing. This file
//! looks; `act` starts and stops, `journal` reads what a unit said, `verify` tries a unit file out, `wish` compares.

mod act;
mod alone;
mod journal;
mod log_unit;
mod verify;
mod wish;

pub use act::Verb;
pub use alone::reboot_machine;
pub use log_unit::{LOG_RUNTIME, LOG_UNIT, log_unit_is_for, start_log_unit};
pub use wish::{Difference, Running, UnitChange, UnitWish};

use std::path::Path;

use super::Facts;
use super::programs::Invocation;
use crate::error::{Context as _, Error, Kind, Result};

/// Why nothing can be said of units on a machine (a laptop's container, a build box) that systemd did not boot.
pub const NOT_RUNNING: &str = "cannot tell: systemd is not running here";

/// The properties we ask for, in the order of [`UnitFacts`].
const PROPERTIES: &str = "--property=LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,ExecMainCode,ExecMainStatus,\
    MainPID,InvocationID,NeedDaemonReload,Type,Job";

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
    /// Whether the main process was ended by a signal, not by itself.
    pub signalled: bool,
    /// Exit status of the main process, or the signal's number.
    pub exit_status: i32,
    /// Process id of the main process; 0 when there is none.
    pub main_pid: u32,
    /// Changes whenever the unit is started anew.
    pub invocation_id: String,
    /// Whether the unit's file changed on disk since it was loaded.
    pub needs_reload: bool,
    /// Whether a start or stop of it is queued.
    pub has_job: bool,
    /// A service's type: `simple`, `exec`, `notify`, `oneshot`, …; empty for other kinds of units.
    pub service_type: String,
}

impl UnitFacts {
    fn parse(text: &str) -> Self {
        let mut facts = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "LoadState" => value.clone_into(&mut facts.load_state),
                "ActiveState" => value.clone_into(&mut facts.active_state),
                "SubState" => value.clone_into(&mut facts.sub_state),
                "UnitFileState" => value.clone_into(&mut facts.unit_file_state),
                "Result" => value.clone_into(&mut facts.result),
                "NRestarts" => facts.restarts = value.parse().unwrap_or(0),
                // CLD_KILLED and CLD_DUMPED.
                "ExecMainCode" => facts.signalled = matches!(value, "2" | "3"),
                "ExecMainStatus" => facts.exit_status = value.parse().unwrap_or(0),
                "MainPID" => facts.main_pid = value.parse().unwrap_or(0),
                "InvocationID" => value.clone_into(&mut facts.invocation_id),
                "NeedDaemonReload" => facts.needs_reload = value == "yes",
                "Job" => facts.has_job = !matches!(value, "" | "0"),
                "Type" => value.clone_into(&mut facts.service_type),
                _ => {}
            }
        }
        facts
    }

    /// Whether it is up.
    pub fn is_active(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading")
    }

    /// Whether it is on its way up for the first time, which takes as long as it takes.
    pub fn is_starting(&self) -> bool {
        self.active_state == "activating" && self.sub_state != "auto-restart" && self.restarts == 0
    }

    /// Whether it is over with it: it failed, or dies and is started again and again. Says how, in words.
    pub fn trouble(&self) -> Option<String> {
        let how = if self.signalled {
            format!("its main process was ended by signal {}", self.exit_status)
        } else {
            format!("its main process ended with exit status {}", self.exit_status)
        };
        let result = match self.result.as_str() {
            "" | "success" | "exit-code" | "signal" => String::new(),
            other => format!(" (`{other}`)"),
        };
        if self.active_state == "failed" {
            return Some(format!("it failed: {how}{result}"));
        }
        match (self.sub_state.as_str(), self.restarts) {
            ("auto-restart", 0) => Some(format!("it died at its start: {how}{result}")),
            (_, 0) => None,
            // Just then it may be up again, and systemd says nothing of how it ended before.
            (_, times) if self.exit_status == 0 && !self.signalled => {
                Some(format!("it dies and is restarted by systemd, {times} times so far{result}"))
            }
            (_, times) => Some(format!("it dies and is restarted by systemd, {times} times so far: {how}{result}")),
        }
    }
}

impl Facts {
    /// What systemd says of this unit.
    ///
    /// # Errors
    /// `Missing` where there is no systemd; `Failed` when it does not answer.
    pub fn unit(&self, name: &str) -> Result<UnitFacts> {
        Ok(UnitFacts::parse(&self.show(PROPERTIES, name)?))
    }

    /// Whether some instance of this template runs by an older text of it than the one on the disk. A template is no unit, so systemd
    /// answers for its instances only.
    ///
    /// # Errors
    /// As [`Facts::unit`].
    pub fn instances_need_reload(&self, template: &str) -> Result<bool> {
        let said = self.show("--property=NeedDaemonReload", &template.replacen('@', "@*", 1))?;
        Ok(said.lines().any(|line| line == "NeedDaemonReload=yes"))
    }

    fn show(&self, properties: &str, name: &str) -> Result<String> {
        let asked = Invocation::new("systemctl", &["--no-pager", "show", properties, "--", name]);
        let output = self.ask(&asked).map_err(|error| match error.kind() {
            Kind::Missing => not_running(),
            _ => error,
        })?;
        if output.success() {
            return Ok(output.text());
        }
        if !is_booted() {
            return Err(not_running());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next_back().unwrap_or("systemctl said nothing");
        Err(Error::new(Kind::Failed, self.world.options.redactor.clean(said).into_owned()))
            .doing(|| format!("asking systemd of `{name}`"))
    }
}

/// As `sd_booted(3)` defines it.
fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn not_running() -> Error {
    Error::new(Kind::Missing, NOT_RUNNING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_become_facts() {
        let facts = UnitFacts::parse(
            "Type=exec\nMainPID=812\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0\nResult=success\nLoadState=loaded\n\
             ActiveState=active\nSubState=running\nUnitFileState=enabled\nNeedDaemonReload=yes\nInvocationID=ab12\n",
        );
        assert!(facts.is_active() && facts.needs_reload && facts.trouble().is_none() && !facts.is_starting());
        assert_eq!((facts.main_pid, facts.invocation_id.as_str(), facts.service_type.as_str()), (812, "ab12", "exec"));
    }

    #[test]
    fn a_unit_that_dies_is_in_trouble() {
        let dying = |active: &str, sub: &str, restarts: u32| UnitFacts {
            active_state: active.into(),
            sub_state: sub.into(),
            restarts,
            exit_status: 1,
            ..UnitFacts::default()
        };
        assert_eq!(dying("failed", "failed", 0).trouble().unwrap(), "it failed: its main process ended with exit status 1");
        assert!(dying("activating", "auto-restart", 0).trouble().unwrap().starts_with("it died at its start"));
        assert!(dying("active", "running", 3).trouble().unwrap().contains("3 times so far"));
        let up_again = UnitFacts { exit_status: 0, ..dying("active", "running", 2) };
        assert_eq!(up_again.trouble().unwrap(), "it dies and is restarted by systemd, 2 times so far");
        assert_eq!(dying("activating", "start", 0).trouble(), None);
        assert!(dying("activating", "start", 0).is_starting());
        assert_eq!(dying("inactive", "dead", 0).trouble(), None);
    }
}
