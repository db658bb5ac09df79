//! SSM parameters: ten names a call, or one level below a path.

use aws_sdk_ssm::types::{Parameter as Wire, ParameterType};

use super::Aws;
use super::errors::explain;
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// The service takes no more names in one call.
pub(super) const MOST_NAMES: usize = 10;

/// A parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name as it was asked for, with version or label.
    pub name: String,
    /// Its value: secret unless the service calls it a `String`.
    pub value: Sensitive,
    /// Its version.
    pub version: i64,
}

/// The two questions we put to SSM; a seam, so that batching can be tested without it.
pub(super) trait ParameterStore: Sync {
    /// At most ten by name; names that do not exist are simply not among the answers.
    fn named(&self, names: &[String]) -> Result<Vec<Parameter>>;

    /// All that are one level below the path.
    fn below(&self, path: &str) -> Result<Vec<Parameter>>;
}

impl Aws {
    /// One parameter, decrypted.
    ///
    /// # Errors
    /// `Missing` or `Denied` with its name.
    pub fn parameter(&self, name: &str) -> Result<Parameter> {
        let found = self.named(&[name.to_owned()]).doing(|| format!("reading parameter `{name}`"))?;
        found.into_iter().next().ok_or_else(|| Error::new(Kind::Missing, format!("there is no parameter `{name}`")))
    }

    /// Type and version of those that exist among these (at most ten), never a value: for a dry-run with `--online`.
    pub(super) fn versions(&self, names: &[String]) -> Result<Vec<(String, i64)>> {
        Ok(self.get(names, false)?.into_iter().map(|parameter| (parameter.name, parameter.version)).collect())
    }

    fn get(&self, names: &[String], decrypted: bool) -> Result<Vec<Parameter>> {
        let answer = self.call(&async |clients: &super::Clients| {
            let request = clients.parameters.get_parameters().set_names(Some(names.to_vec())).with_decryption(decrypted);
            request.send().await.map_err(|error| explain(&error))
        })?;
        Ok(answer.parameters().iter().filter_map(|wire| ours(wire, names)).collect())
    }
}

impl ParameterStore for Aws {
    fn named(&self, names: &[String]) -> Result<Vec<Parameter>> {
        self.get(names, true)
    }

    fn below(&self, path: &str) -> Result<Vec<Parameter>> {
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let answer = self.call(&async |clients: &super::Clients| {
                let request = clients.parameters.get_parameters_by_path().path(path).recursive(false).with_decryption(true);
                request.set_next_token(next.clone()).send().await.map_err(|error| explain(&error))
            })?;
            all.extend(answer.parameters().iter().filter_map(|wire| ours(wire, &[])));
            // A page may be empty and still not be the last one.
            next = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }
}

/// The parameter under the name by which it was asked for: the answer takes version and label apart, and turns an ARN into a name.
fn ours(wire: &Wire, asked: &[String]) -> Option<Parameter> {
    let selected = format!("{}{}", wire.name()?, wire.selector().unwrap_or_default());
    let name = asked
        .iter()
        .find(|asked| {
            **asked == selected
                || wire.arn().is_some_and(|arn| **asked == format!("{arn}{}", wire.selector().unwrap_or_default()))
        })
        .cloned()
        .unwrap_or(selected);
    let text = wire.value()?;
    // Secrets Manager's values come through here as well, and call themselves SecureString.
    let plain = matches!(wire.r#type(), Some(ParameterType::String | ParameterType::StringList));
    let value = if plain { Sensitive::Plain(text.to_owned()) } else { Sensitive::Secret(Secret::new(text)) };
    Some(Parameter { name, value, version: wire.version() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_the_name_that_was_asked_for() {
        let wire = Wire::builder()
            .name("/a/b")
            .selector(":3")
            .value("v")
            .version(3)
            .arn("arn:aws:ssm:r:1:parameter/a/b")
            .r#type(ParameterType::SecureString)
            .build();
        let asked = ["/x".to_owned(), "/a/b:3".to_owned()];
        let parameter = ours(&wire, &asked).unwrap();
        assert_eq!((parameter.name.as_str(), parameter.value.is_secret()), ("/a/b:3", true));
        let by_arn = ["arn:aws:ssm:r:1:parameter/a/b:3".to_owned()];
        assert_eq!(ours(&wire, &by_arn).unwrap().name, by_arn[0]);
    }

    #[test]
    fn only_a_string_is_plain() {
        let wire = Wire::builder().name("/a").value("v").r#type(ParameterType::String).build();
        assert!(!ours(&wire, &[]).unwrap().value.is_secret());
        assert!(ours(&Wire::builder().name("/a").value("v").build(), &[]).unwrap().value.is_secret());
    }
}
