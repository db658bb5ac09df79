//! Where a secret comes from, as the playbook writes it.

use std::fmt;
use std::str::FromStr;

use crate::host::aws::{Permission, Resource};

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

impl SecretSource {
    /// The name under which `GetParameters` gives it, if it does.
    pub(super) fn parameter(&self) -> Option<String> {
        match self {
            Self::Parameter(name) => Some(name.clone()),
            Self::Managed { name, .. } => Some(format!("/aws/reference/secretsmanager/{name}")),
            Self::ParametersBelow(_) | Self::Object { .. } => None,
        }
    }

    /// What fetching it takes.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        let mut all: Vec<Permission> =
            self.parameter().map(|name| Permission::new("ssm:GetParameters", Resource::Parameter(name))).into_iter().collect();
        match self {
            Self::Parameter(_) => {}
            Self::ParametersBelow(path) => {
                all.push(Permission::new("ssm:GetParametersByPath", Resource::Parameter(path.clone())));
            }
            Self::Object { bucket, key } => all.push(Permission::to_read(bucket, key)),
            Self::Managed { name, .. } => {
                all.push(Permission::new("secretsmanager:GetSecretValue", Resource::Secret(name.clone())));
            }
        }
        all
    }
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("ssm:") {
            return parameter(name)
                .ok_or_else(|| format!("`{text}` is not a parameter such as `ssm:/name`, `ssm:/name:3` or `ssm:/path/*`"));
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            let valid = (3..=63).contains(&bucket.len())
                && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
            if !valid || key.is_empty() || key.ends_with('/') {
                return Err(format!("`{text}` is not an object such as `s3://bucket/key`"));
            }
            return Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() });
        }
        if let Some(rest) = text.strip_prefix("secretsmanager:") {
            let (name, key) = rest.split_once('#').map_or((rest, None), |(name, key)| (name, Some(key)));
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
            if name.is_empty() || !name.bytes().all(valid) || key == Some("") {
                return Err(format!("`{text}` is not a secret such as `secretsmanager:NAME` or `secretsmanager:NAME#json-key`"));
            }
            return Ok(Self::Managed { name: name.to_owned(), json_key: key.map(str::to_owned) });
        }
        Err(format!("`{text}` is not a secret's source; it starts with `ssm:`, `s3://` or `secretsmanager:`"))
    }
}

fn parameter(name: &str) -> Option<SecretSource> {
    let valid = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/:".contains(&byte));
    match name.strip_suffix("/*") {
        Some(path) if path.starts_with('/') && path.len() > 1 && valid(path) && !path.contains(':') => {
            Some(SecretSource::ParametersBelow(path.to_owned()))
        }
        None if !name.is_empty() && valid(name) && !name.ends_with(['/', ':']) => Some(SecretSource::Parameter(name.to_owned())),
        _ => None,
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::ParametersBelow(path) => write!(f, "ssm:{path}/*"),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Managed { name, json_key: None } => write!(f, "secretsmanager:{name}"),
            Self::Managed { name, json_key: Some(key) } => write!(f, "secretsmanager:{name}#{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_printed_as_they_are_written() {
        for text in [
            "ssm:/a/b",
            "ssm:plain",
            "ssm:/a:3",
            "ssm:/a/b/*",
            "s3://keys/tls/key.pem",
            "secretsmanager:db",
            "secretsmanager:prod/db#password",
        ] {
            assert_eq!(text.parse::<SecretSource>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_source_says_what_one_looks_like() {
        for wrong in [
            "",
            "/a/b",
            "ssm:",
            "ssm:/*",
            "ssm:/a/",
            "ssm:/a/*/b",
            "ssm:/a b",
            "s3://x/key",
            "s3://bucket",
            "s3://bucket/",
            "s3://Bucket/key",
            "secretsmanager:",
            "secretsmanager:a#",
            "vault:x",
        ] {
            assert!(wrong.parse::<SecretSource>().is_err(), "{wrong}");
        }
    }
}
