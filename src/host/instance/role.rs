//! The instance's role as its metadata service shows it: whether there is one, and whether its credentials are good. The keys
//! themselves are read by the SDK only.

use std::time::Duration;

use serde::Deserialize;

use super::Instance;
use crate::error::{Error, Kind, Result};

/// How long the service may take for one question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A role and its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Seconds for which its credentials are still good; negative when they are not.
    pub left: i64,
}

/// What is read of the credentials: nothing secret.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    code: String,
    #[serde(default)]
    expiration: String,
}

impl Instance {
    /// The role; `None` where there is none, or its credentials have not appeared yet.
    ///
    /// # Errors
    /// When the metadata service does not answer, or says that something is wrong with the role.
    pub fn role(&self) -> Result<Option<Role>> {
        const BELOW: &str = "latest/meta-data/iam/security-credentials/";
        let Some(name) = self.imds.within(ANSWERS_WITHIN, self.imds.text(BELOW))? else { return Ok(None) };
        let Some(text) = self.imds.within(ANSWERS_WITHIN, self.imds.get(&format!("{BELOW}{name}")))? else { return Ok(None) };
        // Never quoted: it holds the keys.
        let shown: Shown = serde_json::from_slice(&text)
            .map_err(|_| Error::new(Kind::Failed, "what the metadata service says of the role makes no sense"))?;
        if shown.code != "Success" {
            return Err(Error::new(Kind::Denied, format!("the role `{name}` cannot be assumed: `{}`", shown.code))
                .hint("its trust policy must let `ec2.amazonaws.com` assume it"));
        }
        let ends = shown.expiration.parse::<jiff::Timestamp>();
        let left = ends.map_or(0, |ends| ends.as_second() - jiff::Timestamp::now().as_second());
        Ok(Some(Role { name, left }))
    }

    /// Whether the metadata service also answers those who bring no token: version 1.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn answers_without_token(&self, limit: Duration) -> Result<bool> {
        self.imds.within(limit, self.imds.answers_without_token("latest/meta-data/instance-id"))
    }
}
