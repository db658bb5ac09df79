//! Tries out whether the secrets of a playbook can be had, one by one, and forgets them at once.

use indexmap::IndexMap;

use super::SecretSource;
use super::batches::collect;
use crate::error::{Error, Kind};
use crate::host::aws::Aws;
use crate::host::aws::parameters::ParameterStore as _;

impl Aws {
    /// Asks for each secret and forgets it at once. Gives what cannot be had, by source, and why.
    pub fn try_secrets(&self, sources: &IndexMap<String, SecretSource>) -> Vec<(String, Error)> {
        let mut lacking = Vec::new();
        let by_parameter: IndexMap<String, String> =
            sources.values().filter_map(|source| Some((source.parameter()?, source.to_string()))).collect();
        let names: Vec<String> = by_parameter.keys().cloned().collect();
        let collected = collect(&names, |names| self.named(names));
        let source_of = |name: &String| by_parameter.get(name).unwrap_or(name).clone();
        let missing = |name: &String| Error::new(Kind::Missing, format!("there is no `{}`", source_of(name)));
        lacking.extend(collected.missing.iter().map(|name| (source_of(name), missing(name))));
        lacking.extend(collected.failed.into_iter().map(|(name, error)| (source_of(&name), error)));
        for source in sources.values() {
            let tried = match source {
                SecretSource::ParametersBelow(path) => self.below(path).and_then(|found| match found.as_slice() {
                    [] => Err(Error::new(Kind::Missing, format!("there is nothing below `{path}`"))),
                    _ => Ok(()),
                }),
                SecretSource::Object { bucket, key } => self.object_facts(bucket, key).map(|_| ()),
                SecretSource::Parameter(_) | SecretSource::Managed { .. } => Ok(()),
            };
            lacking.extend(tried.err().map(|error| (source.to_string(), error)));
        }
        lacking
    }
}
