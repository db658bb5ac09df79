//! The `logs:` block as a playbook writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::step::fields::Span;

/// What is shipped, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The log group; a source may name its own.
    pub group: String,
    /// The log stream; the instance id unless told. A source may name its own.
    #[serde(default)]
    pub stream: Option<String>,
    /// How long the service keeps events; one of the values the service accepts.
    #[serde(default)]
    pub retention: Option<Span>,
    /// Files and units.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// One source: exactly one of `file` and `unit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A path or glob.
    #[serde(default)]
    pub file: Option<String>,
    /// A systemd unit whose journal is shipped.
    #[serde(default)]
    pub unit: Option<String>,
    /// This source's own group.
    #[serde(default)]
    pub group: Option<String>,
    /// This source's own stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// This source's own retention.
    #[serde(default)]
    pub retention: Option<Span>,
}
