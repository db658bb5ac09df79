//! A symbolic link.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::files::FileKind;
use crate::host::write::Attributes;
use crate::host::{Facts, Host};
use crate::step::fields::AbsolutePath;
use crate::step::{Finding, Step, Touches};

/// A symbolic link. One that leads elsewhere is switched in one step; what is no link is never replaced.
///
/// ```yaml
/// - link: { path: /etc/nginx/sites-enabled/app, target: ../sites-available/app }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where.
    path: AbsolutePath,
    /// Where it leads; it need not exist, and may be relative to the link's directory. Not needed with `absent`.
    target: Option<String>,
    /// Who owns the link itself. Left out: a new one is root's, or whose tree it is in; an existing one stays as it is.
    owner: Option<String>,
    /// There must be no link.
    #[serde(default)]
    absent: bool,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// Make it.
    Create {
        /// Where.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// Switch it.
    Switch {
        /// Where.
        path: PathBuf,
        /// Where it leads now.
        from: PathBuf,
        /// Where it shall lead.
        to: PathBuf,
    },
    /// Give it to its owner.
    Own {
        /// Where.
        path: PathBuf,
        /// Who.
        owner: String,
    },
    /// Remove it.
    Remove(PathBuf),
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { path, to } => write!(f, "link {} -> {}", path.display(), to.display()),
            Self::Switch { path, from, to } => {
                write!(f, "link {} -> {} (was {})", path.display(), to.display(), from.display())
            }
            Self::Own { path, owner } => write!(f, "give the link {} to {owner}", path.display()),
            Self::Remove(path) => write!(f, "remove the link {}", path.display()),
        }
    }
}

impl Link {
    fn attributes(&self) -> Attributes {
        Attributes { owner: self.owner.clone(), ..Attributes::default() }
    }
}

/// The target seen from the link's directory, by its name alone.
fn resolved(directory: &Path, target: &Path) -> PathBuf {
    let mut path = PathBuf::new();
    for component in directory.join(target).components() {
        if component == Component::ParentDir {
            path.pop();
        } else {
            path.push(component);
        }
    }
    path
}

impl Step for Link {
    const KIND: &'static str = "link";
    const EXAMPLE: &'static str = "steps:
  - link: { path: /etc/nginx/sites-enabled/app, target: /etc/nginx/sites-available/app }
";
    type Change = LinkChange;

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref());
        // Whoever goes through the link reads its target: the link comes after what makes that.
        match &self.target {
            Some(target) => touches.read_path(resolved(self.path.parent().unwrap_or(&self.path), Path::new(target))),
            None => touches,
        }
    }

    fn problems(&self) -> Vec<String> {
        match (&self.target, self.absent) {
            (None, false) => vec!["`target` is needed, or `absent: true`".into()],
            (Some(_), true) => vec!["a link that shall be absent has no `target`".into()],
            (Some(target), false) if target.is_empty() => vec!["`target` is empty".into()],
            _ => Vec::new(),
        }
    }

    fn check(&self, facts: &Facts) -> Result<Finding<LinkChange>> {
        let path = self.path.as_path().to_owned();
        let target = self.target.as_deref().unwrap_or_default();
        let mut finding = Finding::done().with_fingerprint(&[path.as_os_str().as_encoded_bytes(), target.as_bytes()]);
        let to = PathBuf::from(target);
        match facts.look(&path)? {
            None if self.absent => {}
            None => {
                facts.describe_new(&path, &self.attributes())?;
                finding.change(LinkChange::Create { path, to });
            }
            Some(there) => match &there.kind {
                FileKind::Link(_) if self.absent => finding.change(LinkChange::Remove(path)),
                FileKind::Link(from) if *from != to => {
                    finding.change(LinkChange::Switch { path, from: from.clone(), to });
                }
                FileKind::Link(_) => {
                    if facts.compare_attributes_of(&path, &there, &self.attributes())?.is_some() {
                        finding.change(LinkChange::Own { path, owner: self.owner.clone().unwrap_or_default() });
                    }
                }
                _ => {
                    return Err(Error::new(Kind::Failed, format!("`{}` is there and no link", path.display()))
                        .hint("remove it first, if nothing needs it any more"));
                }
            },
        }
        Ok(finding)
    }

    fn apply(&self, change: &LinkChange, host: &Host) -> Result<()> {
        match change {
            LinkChange::Create { path, to } | LinkChange::Switch { path, to, .. } => host.make_link(path, to, &self.attributes()),
            LinkChange::Own { path, .. } => host.set_attributes(path, &self.attributes()),
            LinkChange::Remove(path) => host.remove(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    fn step(machine: &Machine, rest: &str) -> Link {
        let path = machine.path("current");
        serde_json::from_str(&format!(r#"{{"path": "{}", {rest}}}"#, path.display())).unwrap()
    }

    #[test]
    fn a_link_comes_after_what_makes_its_target() {
        let link: Link =
            serde_json::from_str(r#"{"path": "/etc/nginx/sites-enabled/app", "target": "../sites-available/app"}"#).unwrap();
        let made = crate::step::Thing::Path("/etc/nginx/sites-available/app".into());
        assert!(link.touches().reads.contains(&made), "{:?}", link.touches());
    }

    #[test]
    fn a_link_is_made_switched_and_removed() {
        let machine = Machine::new();
        for (rest, end) in [
            (r#""target": "releases/1""#, "-> releases/1"),
            (r#""target": "releases/2""#, "-> releases/2 (was releases/1)"),
            (r#""absent": true"#, "current"),
        ] {
            let step = step(&machine, rest);
            assert!(step.problems().is_empty());
            let found = step.check(&machine.facts()).unwrap();
            let change = &found.changes[0].change;
            assert!(change.to_string().ends_with(end), "{change}");
            step.apply(change, &machine.host()).unwrap();
            assert!(step.check(&machine.facts()).unwrap().is_done());
        }
        machine.write("current", "a file");
        assert!(step(&machine, r#""target": "x""#).check(&machine.facts()).is_err());
        assert_eq!(step(&machine, r#""target": "x", "absent": true"#).problems().len(), 1);
    }
}
