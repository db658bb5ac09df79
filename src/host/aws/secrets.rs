//! The `secrets:` block's sources, and fetching all of them at once before anything is changed.

mod batches;
mod source;
mod trial;

pub use source::SecretSource;

use indexmap::{IndexMap, IndexSet};

use self::batches::{Collected, collect};
use super::Aws;
use super::parameters::ParameterStore as _;
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

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
        if !sources.is_empty() {
            // Without credentials nobody is asked, so no name is at fault.
            self.clients().doing(|| "fetching the secrets".to_owned())?;
        }
        let mut collected = collect(&parameter_names(sources), |names| self.named(names));
        for source in distinct(sources) {
            match source {
                SecretSource::ParametersBelow(path) => match self.below(path) {
                    Ok(found) if found.is_empty() => collected.missing.push(source.to_string()),
                    Ok(found) => {
                        collected.below.insert(path.clone(), found);
                    }
                    Err(error) => collected.failed.push((source.to_string(), error)),
                },
                SecretSource::Object { bucket, key } => match self.object(bucket, key) {
                    Ok(bytes) => {
                        collected.objects.insert(source.to_string(), Secret::new(bytes));
                    }
                    Err(error) if error.kind() == Kind::Missing => collected.missing.push(source.to_string()),
                    Err(error) => collected.failed.push((source.to_string(), error)),
                },
                SecretSource::Parameter(_) | SecretSource::Managed { .. } => {}
            }
        }
        let mut fetched = IndexMap::new();
        for (name, source) in sources {
            match one(source, &collected) {
                Ok(Some(value)) => {
                    fetched.insert(name.clone(), value);
                }
                // Already among the missing or the failed.
                Ok(None) => {}
                Err(missing) => collected.missing.push(missing),
            }
        }
        collected.verdict()?;
        Ok(fetched)
    }

    /// The version of each, never a value: for a dry-run with `--online`. What is read through Secrets Manager has none.
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    pub fn secret_versions(&self, sources: &IndexMap<String, SecretSource>) -> Result<IndexMap<String, Option<String>>> {
        let plain: IndexMap<String, SecretSource> = sources
            .iter()
            .filter(|(_, source)| matches!(source, SecretSource::Parameter(_)))
            .map(|(name, source)| (name.clone(), source.clone()))
            .collect();
        let mut collected = collect(&parameter_names(&plain), |names| self.versions(names));
        let mut versions = IndexMap::new();
        for (name, source) in sources {
            let version = match source {
                SecretSource::Parameter(parameter) => collected.named.get(parameter).map(|version| format!("version {version}")),
                SecretSource::Object { bucket, key } => match self.object_facts(bucket, key) {
                    Ok(facts) => Some(facts.version.or(facts.tag).unwrap_or_else(|| "unknown".to_owned())),
                    Err(error) => {
                        collected.failed.push((source.to_string(), error));
                        None
                    }
                },
                SecretSource::ParametersBelow(_) | SecretSource::Managed { .. } => None,
            };
            versions.insert(name.clone(), version);
        }
        collected.verdict()?;
        Ok(versions)
    }
}

/// The union of all names that can be asked for by name, each once, in the order written.
fn parameter_names(sources: &IndexMap<String, SecretSource>) -> Vec<String> {
    let names: IndexSet<String> = sources.values().filter_map(SecretSource::parameter).collect();
    names.into_iter().collect()
}

fn distinct(sources: &IndexMap<String, SecretSource>) -> impl Iterator<Item = &SecretSource> {
    sources
        .values()
        .enumerate()
        .filter(|(place, source)| sources.values().position(|other| other == *source) == Some(*place))
        .map(|(_, source)| source)
}

/// One entry's value out of what was collected: `None` where that failed, an error where a JSON secret lacks the key.
fn one(source: &SecretSource, collected: &Collected<super::Parameter>) -> Result<Option<Fetched>, String> {
    Ok(match source {
        SecretSource::Parameter(name) => collected.named.get(name).map(|parameter| Fetched::One(parameter.value.clone())),
        SecretSource::ParametersBelow(path) => collected.below.get(path).map(|found| {
            let leaf = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
            Fetched::Map(found.iter().map(|parameter| (leaf(&parameter.name), parameter.value.clone())).collect())
        }),
        SecretSource::Object { .. } => {
            collected.objects.get(&source.to_string()).map(|secret| Fetched::One(Sensitive::Secret(secret.clone())))
        }
        SecretSource::Managed { json_key, .. } => {
            let Some(parameter) = source.parameter().and_then(|name| collected.named.get(&name)) else { return Ok(None) };
            let whole = parameter.value.expose();
            let value = match json_key {
                None => Secret::new(whole),
                Some(key) => json_part(whole, key).ok_or_else(|| source.to_string())?,
            };
            Some(Fetched::One(Sensitive::Secret(value)))
        }
    })
}

/// One value of a JSON secret; text as it is, anything else as JSON.
fn json_part(whole: &[u8], key: &str) -> Option<Secret> {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(whole).ok()?;
    match object.remove(key)? {
        serde_json::Value::String(text) => Some(Secret::new(text)),
        other => Some(Secret::new(other.to_string())),
    }
}

impl<P> Collected<P> {
    /// Nothing, or one error that names everything that could not be had.
    fn verdict(self) -> Result<()> {
        let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let (denied, other): (Vec<_>, Vec<_>) = self.failed.into_iter().partition(|(_, error)| error.kind() == Kind::Denied);
        if let Some((name, error)) = other.into_iter().next() {
            return Err(error.doing(format!("fetching `{name}`")).doing("fetching the secrets"));
        }
        let denied_names: Vec<String> = denied.iter().map(|(name, _)| name.clone()).collect();
        let said = match (self.missing.is_empty(), denied.is_empty()) {
            (true, true) => return Ok(()),
            (false, true) => format!("there is no {}", list(&self.missing)),
            (true, false) => format!("access is denied to {}", list(&denied_names)),
            (false, false) => format!("there is no {}; and access is denied to {}", list(&self.missing), list(&denied_names)),
        };
        let kind = if denied.is_empty() { Kind::Missing } else { Kind::Denied };
        let mut error = Error::new(kind, said);
        if denied.is_empty() {
            error = error.hint("create what is missing, in this instance's region and account, or correct the names");
        }
        for (name, denial) in denied {
            // The first denial says it in the service's own words; they are usually all the same.
            if error.advice().is_none() {
                let needed = format!(
                    "the role needs `ssm:GetParameters` (below a path: `ssm:GetParametersByPath`) on `{name}`, and `kms:Decrypt` on its key"
                );
                error = error.hint(denial.advice().map_or(needed, str::to_owned));
                error = error.tail(denial.causes().map(str::to_owned));
            }
        }
        Err(error.doing("fetching the secrets"))
    }
}

#[cfg(test)]
mod tests;
