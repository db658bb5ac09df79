//! A file of environment variables.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::compare::FileChange;
use crate::host::env_format::{EnvFormat, is_name, render};
use crate::host::files::NewFile;
use crate::host::{Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::{AbsolutePath, Mode};
use crate::step::{Finding, Step, Thing, Touches};

/// A file of environment variables: a map of secrets, literals, or both. The file holds these and nothing else, sorted by name.
///
/// ```yaml
/// - env_file:
///     path: /home/ubuntu/app/.env
///     values: "{{ secrets.app_env }}"
///     with: { PORT: "8000" }
///     owner: ubuntu
/// ```
///
/// What the format cannot say, such as a line break for a container, is an error that names the variable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// Where.
    path: AbsolutePath,
    /// The variables: a map, or one expression that gives one.
    #[serde(default)]
    values: IndexMap<String, Sensitive>,
    /// More variables; of a name that is in both, this one counts.
    #[serde(default)]
    with: IndexMap<String, Sensitive>,
    /// Who reads the file: they quote differently.
    #[serde(default)]
    format: EnvFormat,
    /// Who owns it; unless told, root or whose tree it is in.
    owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    group: Option<String>,
    /// Its permission bits.
    #[serde(default = "owner_only")]
    mode: Mode,
}

fn owner_only() -> Mode {
    Mode(0o600)
}

impl EnvFile {
    fn wish(&self) -> Result<NewFile> {
        let mut all = self.values.clone();
        all.extend(self.with.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(NewFile {
            path: self.path.as_path().to_owned(),
            content: render(self.format, &all)?,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: self.mode.0,
        })
    }
}

impl Step for EnvFile {
    const KIND: &'static str = "env_file";
    const EXAMPLE: &'static str = r#"secrets:
  settings: ssm:/app/env/*
steps:
  - env_file:
      path: /etc/app.env
      values: "{{ secrets.settings }}"
      with: { PORT: 8000 }
      owner: www-data
      mode: "0600"
"#;
    type Change = FileChange;

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref());
        self.group.iter().fold(touches, |touches, group| touches.read(Thing::Group(group.clone())))
    }

    fn problems(&self) -> Vec<String> {
        let names = self.values.keys().chain(self.with.keys());
        let wrong = |name: &&String| !is_name(name);
        names.filter(wrong).map(|name| format!("`{name}` is no name for an environment variable")).collect()
    }

    fn check(&self, facts: &Facts) -> Result<Finding<FileChange>> {
        let wish = self.wish()?;
        let mut finding = Finding::done();
        facts.compare_into(&wish, &mut finding)?;
        if finding.changes.iter().any(|planned| matches!(planned.change, FileChange::Create { .. })) {
            facts.require_directory_for(&wish.path)?;
        }
        finding.fingerprint = Some(wish.fingerprint());
        Ok(finding)
    }

    fn apply(&self, _: &FileChange, host: &Host) -> Result<()> {
        host.write_file(&self.wish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;
    use crate::secret::Secret;
    use crate::step::Diff;

    fn step(machine: &Machine) -> EnvFile {
        let path = machine.path(".env");
        let json = format!(r#"{{"path": "{}", "with": {{"PORT": "8000", "MODE": "a b"}}}}"#, path.display());
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn values_and_literals_are_merged_into_a_closed_file() {
        let machine = Machine::new();
        let mut step = step(&machine);
        step.values.insert("PASSWORD".into(), Sensitive::Secret(Secret::new("swordfish")));
        step.values.insert("PORT".into(), "1".into());
        assert!(step.problems().is_empty());
        let found = step.check(&machine.facts()).unwrap();
        let planned = &found.changes[0];
        assert!(planned.change.to_string().contains("bytes, ") && planned.change.to_string().ends_with(" 0600)"));
        assert!(matches!(planned.diff, Some(Diff::Private { before: None, .. })));
        step.apply(&planned.change, &machine.host()).unwrap();
        assert_eq!(machine.content(".env"), "MODE='a b'\nPASSWORD=swordfish\nPORT=8000\n");
        let after = step.check(&machine.facts()).unwrap();
        assert!(after.is_done());
        assert_eq!(after.fingerprint, found.fingerprint);
        step.values.insert("PASSWORD".into(), Sensitive::Secret(Secret::new("sharkfish")));
        let changed = step.check(&machine.facts()).unwrap();
        assert!(!changed.is_done() && changed.fingerprint != found.fingerprint);
    }

    #[test]
    fn wrong_names_are_all_listed() {
        let machine = Machine::new();
        let mut step = step(&machine);
        step.with.insert("1ST".into(), "x".into());
        step.values.insert("a-b".into(), "x".into());
        assert_eq!(step.problems().len(), 2);
        assert!(step.check(&machine.facts()).is_err());
    }
}
