//! Starting, stopping, enabling units. A start is over when the unit has stayed up for a moment: what dies at once is told at
//! once, with its journal.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::Host;
use crate::host::programs::Invocation;

/// A service whose start systemd calls done before its program has said anything is watched for this long.
const SETTLING: Duration = Duration::from_millis(300);
/// How often we look meanwhile.
const EVERY: Duration = Duration::from_millis(50);
/// How much of the journal an error shows.
const TAIL: usize = 40;

/// What `systemctl` can do with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it.
    Restart,
    /// Let it read its configuration again, or restart it where it cannot.
    Reload,
    /// Start it at boot.
    Enable,
    /// Do not.
    Disable,
    /// Make starting it impossible.
    Mask,
    /// Make it possible again.
    Unmask,
}

impl Verb {
    pub(super) fn argument(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload-or-restart",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Mask => "mask",
            Self::Unmask => "unmask",
        }
    }

    fn brings_up(self) -> bool {
        matches!(self, Self::Start | Self::Restart | Self::Reload)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
            Self::Reload => "reloading",
            Self::Enable => "enabling",
            Self::Disable => "disabling",
            Self::Mask => "masking",
            Self::Unmask => "unmasking",
        })
    }
}

impl Host {
    /// Lets systemd read its unit files again.
    ///
    /// # Errors
    /// When systemd does not.
    pub fn daemon_reload(&self) -> Result<()> {
        self.systemctl(&["daemon-reload"]).doing(|| "letting systemd read its unit files again".into())
    }

    /// Does this with the unit, and waits until it is done. After a start: until it stays up.
    ///
    /// # Errors
    /// When systemd says no, or the unit dies; its journal's tail is then in the error.
    pub fn act_on_unit(&self, unit: &str, verb: Verb) -> Result<()> {
        if verb == Verb::Restart || verb == Verb::Start {
            // A unit that hit its start limit is not started again before this. It fails for units that are not loaded.
            let _ = self.systemctl(&["reset-failed", "--", unit]);
        }
        let asked = match verb {
            Verb::Enable | Verb::Disable => self.enable_or_disable(unit, verb),
            _ => self.systemctl(&[verb.argument(), "--", unit]),
        };
        let done = match asked {
            Ok(()) if verb.brings_up() => self.watch(unit),
            Ok(()) => Ok(()),
            Err(error) if verb.brings_up() && error.kind() != Kind::Missing => Err(self.told_by_its_journal(unit, error)),
            Err(error) => Err(error),
        };
        done.doing(|| format!("{verb} `{unit}`"))
    }

    /// What is wanted at boot is read at boot, so a reload of everything would only cost time, unless the unit is loaded: then
    /// systemd goes on saying what it read last.
    fn enable_or_disable(&self, unit: &str, verb: Verb) -> Result<()> {
        let before = self.unit(unit)?.unit_file_state;
        self.systemctl(&["--no-reload", verb.argument(), "--", unit])?;
        if self.unit(unit)?.unit_file_state == before { self.daemon_reload() } else { Ok(()) }
    }

    /// Queues the start and comes back at once: whoever waits inside the boot would wait for himself.
    ///
    /// # Errors
    /// When systemd says no.
    pub fn start_without_waiting(&self, unit: &str) -> Result<()> {
        self.systemctl(&["--no-block", "start", "--", unit]).doing(|| format!("starting `{unit}`"))
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<()> {
        let mut asked = Invocation::new("systemctl", &["--no-ask-password", "--no-pager", "--quiet"]);
        asked.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let output = self.ask(&asked).map_err(|error| match error.kind() {
            Kind::Missing => super::not_running(),
            _ => error,
        })?;
        if output.success() {
            return Ok(());
        }
        if !super::is_booted() {
            return Err(super::not_running());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("systemctl failed and said nothing");
        Err(Error::new(Kind::Failed, self.world.options.redactor.clean(said.trim()).into_owned()))
    }

    /// Looks until the unit has stayed up long enough, or is seen dying.
    fn watch(&self, unit: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let facts = self.unit(unit)?;
            if let Some(trouble) = facts.trouble() {
                let error = Error::new(Kind::Failed, trouble).tail(self.journal_tail(unit, TAIL));
                return Err(error);
            }
            // systemd itself has waited for these; for the others "started" means "forked".
            let told_by_itself = !matches!(facts.service_type.as_str(), "simple" | "exec" | "idle");
            if told_by_itself || !facts.is_active() && !facts.is_starting() || begun.elapsed() >= SETTLING {
                return Ok(());
            }
            self.waits.during(|| std::thread::sleep(EVERY));
        }
    }

    fn told_by_its_journal(&self, unit: &str, error: Error) -> Error {
        let error = match self.unit(unit).ok().and_then(|facts| facts.trouble()) {
            Some(trouble) if error.kind() != Kind::TimedOut => Error::new(Kind::Failed, trouble),
            _ => error,
        };
        error.tail(self.journal_tail(unit, TAIL))
    }
}
