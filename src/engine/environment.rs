//! What surrounds a run: which instance this is, and the secrets, from AWS or from the files that stand in for them.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};
use crate::host::aws::{Aws, Fetched};
use crate::host::inputs::read_mapping;
use crate::host::instance::{Discovery, Instance, os_values};
use crate::playbook::{InstanceValues, Playbook, Scope};
use crate::secret::{Redactor, SHORTEST_SEARCHED, Secret, Sensitive};

/// A dry-run asks the metadata service once, for this long.
const GLANCE: Duration = Duration::from_millis(50);
/// A run waits this long for it: on some images the network comes up late.
const PATIENCE: Duration = Duration::from_mins(1);

/// The instance, where it is one.
pub struct Surroundings {
    /// Values for expressions.
    pub values: InstanceValues,
    /// The instance itself; `None` off EC2, or where `--facts` stands in for it.
    pub instance: Option<Instance>,
    /// Why there is none.
    pub absent: Option<String>,
}

impl Surroundings {
    /// Asks the metadata service, or reads `--facts`.
    ///
    /// # Errors
    /// When the file is wrong; when this is an EC2 instance whose metadata service does not answer, unless it is a dry-run.
    pub fn discover(runtime: &Handle, given: Option<&Path>, dry_run: bool) -> Result<Self> {
        if let Some(path) = given {
            let mut given = read_mapping(path)?;
            let os = merged(os_values(), given.remove("os"));
            let values = InstanceValues { instance: given.remove("instance"), os };
            return match given.keys().next() {
                Some(unknown) => Err(Error::new(Kind::Usage, format!("`{unknown}` is neither `os` nor `instance`"))
                    .doing(format!("reading `{}`", path.display()))),
                None => Ok(Self { values, instance: None, absent: Some("`--facts` stands in for it".to_owned()) }),
            };
        }
        let found = Instance::discover(runtime, if dry_run { GLANCE } else { PATIENCE });
        let (instance, absent) = match found {
            Ok(Discovery::Known(instance)) => (Some(*instance), None),
            Ok(Discovery::Absent(why)) => (None, Some(why)),
            Err(error) if dry_run => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let values = InstanceValues { instance: instance.as_ref().map(Instance::values), os: os_values() };
        Ok(Self { values, instance, absent })
    }
}

/// What this machine says, with what is given over it.
fn merged(own: Value, given: Option<Value>) -> Value {
    match (own, given) {
        (Value::Object(own), Some(Value::Object(given))) => own.into_iter().chain(given).collect::<Map<_, _>>().into(),
        (own, None) => own,
        (_, Some(given)) => given,
    }
}

/// Fetches every secret of the playbook, at once and before anything is changed, and teaches them to the redactor.
/// `None` in a dry-run without `--secrets-from`.
///
/// # Errors
/// When one cannot be had; missing and denied names are all listed.
pub fn fetch_secrets(
    playbook: &Playbook,
    scope: &Scope,
    aws: &Aws,
    given: Option<&Path>,
    dry_run: bool,
    redactor: &Redactor,
) -> Result<Option<IndexMap<String, Fetched>>> {
    let mut sources = playbook.secret_sources(scope)?;
    let mut secrets = IndexMap::new();
    if let Some(path) = given {
        for (name, value) in read_mapping(path)? {
            if sources.shift_remove(&name).is_none() {
                return Err(Error::new(Kind::Usage, format!("`{name}` is not in the playbook's `secrets:`"))
                    .doing(format!("reading `{}`", path.display())));
            }
            secrets.insert(name, stand_in(value));
        }
    } else if dry_run {
        return Ok(None);
    }
    if dry_run && !sources.is_empty() {
        let missing = sources.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(Error::new(Kind::Usage, format!("`--secrets-from` does not hold {missing}")));
    }
    if !sources.is_empty() {
        secrets.extend(aws.fetch(&sources)?);
    }
    let secrets = playbook.classify(secrets);
    for value in secrets.values().flat_map(values) {
        if let Sensitive::Secret(secret) = value {
            redactor.learn(secret);
        }
    }
    Ok(Some(secrets))
}

/// What is said of secrets that are too short to be found in what programs print; `None` where all are long enough.
#[must_use]
pub fn too_short_to_search(secrets: &IndexMap<String, Fetched>) -> Option<String> {
    let short = |value: &Sensitive| value.is_secret() && (1..SHORTEST_SEARCHED).contains(&value.size());
    let mut names = Vec::new();
    for (name, fetched) in secrets {
        match fetched {
            Fetched::One(value) if short(value) => names.push(format!("`{name}`")),
            Fetched::One(_) => {}
            Fetched::Map(map) => {
                names.extend(map.iter().filter(|(_, value)| short(value)).map(|(key, _)| format!("`{name}.{key}`")));
            }
        }
    }
    let list = names.join(", ");
    (!names.is_empty())
        .then(|| format!("shorter than {SHORTEST_SEARCHED} bytes, so not masked where a program prints it: {list}"))
}

fn values(fetched: &Fetched) -> Vec<&Sensitive> {
    match fetched {
        Fetched::One(value) => vec![value],
        Fetched::Map(map) => map.values().collect(),
    }
}

fn stand_in(value: Value) -> Fetched {
    let secret = |value: Value| {
        Sensitive::Secret(Secret::new(match value {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    };
    match value {
        Value::Object(map) => Fetched::Map(map.into_iter().map(|(name, value)| (name, secret(value))).collect()),
        value => Fetched::One(secret(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_too_short_to_be_searched_for_are_named_and_no_others() {
        let secret = |text: &str| Sensitive::Secret(Secret::new(text));
        let map = [("PORT", secret("8000")), ("KEY", secret("long enough")), ("MODE", Sensitive::Plain("dev".into()))];
        let map = map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let secrets: IndexMap<String, Fetched> = [
            ("pin".to_owned(), Fetched::One(secret("1234567"))),
            ("key".to_owned(), Fetched::One(secret("12345678"))),
            ("empty".to_owned(), Fetched::One(secret(""))),
            ("env".to_owned(), Fetched::Map(map)),
        ]
        .into_iter()
        .collect();
        let said = too_short_to_search(&secrets).unwrap();
        assert!(said.ends_with(": `pin`, `env.PORT`"), "{said}");
        assert!(!said.contains("1234567") && !said.contains("8000"), "{said}");
        assert!(too_short_to_search(&IndexMap::new()).is_none());
    }
}
