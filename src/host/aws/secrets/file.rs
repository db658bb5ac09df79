//! `--secrets-from FILE`: values for a run without AWS, all of them secret.

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use super::Fetched;
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// One value of the file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    Map(IndexMap<String, Written>),
}

impl Written {
    /// Text, as an environment file would hold it.
    fn scalar(self) -> Option<Sensitive> {
        let text = match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::Map(_) => return None,
        };
        Some(Sensitive::Secret(Secret::new(text)))
    }
}

/// Reads a YAML or JSON map from names of the `secrets:` block to a value or, for a path, to a map of values.
///
/// # Errors
/// `Missing` when there is no such file; `Playbook` when it is not such a map. Never shows what is in it.
pub fn from_file(path: &Path) -> Result<IndexMap<String, Fetched>> {
    let doing = || format!("reading the secrets of `{}`", path.display());
    let text = std::fs::read_to_string(path).doing(doing)?;
    parse(&text).doing(doing)
}

fn parse(text: &str) -> Result<IndexMap<String, Fetched>> {
    let wrong = |why: String| {
        Error::new(Kind::Playbook, why).hint("write a map from names of the `secrets:` block to text, or to a map of texts")
    };
    // The reader's own message would show the line.
    let written: IndexMap<String, Written> =
        serde_yaml::from_str(text).map_err(|_| wrong("the file is not a map of values in YAML or JSON".to_owned()))?;
    let mut secrets = IndexMap::new();
    for (name, value) in written {
        let fetched = match value {
            Written::Map(map) => {
                let mut values = IndexMap::new();
                for (key, value) in map {
                    let value = value.scalar().ok_or_else(|| wrong(format!("`{name}.{key}` is a map inside of a map")))?;
                    values.insert(key, value);
                }
                Fetched::Map(values)
            }
            scalar => Fetched::One(scalar.scalar().ok_or_else(|| wrong(format!("`{name}` is not a value")))?),
        };
        secrets.insert(name, fetched);
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_maps_are_read_as_secrets() {
        let secrets = parse("deploy_key: |\n  line\n  line\napp_env:\n  PORT: 8000\n  DEBUG: false\n").unwrap();
        let Some(Fetched::One(key)) = secrets.get("deploy_key") else { panic!("no key") };
        assert_eq!((key.expose(), key.is_secret()), (b"line\nline\n".as_slice(), true));
        let Some(Fetched::Map(env)) = secrets.get("app_env") else { panic!("no map") };
        assert_eq!(env["PORT"].expose(), b"8000");
        assert_eq!(parse(r#"{"a": "b"}"#).unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for text in ["hunter2hunter2", "- hunter2hunter2", "a: {b: {c: hunter2hunter2}}"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Playbook);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
