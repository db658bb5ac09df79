//! What the command line asks of a run.

use std::path::PathBuf;

use super::environment::Looks;
use crate::playbook::{Location, Overrides};

/// Who started the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The boot service: the only one that decides a verdict.
    Boot,
    /// The timer.
    Timer,
    /// A person.
    Manual,
}

impl Trigger {
    /// The word on the command line and in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Timer => "timer",
            Self::Manual => "manual",
        }
    }
}

/// What the command line asks of a run.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub struct RunOptions {
    /// Where the playbook is.
    pub location: Location,
    /// What overrides its variables.
    pub overrides: Overrides,
    /// Ids of the steps to carry out, with what they demand; none means all. Such a run gives no verdict.
    pub only: Vec<String>,
    /// Show only.
    pub dry_run: bool,
    /// A dry-run may ask AWS and git servers.
    pub online: bool,
    /// A dry-run may run the user's guards.
    pub run_guards: bool,
    /// Try revisions that failed their health once more.
    pub retry_revision: bool,
    /// Who started it.
    pub trigger: Trigger,
    /// The state folder.
    pub state: PathBuf,
    /// Stands in for what the instance says of itself.
    pub facts: Option<PathBuf>,
    /// Stands in for what AWS keeps.
    pub secrets_from: Option<PathBuf>,
}

impl RunOptions {
    /// How far the run may look into what AWS keeps.
    #[must_use]
    pub fn looks(&self) -> Looks {
        match (self.dry_run, self.online) {
            (false, _) => Looks::Reads,
            (true, true) => Looks::Asks,
            (true, false) => Looks::Guesses,
        }
    }
}
