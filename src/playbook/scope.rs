//! The names an expression may use: the vars, `secrets.*`, `instance.*`, `os.*`, `steps.<id>.*`, `name`.

use indexmap::IndexMap;

pub use crate::host::aws::Fetched;
use crate::secret::Redactor;
use crate::step::Outputs;

/// Values for `instance.*` and `os.*`, as nested JSON; a missing `instance` (not on EC2) makes what uses it unknown.
#[derive(Debug, Clone, Default)]
pub struct InstanceValues {
    /// `instance.*`; `None` off EC2.
    pub instance: Option<serde_json::Value>,
    /// `os.*`: `id`, `version`, `codename`, `arch`, `hostname`.
    pub os: serde_json::Value,
}

/// The names an expression may use. The engine adds outputs as steps end.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The playbook's name.
    pub name: String,
    /// Variables.
    pub vars: IndexMap<String, serde_json::Value>,
    /// Secrets by name; those that are not there (a dry-run fetches none, `--secrets-from` gives some) render to unknown content,
    /// shown as such.
    pub secrets: Option<IndexMap<String, Fetched>>,
    /// The instance and its operating system.
    pub values: InstanceValues,
    /// Outputs of the steps that have been checked; a step that is pending in a dry-run has its outputs here as far as known. A step
    /// that is not here (skipped, or its check could not tell) has unknown outputs; one that is here has no others than these.
    pub steps: IndexMap<String, Outputs>,
    /// Learns each text that an expression makes from a secret.
    pub redactor: Redactor,
}
