//! A file with all that it holds.

mod source;

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use self::source::Source;
use crate::error::{Error, Kind, Result};
use crate::host::compare::FileChange as Difference;
use crate::host::files::{FileKind, NewFile};
use crate::host::{Answer, Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::{AbsolutePath, Mode};
use crate::step::{Finding, Step, Thing, Touches};

/// A file with all that it holds: text from the playbook, a rendered template, or the bytes of another file.
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
        from: String,
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
            Self::Fetch { path, from } => write!(f, "fetch {} from {from}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
        }
    }
}

/// What the file shall hold, as far as that can be told.
enum Wish {
    File(NewFile),
    /// To be fetched when it is needed.
    Fetch(String),
    Unknown(String),
}

impl File {
    fn source(&self) -> Option<Result<Source, String>> {
        self.source.as_deref().map(|text| Source::of(text, self.sha256.as_deref()))
    }

    /// What the file shall hold. Fetching happens only where `fetch` says so or nothing else would tell.
    fn wish(&self, facts: &Facts, fetch: bool) -> Result<Wish> {
        let content = match (&self.content, &self.template, self.source()) {
            (Some(content), None, None) | (None, Some(content), None) => content.clone(),
            (None, None, Some(source)) => {
                let source = source.map_err(|why| Error::new(Kind::Playbook, why))?;
                // A digest tells whether what is there is right without fetching it.
                if let (Some(digest), false) = (source.digest(), fetch) {
                    let there = match facts.look(&self.path)?.map(|there| there.kind) {
                        Some(FileKind::File(_)) => facts.read(&self.path)?,
                        _ => None,
                    };
                    match there.filter(|bytes| source::digest_of(bytes) == digest) {
                        Some(bytes) => return Ok(Wish::File(self.new_file(source::public(bytes)))),
                        None if source.is_remote() => return Ok(Wish::Fetch(source.to_string())),
                        None => {}
                    }
                }
                match source.content(facts)? {
                    Answer::Known(content) => content,
                    Answer::Unknown(why) => return Ok(Wish::Unknown(why)),
                }
            }
            _ => return Err(Error::new(Kind::Playbook, ONE_OF)),
        };
        Ok(Wish::File(self.new_file(content)))
    }

    fn new_file(&self, content: Sensitive) -> NewFile {
        // Bytes from beside the playbook or from the web are nobody's secret, whatever they are carried in.
        let public = matches!(self.source(), Some(Ok(Source::Beside(..) | Source::Https(..))));
        let unless_told = if content.is_secret() && !public { 0o600 } else { 0o644 };
        NewFile {
            path: self.path.as_path().to_owned(),
            content,
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: self.mode.map_or(unless_told, |mode| mode.0),
        }
    }
}

/// The rule about where content comes from.
const ONE_OF: &str = "exactly one of `content`, `template` and `source` is needed, or `absent: true`";

impl Step for File {
    const KIND: &'static str = "file";
    type Change = FileChange;

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
        if let Some(Err(why)) = self.source() {
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
        match self.wish(facts, false)? {
            Wish::File(wish) => {
                facts.compare_into(&wish, &mut finding)?;
                finding.fingerprint = Some(wish.fingerprint());
            }
            Wish::Fetch(from) => finding.change(FileChange::Fetch { path, from }),
            Wish::Unknown(why) => finding.unknown = Some(why),
        }
        Ok(finding)
    }

    fn apply(&self, change: &FileChange, host: &Host) -> Result<()> {
        if let FileChange::Remove(path) = change {
            return host.remove(path);
        }
        match self.wish(host, matches!(change, FileChange::Fetch { .. }))? {
            Wish::File(wish) => host.write_validated(&wish, &self.validate),
            Wish::Fetch(_) => Err(Error::new(Kind::Bug, "the file changed between its check and its fetching")),
            Wish::Unknown(why) => Err(Error::new(Kind::Failed, why)),
        }
    }
}

#[cfg(test)]
mod tests;
