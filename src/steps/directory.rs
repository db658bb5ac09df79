//! A directory.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::files::FileKind;
use crate::host::write::Attributes;
use crate::host::{Facts, Host};
use crate::step::fields::{AbsolutePath, Mode};
use crate::step::{Finding, Step, Thing, Touches};

/// A directory, with its owner and permissions. Missing directories above it are made too, root's and 0755.
///
/// ```yaml
/// - directory: /srv/app
/// - directory: { path: /var/lib/app, owner: app, mode: "0750" }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where.
    path: AbsolutePath,
    /// Who owns it. Left out: a new one is root's, or whose tree it is in; an existing one stays as it is.
    owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    group: Option<String>,
    /// Its permission bits.
    #[serde(default = "open_to_all")]
    mode: Mode,
    /// There must be nothing: what is there is removed with all that is in it.
    #[serde(default)]
    absent: bool,
}

fn open_to_all() -> Mode {
    Mode(0o755)
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum DirectoryChange {
    /// Make it.
    Create {
        /// Where.
        path: PathBuf,
        /// Owner, group and mode.
        detail: String,
    },
    /// Set owner, group and mode.
    Attributes {
        /// Where.
        path: PathBuf,
        /// What they are now.
        from: String,
        /// What they shall be.
        to: String,
    },
    /// Remove it with all that is in it.
    Remove(PathBuf),
}

impl fmt::Display for DirectoryChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { path, detail } => write!(f, "create directory {} ({detail})", path.display()),
            Self::Attributes { path, from, to } => write!(f, "change {} from {from} to {to}", path.display()),
            Self::Remove(path) => write!(f, "remove {} with all that is in it", path.display()),
        }
    }
}

impl Directory {
    fn attributes(&self) -> Attributes {
        Attributes { owner: self.owner.clone(), group: self.group.clone(), mode: Some(self.mode.0) }
    }
}

impl Step for Directory {
    const KIND: &'static str = "directory";
    const SHORTHAND: Option<&'static str> = Some("path");
    const EXAMPLE: &'static str = r#"steps:
  - directory: { path: /srv/app, owner: www-data, mode: "0750" }
"#;
    type Change = DirectoryChange;

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref());
        self.group.iter().fold(touches, |touches, group| touches.read(Thing::Group(group.clone())))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.absent && self.path.components().count() < 3 {
            problems.push(format!("`{}` is too near the root to be removed", self.path));
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<DirectoryChange>> {
        let path = self.path.as_path().to_owned();
        let mut finding =
            Finding::done().with_fingerprint(&[path.as_os_str().as_encoded_bytes(), self.mode.to_string().as_bytes()]);
        let there = facts.look(&path)?;
        if self.absent {
            if there.is_some() {
                finding.change(DirectoryChange::Remove(path));
            }
            return Ok(finding);
        }
        match there {
            None => {
                let detail = facts.describe_new(&path, &self.attributes())?;
                finding.change(DirectoryChange::Create { path, detail });
            }
            Some(there) if there.kind == FileKind::Directory => {
                if let Some((from, to)) = facts.compare_attributes_of(&path, &there, &self.attributes())? {
                    finding.change(DirectoryChange::Attributes { path, from, to });
                }
            }
            Some(_) => {
                return Err(Error::new(Kind::Failed, format!("`{}` is there and no directory", path.display()))
                    .hint("remove it first, or name the place a link leads to"));
            }
        }
        Ok(finding)
    }

    fn apply(&self, change: &DirectoryChange, host: &Host) -> Result<()> {
        match change {
            DirectoryChange::Create { path, .. } => host.make_directory(path, &self.attributes()),
            DirectoryChange::Attributes { path, .. } => host.set_attributes(path, &self.attributes()),
            DirectoryChange::Remove(path) => host.remove(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    fn step(machine: &Machine, rest: &str) -> Directory {
        let path = machine.path("a/b");
        serde_json::from_str(&format!(r#"{{"path": "{}"{rest}}}"#, path.display())).unwrap()
    }

    fn settle(step: &Directory, machine: &Machine) -> Vec<String> {
        let found = step.check(&machine.facts()).unwrap();
        found.changes.iter().for_each(|planned| step.apply(&planned.change, &machine.host()).unwrap());
        assert!(step.check(&machine.facts()).unwrap().is_done());
        found.changes.iter().map(|planned| planned.change.to_string()).collect()
    }

    #[test]
    fn a_directory_is_made_changed_and_removed() {
        let machine = Machine::new();
        assert!(settle(&step(&machine, ""), &machine)[0].ends_with(" 0755)"));
        assert!(settle(&step(&machine, r#", "mode": "0700""#), &machine)[0].contains(" 0755 to "));
        machine.write("a/b/inside", "x");
        assert_eq!(settle(&step(&machine, r#", "absent": true"#), &machine).len(), 1);
        assert!(!machine.path("a/b").exists());
    }

    #[test]
    fn what_is_no_directory_is_not_replaced() {
        let machine = Machine::new();
        machine.write("a/b", "a file");
        assert!(step(&machine, "").check(&machine.facts()).is_err());
        assert_eq!(machine.content("a/b"), "a file");
        let error = step(&machine, r#", "owner": "nobody-such""#);
        std::fs::remove_file(machine.path("a/b")).unwrap();
        assert_eq!(error.check(&machine.facts()).unwrap_err().kind(), Kind::Missing);
        let etc: Directory = serde_json::from_str(r#"{"path": "/etc", "absent": true}"#).unwrap();
        assert_eq!(etc.problems().len(), 1);
    }
}
