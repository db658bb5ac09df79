//! `archive`: a directory that is what an archive holds.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::aws::Permission;
use crate::host::digest::Sha256;
use crate::host::origin::Origin;
use crate::host::unpacking::{Lacking, Unpacked};
use crate::host::{Answer, Facts, Host};
use crate::step::fields::{AbsolutePath, account_name_problem};
use crate::step::{Finding, Step, Thing, Touches};

/// A directory that is what a `.tar` or `.tar.gz` holds.
///
/// The directory is the archive's own: it is unpacked beside it and put in its place in one rename, and what was there before is gone
/// then. A record in it (`.bootstrap-agent-archive.json`) tells the next run whether all files are still what they were; files that were
/// put there since stay until there is a new archive. Names that lead out of it, links that do, devices, more than 200 000 entries
/// and more than 8 GiB are refused; set-user-id bits and the right of others to write are not given.
///
/// ```yaml
/// - archive:
///     source: https://example.com/node-v20.18.0-linux-x64.tar.gz
///     sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
///     path: /opt/node-20.18.0
///     strip: 1
/// - link: { path: /opt/node, target: node-20.18.0 }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where the archive comes from: a file beside the playbook, `s3://bucket/key`, or `https://…` with `sha256`.
    #[schemars(extend("x-beside" = true))]
    source: String,
    /// Digest of the archive, in hexadecimal.
    sha256: Option<String>,
    /// The directory that it becomes.
    path: AbsolutePath,
    /// How many directories at the top of each name are left out.
    #[serde(default)]
    strip: u32,
    /// Who owns all of it; unless told, root or whose tree it is in.
    owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    group: Option<String>,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub struct ArchiveChange {
    path: PathBuf,
    from: Origin,
    lacking: Lacking,
}

impl fmt::Display for ArchiveChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let (path, from) = (self.path.display(), &self.from);
        match &self.lacking {
            Lacking::Everything => write!(f, "unpack {from} to {path}"),
            Lacking::Version => write!(f, "unpack {from} to {path}, in place of what is there"),
            Lacking::Cleaning => write!(f, "unpack {from} to {path} again: a run that was cut short left something beside it"),
            Lacking::Files(files) => {
                let named: Vec<String> = files.iter().take(SHOWN).map(|file| file.display().to_string()).collect();
                let more = files.len().saturating_sub(SHOWN);
                let named = named.join(", ");
                let named = if more > 0 {
                    format!("{named} and {more} more are")
                } else {
                    format!("{named} {}", if files.len() == 1 { "is" } else { "are" })
                };
                write!(f, "unpack {from} to {path} again: {named} not what the archive holds")
            }
        }
    }
}

impl Archive {
    fn origin(&self) -> Result<(Origin, Option<Sha256>), String> {
        let origin = Origin::of(&self.source)?;
        let sha256 = self.sha256.as_deref().map(str::parse::<Sha256>).transpose()?;
        match (&origin, sha256) {
            (Origin::Https(_), None) => Err("a `source` from `https://` needs its `sha256`".into()),
            (_, sha256) => Ok((origin, sha256)),
        }
    }

    fn wish(&self, facts: &Facts) -> Result<Answer<Unpacked>> {
        let (origin, told) = self.origin().map_err(|why| Error::new(Kind::Playbook, why))?;
        let sha256 = match told {
            Some(told) => Some(told),
            None => match facts.origin_digest(&origin)? {
                Answer::Known(found) => found,
                Answer::Unknown(why) => return Ok(Answer::Unknown(why)),
            },
        };
        Ok(Answer::Known(Unpacked {
            path: self.path.as_path().to_owned(),
            origin,
            sha256,
            strip: self.strip,
            owner: self.owner.clone(),
            group: self.group.clone(),
        }))
    }
}

impl Step for Archive {
    const KIND: &'static str = "archive";
    const EXAMPLE: &'static str = "steps:
  - archive: { source: s3://project-artifacts/site.tar.gz, path: /srv/site, strip: 1, owner: www-data }
";
    type Change = ArchiveChange;

    fn permissions(&self) -> Vec<Permission> {
        self.origin().ok().and_then(|(origin, _)| origin.permission()).into_iter().collect()
    }

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref());
        self.group.iter().fold(touches, |touches, group| touches.read(Thing::Group(group.clone())))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.origin().err().into_iter().collect();
        if self.path.components().count() < 3 {
            problems.push(format!("`{}` is too near the root to become an archive's directory", self.path));
        }
        problems.extend(self.owner.iter().chain(&self.group).filter_map(|name| account_name_problem(name)));
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<ArchiveChange>> {
        let wish = match self.wish(facts)? {
            Answer::Known(wish) => wish,
            Answer::Unknown(why) => return Ok(Finding::unknown(why)),
        };
        let mut finding = Finding::done();
        if let Some(sha256) = &wish.sha256 {
            let (owner, group) = (self.owner.as_deref().unwrap_or_default(), self.group.as_deref().unwrap_or_default());
            let path = self.path.as_os_str().as_encoded_bytes();
            finding =
                finding.with_fingerprint(&[path, sha256.bytes(), &self.strip.to_le_bytes(), owner.as_bytes(), group.as_bytes()]);
        }
        if let Some(lacking) = facts.compare_unpacked(&wish)? {
            finding.change(ArchiveChange { path: wish.path, from: wish.origin, lacking });
        }
        Ok(finding)
    }

    fn apply(&self, _: &ArchiveChange, host: &Host) -> Result<()> {
        match self.wish(host)? {
            Answer::Known(wish) => host.unpack(&wish),
            Answer::Unknown(why) => Err(Error::new(Kind::Failed, why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn every_problem_is_named() {
        let digest = "0".repeat(64);
        for (json, said) in [
            (r#"{"source": "https://example.com/a.tar.gz", "path": "/opt/a"}"#.to_owned(), "needs its `sha256`"),
            (r#"{"source": "../a.tar.gz", "path": "/opt/a"}"#.to_owned(), "without `..`"),
            (r#"{"source": "a.tar.gz", "path": "/opt/a", "sha256": "1"}"#.to_owned(), "is not a sha256"),
            (r#"{"source": "a.tar.gz", "path": "/usr"}"#.to_owned(), "too near the root"),
            (format!(r#"{{"source": "s3://b/a", "path": "/opt/a", "owner": "A", "sha256": "{digest}"}}"#), "no name for a user"),
        ] {
            let problems = serde_json::from_str::<Archive>(&json).unwrap().problems();
            assert!(problems.len() == 1 && problems[0].contains(said), "{json}: {problems:?}");
        }
    }

    #[test]
    fn what_only_aws_knows_is_unknown_without_asking_and_a_digest_needs_nobody() {
        let mut machine = Machine::new();
        machine.online = false;
        let step = |more: &str| -> Archive {
            let path = machine.path("opt").display().to_string();
            serde_json::from_str(&format!(r#"{{"source": "s3://b/a.tar.gz", "path": "{path}"{more}}}"#)).unwrap()
        };
        let found = step("").check(&machine.facts()).unwrap();
        assert!(found.unknown.is_some_and(|why| why.contains("--online")));
        let found = step(&format!(r#", "sha256": "{}""#, "0".repeat(64))).check(&machine.facts()).unwrap();
        let line = found.changes[0].change.to_string();
        assert!(line.starts_with("unpack s3://b/a.tar.gz to ") && found.fingerprint.is_some(), "{line}");
    }
}
