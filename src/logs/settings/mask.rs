//! What is masked besides the secrets the agent fetched, which always are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::secret::{Masker, Redactor, pattern_problem};

/// What is masked besides the secrets of the playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// What looks like a credential: keys of AWS, tokens, private keys, `password=…`, passwords in URLs.
    #[serde(default = "yes")]
    pub builtin: bool,
    /// Regular expressions of your own; what they match is masked. They see one line at a time, letters without Unicode classes.
    #[serde(default)]
    pub patterns: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Default for Mask {
    fn default() -> Self {
        Self { builtin: true, patterns: Vec::new() }
    }
}

impl Mask {
    /// What masks like this, and the secrets besides.
    ///
    /// # Errors
    /// When a pattern cannot be used.
    pub fn masker(&self, redactor: Redactor) -> Result<Masker> {
        Masker::new(redactor, &self.patterns, self.builtin)
    }

    /// What is wrong with the patterns, one sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        self.patterns.iter().filter_map(|pattern| pattern_problem(pattern)).collect()
    }
}
