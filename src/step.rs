//! THE CONTRACT: what every type of step can do, and nothing more.
//!
//! A step is a wish about the machine. [`Step::check`] answers what is still different, and is handed [`Facts`], which can look
//! but not write. [`Step::apply`] makes one of those changes, and is handed [`Host`], which can. The engine does everything
//! else: order, polling, deadlines, retries, the check after the apply, and naming the step in errors.
//!
//! A dry-run that writes does not compile:
//!
//! ```compile_fail
//! use bootstrap_agent::host::{Facts, files::NewFile};
//! fn check(facts: &Facts, file: &NewFile) {
//!     facts.write_file(file); // `write_file` belongs to `Host`
//! }
//! ```

mod any;
pub mod fields;
mod finding;
pub mod ssh_folder;
mod touches;

pub use any::{AnyChange, AnyFinding, AnyStep, StepType};
pub use finding::{Diff, Finding, Fingerprint, Outputs, Planned, Value};
pub use touches::{Thing, Touches};

use std::fmt::Display;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::host::aws::Permission;
use crate::host::{Facts, Host};

/// One type of step; the implementing struct holds what the playbook says, with `#[serde(deny_unknown_fields)]`.
///
/// The struct's doc comment is the step's page in the reference, each field's doc comment its line there.
pub trait Step: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The word in the playbook: the name of the file in `steps/` and, in snake case, of the struct.
    const KIND: &'static str;

    /// The one obvious field, for `packages: [git]` in place of `packages: { names: [git] }`.
    const SHORTHAND: Option<&'static str> = None;

    /// A playbook without its `version:` that a reader of the reference may copy from. A test holds it against `agent check`.
    const EXAMPLE: &'static str;

    /// What later steps can ask for as `steps.<id>.NAME`, and what it is.
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[];

    /// One difference between wish and machine: an enum with from and to. Printing it is a line of the plan; it never holds
    /// a secret's value.
    type Change: Display + Send + 'static;

    /// What it reads and writes, from which order and locks follow. Must not depend on secrets.
    fn touches(&self) -> Touches;

    /// What it asks AWS for in the name of the instance's role, from which `agent iam-policy` makes the role's policy.
    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }

    /// What is wrong with the values themselves, beyond what the schema says: every problem in one sentence each.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// The changes still to make (none: done), the outputs, and the fingerprint of what is there.
    ///
    /// # Errors
    /// Whatever keeps it from telling. In a dry-run, an error of kind `Missing` after an earlier pending step becomes "cannot
    /// tell yet".
    fn check(&self, facts: &Facts) -> Result<Finding<Self::Change>>;

    /// Carries out one change.
    ///
    /// # Errors
    /// Whatever kept it from being made; what was already made is found by the next check.
    fn apply(&self, change: &Self::Change, host: &Host) -> Result<()>;

    /// How long the check after the apply may go on saying "not yet", and for how long it must then hold.
    fn patience(&self) -> Patience {
        Patience::default()
    }

    /// The last lines of whatever it waited for, asked when its patience is over.
    fn evidence(&self, facts: &Facts) -> Vec<String> {
        let _ = facts;
        Vec::new()
    }

    /// The release that this step proves healthy or not, if it does. What follows from that is the engine's business.
    fn proves(&self) -> Option<Proof> {
        None
    }

    /// Whether the apply is followed by a check. Only a `command` with `always: true` says no.
    fn is_rechecked(&self) -> bool {
        true
    }
}

/// What a step proves by its success or failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The id of the step that deploys the releases.
    pub of: String,
    /// The unit that runs them.
    pub unit: String,
}

/// How the engine polls a check after the apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The wish must hold within this time.
    pub within: Duration,
    /// Time between two looks.
    pub every: Duration,
    /// Once true, it must stay true this long.
    pub hold: Duration,
}

impl Default for Patience {
    /// One look, at once.
    fn default() -> Self {
        Self { within: Duration::ZERO, every: Duration::from_millis(100), hold: Duration::ZERO }
    }
}
