//! Text to [`Playbook`]: all problems at once, each with file, line and column.
//!
//! Two moments: *loading* validates shape, names and every literal value; *rendering* evaluates the expressions of one step just
//! before its check, and types the result.

mod advice;
mod block;
mod document;
mod entry;
mod evaluate;
pub(crate) mod expression;
mod filters;
mod frame;
mod load;
mod log_configuration;
mod log_rules;
mod names;
pub(crate) mod node;
mod parts;
mod problem;
mod schema;
mod scope;
mod secrets;
mod shape;
pub(crate) mod source;
mod value;
mod vars;
pub(crate) mod yaml;

pub use entry::{Entry, Rendered, Wanted};
pub use load::{Location, Overrides};
pub use log_configuration::{LogConfiguration, literal};
pub use names::{INSTANCE, OS};
pub use problem::{Position, Problem, Problems};
pub use scope::{Fetched, InstanceValues, Scope};
pub use shape::did_you_mean;

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::aws::SecretSource;
use crate::host::digest::Sha256;
use crate::host::documents::{Beside, remote};
use crate::logs::settings::LogSettings;
use crate::step::fields::Span;
use crate::steps::STEP_TYPES;

/// A playbook that was read and found in order.
#[derive(Debug)]
pub struct Playbook {
    /// Its `name:`.
    pub name: String,
    /// Where it came from, as errors show it.
    pub label: String,
    /// sha256 of its bytes, in hexadecimal.
    pub digest: String,
    /// The run's only clock, from the top of the run.
    pub deadline: Span,
    /// What the verdict says when a step fails.
    pub on_failure: OnFailure,
    /// How long a failed instance is kept for debugging before ABANDON.
    pub hold_for: Option<Span>,
    /// What a timer run may do.
    pub converge: Converge,
    /// Variables, overrides applied.
    pub vars: IndexMap<String, serde_json::Value>,
    /// The steps, in the order in which they are written.
    pub entries: Vec<Entry>,
    /// Deprecations and other advice that is no error.
    pub warnings: Vec<Problem>,
    frame: Arc<frame::Frame>,
    secrets: secrets::Secrets,
    lifecycle: Option<block::Block<Lifecycle>>,
    logs: Option<block::Block<LogSettings>>,
    env: Option<block::Block<IndexMap<String, String>>>,
}

/// What the verdict says when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// ABANDON: the group replaces the instance.
    #[default]
    Abandon,
    /// CONTINUE: the instance goes into service all the same.
    Continue,
}

/// What a timer run may do about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Converge {
    /// Repair everything, but stay on the revision that is deployed.
    #[default]
    Config,
    /// Move to the new revision too.
    All,
    /// Report only.
    Report,
}

/// The `lifecycle:` block. What is left out is found, at the cost of a Describe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// Name of the Auto Scaling group.
    pub group: Option<String>,
    /// Name of the launch hook.
    pub hook: Option<String>,
    /// The hook's heartbeat timeout.
    pub timeout: Option<Span>,
}

/// The JSON Schema of a playbook, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    schema::of(STEP_TYPES)
}

impl Playbook {
    /// Reads a playbook. Problems are all of them, at once.
    ///
    /// # Errors
    /// Every problem of the playbook and of the overrides; or the one reason why it could not be had at all.
    pub fn load(location: &Location, overrides: &Overrides) -> Result<Self, Problems> {
        document::read(load::fetch(location, remote::ATTENDED)?, overrides, STEP_TYPES)
    }

    /// Reads a playbook that is on no disk yet, with its files in this folder.
    ///
    /// # Errors
    /// As [`Playbook::load`].
    pub(crate) fn of_text(label: &str, text: &str, beside: Beside) -> Result<Self, Problems> {
        let (label, stem, digest) = (label.to_owned(), "playbook".to_owned(), Sha256::of(text.as_bytes()).to_string());
        document::read(
            document::Text { label, stem, beside, content: text.to_owned(), digest },
            &Overrides::default(),
            STEP_TYPES,
        )
    }

    /// The same where nobody waits for an answer, and a network that comes up late is waited for.
    ///
    /// # Errors
    /// As [`Playbook::load`].
    pub fn load_unattended(location: &Location, overrides: &Overrides) -> Result<Self, Problems> {
        document::read(load::fetch(location, remote::UNATTENDED)?, overrides, STEP_TYPES)
    }

    /// Reads a playbook from its text alone: no file lies beside it.
    ///
    /// # Errors
    /// As [`Playbook::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        document::read(load::alone(name, text)?, &Overrides::default(), STEP_TYPES)
    }

    /// Where `source:` and `template:` files are found.
    #[must_use]
    pub fn beside(&self) -> &Beside {
        &self.frame.beside
    }

    /// The secrets to fetch, by name, in the order written.
    ///
    /// # Errors
    /// When a name's expression does not render or is no known source.
    pub fn secret_sources(&self, scope: &Scope) -> Result<IndexMap<String, SecretSource>> {
        self.secrets.sources(&self.frame, scope)
    }

    /// What was fetched, with the block's `secret: true` honoured: such a value is secret even when it comes from an SSM `String`.
    /// Goes into [`Scope::secrets`]; the redactor is told by the caller, which has all of them.
    #[must_use]
    pub fn classify(&self, fetched: IndexMap<String, Fetched>) -> IndexMap<String, Fetched> {
        self.secrets.classify(fetched)
    }

    /// The `logs:` block, rendered.
    ///
    /// # Errors
    /// When an expression does not render; of kind `Missing` when it depends on something that is not known here.
    pub fn logs(&self, scope: &Scope) -> Result<Option<LogSettings>> {
        self.logs.as_ref().map(|block| block.render(scope)).transpose()
    }

    /// The `lifecycle:` block, rendered; `None` when the playbook has none (the hook is then looked for all the same).
    ///
    /// # Errors
    /// As [`Playbook::logs`].
    pub fn lifecycle(&self, scope: &Scope) -> Result<Option<Lifecycle>> {
        self.lifecycle.as_ref().map(|block| block.render(scope)).transpose()
    }

    /// The `env:` block, rendered.
    ///
    /// # Errors
    /// As [`Playbook::logs`].
    pub fn environment(&self, scope: &Scope) -> Result<IndexMap<String, String>> {
        self.env.as_ref().map_or_else(|| Ok(IndexMap::new()), |block| block.render(scope))
    }
}
