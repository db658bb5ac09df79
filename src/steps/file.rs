//! A file with all that it holds.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Permission;
use crate::host::compare::{FileChange as Difference, LONGEST_SHOWN};
use crate::host::digest::Sha256;
use crate::host::fetched::{FetchedFile, Lacking};
use crate::host::files::{FileKind, NewFile};
use crate::host::origin::Origin;
use crate::host::{Answer, Facts, Host};
use crate::secret::{Secret, Sensitive};
use crate::step::fields::{AbsolutePath, Mode};
use crate::step::{Finding, Step, Thing, Touches};

/// A file with all that it holds: text from the playbook, a rendered template, or the bytes of another file.
///
/// A `source` may have up to 2 GiB: it goes to the disk as it comes, gets its name when all of it is there, and is compared by its
/// sha256. Files above 1 MiB are read again when their inode, size or times have changed; an S3 object without `sha256` is fetched
/// again when its entity tag has changed.
///
/// ```yaml
/// - file: { path: /etc/motd, content: "Hands off.\n" }
/// - file:
///     path: /etc/nginx/nginx.conf
///     template: files/nginx.conf.j2
///     validate: [nginx, -t, -c, "%s"]
/// - file: { path: /opt/tool, source: "https://example.com/tool", sha256: 9f86…, mode: "0755" }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where.
    path: AbsolutePath,
    /// What it holds.
    content: Option<Sensitive>,
    /// A template beside the playbook, rendered with the playbook's names.
    #[schemars(extend("x-template" = true))]
    template: Option<Sensitive>,
    /// Where its bytes come from: a file beside the playbook, `s3://bucket/key`, or `https://…` with `sha256`.
    #[schemars(extend("x-beside" = true))]
    source: Option<String>,
    /// Digest of the bytes from `source`, in hexadecimal.
    sha256: Option<String>,
    /// Who owns it; unless told, root or whose tree it is in.
    owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    group: Option<String>,
    /// Its permission bits; `0644` unless told, and `0600` when it holds a secret or comes from S3.
    mode: Option<Mode>,
    /// A program that must accept the new file before it goes live; `%s` stands for its name until then.
    #[serde(default)]
    validate: Vec<String>,
    /// There must be no file.
    #[serde(default)]
    absent: bool,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Write it, or set its owner and mode.
    Write(Difference),
    /// Fetch it: what it holds is known only by its digest.
    Fetch {
        /// Where.
        path: PathBuf,
        /// From where.
        from: Origin,
    },
    /// Remove it.
    Remove(PathBuf),
}

impl From<Difference> for FileChange {
    fn from(change: Difference) -> Self {
        Self::Write(change)
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(change) => change.fmt(f),
            Self::Fetch { path, from } if from.is_remote() => write!(f, "fetch {} from {from}", path.display()),
            Self::Fetch { path, from } => write!(f, "copy {} from {from}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
        }
    }
}

/// What the file shall hold, as far as that can be told.
enum Wish {
    /// These bytes.
    Held(NewFile),
    /// Bytes that are elsewhere.
    Fetched(FetchedFile),
    Unknown(String),
}

impl File {
    /// Where the bytes come from, and their digest, as the playbook says; or what it says wrongly.
    fn origin(&self) -> Option<Result<(Origin, Option<Sha256>), String>> {
        let text = self.source.as_deref()?;
        let sha256 = self.sha256.as_deref().map(str::parse::<Sha256>).transpose();
        Some(Origin::of(text).and_then(|origin| match (&origin, sha256?) {
            (Origin::Https(_), None) => Err("a `source` from `https://` needs its `sha256`".into()),
            (_, sha256) => Ok((origin, sha256)),
        }))
    }

    /// What the file shall hold.
    fn wish(&self, facts: &Facts) -> Result<Wish> {
        let (origin, told) = match (&self.content, &self.template, self.origin()) {
            (Some(content), None, None) | (None, Some(content), None) => return Ok(Wish::Held(self.holding(content.clone()))),
            (None, None, Some(origin)) => origin.map_err(|why| Error::new(Kind::Playbook, why))?,
            _ => return Err(Error::new(Kind::Playbook, ONE_OF)),
        };
        if let Origin::Beside(path) = &origin
            && let Some(content) = short_file(path, told, facts)?
        {
            return Ok(Wish::Held(self.holding(content)));
        }
        let sha256 = match told {
            Some(told) => Some(told),
            None => match facts.origin_digest(&origin)? {
                Answer::Known(found) => found,
                Answer::Unknown(why) => return Ok(Wish::Unknown(why)),
            },
        };
        // What S3 holds may be anybody's key.
        let unless_told = if matches!(origin, Origin::Object { .. }) { 0o600 } else { 0o644 };
        Ok(Wish::Fetched(FetchedFile {
            path: self.path.as_path().to_owned(),
            origin,
            sha256,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: self.mode.map_or(unless_told, |mode| mode.0),
        }))
    }

    fn holding(&self, content: Sensitive) -> NewFile {
        // Bytes from beside the playbook are nobody's secret, whatever they are carried in.
        let unless_told = if content.is_secret() && self.source.is_none() { 0o600 } else { 0o644 };
        NewFile {
            path: self.path.as_path().to_owned(),
            content,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: self.mode.map_or(unless_told, |mode| mode.0),
        }
    }
}

/// What a file beside the playbook holds, when it is short enough that somebody may read how it changes.
fn short_file(path: &Path, told: Option<Sha256>, facts: &Facts) -> Result<Option<Sensitive>> {
    let doing = || format!("reading `source: {}`", path.display());
    let Some(bytes) = facts.read_beside(path, LONGEST_SHOWN).doing(doing)? else { return Ok(None) };
    if let Some(told) = told {
        Sha256::of(&bytes).require(told).doing(doing)?;
    }
    // What is no text is carried like a secret: it is shown by size only in any case.
    Ok(Some(String::from_utf8(bytes).map_or_else(|error| Sensitive::Secret(Secret::new(error.into_bytes())), Sensitive::Plain)))
}

/// The rule about where content comes from.
const ONE_OF: &str = "exactly one of `content`, `template` and `source` is needed, or `absent: true`";

impl Step for File {
    const KIND: &'static str = "file";
    const EXAMPLE: &'static str = r#"steps:
  - file:
      path: /etc/sudoers.d/deploy
      content: "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart app.service\n"
      mode: "0440"
      validate: [visudo, --check, --file, "%s"]
"#;
    type Change = FileChange;

    fn permissions(&self) -> Vec<Permission> {
        self.source.as_deref().and_then(|text| Origin::of(text).ok()?.permission()).into_iter().collect()
    }

    fn touches(&self) -> Touches {
        let mut touches = Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref());
        if let Some(group) = &self.group {
            touches = touches.read(Thing::Group(group.clone()));
        }
        if self.validate.is_empty() { touches } else { touches.read(Thing::Programs) }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let sources = [self.content.is_some(), self.template.is_some(), self.source.is_some(), self.absent];
        if sources.into_iter().filter(|given| *given).count() != 1 {
            problems.push(ONE_OF.to_owned());
        }
        if let Some(Err(why)) = self.origin() {
            problems.push(why);
        }
        if self.sha256.is_some() && self.source.is_none() {
            problems.push("`sha256` belongs to `source`".into());
        }
        if !self.validate.is_empty() && !self.validate.iter().skip(1).any(|word| word.contains("%s")) {
            problems.push("an argument of `validate` must contain `%s`, the name of the file to judge".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<FileChange>> {
        let path = self.path.as_path().to_owned();
        let mut finding = Finding::done();
        if self.absent {
            match facts.look(&path)?.map(|there| there.kind) {
                None => {}
                Some(FileKind::Directory) => {
                    return Err(
                        Error::new(Kind::Failed, format!("`{}` is a directory", self.path)).hint("use the step `directory`")
                    );
                }
                Some(_) => finding.change(FileChange::Remove(path)),
            }
            return Ok(finding.with_fingerprint(&[b"absent"]));
        }
        match self.wish(facts)? {
            Wish::Held(wish) => {
                facts.compare_into(&wish, &mut finding)?;
                if finding.changes.iter().any(|planned| matches!(planned.change, FileChange::Write(Difference::Create { .. }))) {
                    facts.require_directory_for(&path)?;
                }
                finding.fingerprint = Some(wish.fingerprint());
            }
            Wish::Fetched(wish) => {
                finding.fingerprint = wish.fingerprint();
                match facts.compare_fetched(&wish)? {
                    None => {}
                    Some(Lacking::Attributes { from, to }) => finding.change(Difference::Attributes { path, from, to }.into()),
                    Some(Lacking::Content) => {
                        facts.require_directory_for(&path)?;
                        finding.change(FileChange::Fetch { path, from: wish.origin });
                    }
                }
            }
            Wish::Unknown(why) => finding.unknown = Some(why),
        }
        Ok(finding)
    }

    fn apply(&self, change: &FileChange, host: &Host) -> Result<()> {
        if let FileChange::Remove(path) = change {
            return host.remove(path);
        }
        match (self.wish(host)?, change) {
            (Wish::Held(wish), _) => host.write_validated(&wish, &self.validate),
            (Wish::Fetched(wish), FileChange::Fetch { .. }) => host.write_fetched(&wish, &self.validate),
            (Wish::Fetched(wish), _) => host.set_attributes_of_fetched(&wish, &self.validate),
            (Wish::Unknown(why), _) => Err(Error::new(Kind::Failed, why)),
        }
    }
}

#[cfg(test)]
mod tests;
