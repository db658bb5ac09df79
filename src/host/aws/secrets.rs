//! The `secrets:` block's sources, and fetching all of them at once before anything is changed.

use std::str::FromStr;

use indexmap::IndexMap;

use super::Aws;
use crate::error::Result;
use crate::secret::Sensitive;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `ssm:/name`, optionally `:VERSION` or `:LABEL`.
    Parameter(String),
    /// `ssm:/path/*`: one level below a path, leaf names as keys.
    ParametersBelow(String),
    /// `s3://bucket/key`.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// `secretsmanager:NAME` or `secretsmanager:NAME#json-key`, read through SSM's own reference path.
    Managed {
        /// The secret's name.
        name: String,
        /// One key of a JSON secret.
        json_key: Option<String>,
    },
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("`{text}` is not a secret's source"))
    }
}

/// What was fetched for one name of the block.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// One value; an SSM `String` is plain, everything else is secret.
    One(Sensitive),
    /// Values by leaf name.
    Map(IndexMap<String, Sensitive>),
}

impl Aws {
    /// Fetches everything: deduplicated, in batches of 10, through the throttle gate. All missing and all denied names are listed
    /// at once.
    ///
    /// # Errors
    /// `Missing` or `Denied` with every name; whatever else keeps it from being fetched.
    pub fn fetch(&self, sources: &IndexMap<String, SecretSource>) -> Result<IndexMap<String, Fetched>> {
        let _ = (sources, &self.runtime);
        todo!()
    }
}
