//! The difference between a file and how it shall be: what every step that keeps a whole file asks first and does then.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Facts;
use super::files::{FileFacts, FileKind, NewFile};
use super::tree::Ids;
use super::write::Attributes;
use crate::error::{Error, Kind, Result};
use crate::step::{Diff, Finding, Fingerprint};

/// Larger texts are compared, but nobody reads their diff.
pub const LONGEST_SHOWN: u64 = 1024 * 1024;
/// The bit that lets everybody read.
const ALL_MAY_READ: u32 = 0o004;

/// What has to be done to a file. Printing it is a line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// There is none yet.
    Create {
        /// Where.
        path: PathBuf,
        /// What it will be: lines, owner, mode.
        detail: String,
    },
    /// It holds something else.
    Update {
        /// Where.
        path: PathBuf,
        /// What it will be.
        detail: String,
    },
    /// A link stands there.
    ReplaceLink {
        /// Where.
        path: PathBuf,
        /// Where it leads now.
        target: PathBuf,
        /// What the file will be.
        detail: String,
    },
    /// It holds the right thing, but owner, group or mode are wrong.
    Attributes {
        /// Where.
        path: PathBuf,
        /// Owner, group and mode now.
        from: String,
        /// Owner, group and mode to be.
        to: String,
    },
}

impl FileChange {
    /// Which file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Create { path, .. }
            | Self::Update { path, .. }
            | Self::ReplaceLink { path, .. }
            | Self::Attributes { path, .. } => path,
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { path, detail } => write!(f, "create {} ({detail})", path.display()),
            Self::Update { path, detail } => write!(f, "update {} ({detail})", path.display()),
            Self::ReplaceLink { path, target, detail } => {
                write!(f, "replace the link {} -> {} by a file ({detail})", path.display(), target.display())
            }
            Self::Attributes { path, from, to } => write!(f, "change {} from {from} to {to}", path.display()),
        }
    }
}

/// A change to a file and the difference in what it holds.
pub struct FileDifference {
    /// What has to be done.
    pub change: FileChange,
    /// What that does to the content; `None` when it stays.
    pub diff: Option<Diff>,
}

impl NewFile {
    /// Of what matters to whoever depends on the file.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let owner = self.owner.as_deref().unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        let path = self.path.as_os_str().as_encoded_bytes();
        Fingerprint::of(&[path, self.content.expose(), owner.as_bytes(), group.as_bytes(), &self.mode.to_le_bytes()])
    }
}

impl Facts {
    /// What has to be done so that the file is as it shall be; `None` when it is.
    ///
    /// # Errors
    /// When it cannot be read; when a directory stands there; when the owner it shall have does not exist or cannot have a file
    /// there.
    pub fn compare(&self, wish: &NewFile) -> Result<Option<FileDifference>> {
        let ids = self.ids_of_file(&wish.path, wish.owner.as_deref(), wish.group.as_deref(), wish.mode)?;
        let there = self.look(&wish.path)?;
        let path = wish.path.clone();
        let detail = self.describe(wish, ids)?;
        let size = wish.content.size();
        let Some(there) = there else {
            let diff = diff_of(wish, None, None);
            return Ok(Some(FileDifference { change: FileChange::Create { path, detail }, diff: Some(diff) }));
        };
        match &there.kind {
            FileKind::File(now) => {
                let same_size = u64::try_from(size).is_ok_and(|size| size == *now);
                // What nobody will be shown and cannot be the same need not be read.
                let before = if same_size || *now <= LONGEST_SHOWN { self.read(&path)? } else { None };
                let before = before.map(zeroize::Zeroizing::new);
                if same_size && before.as_ref().is_some_and(|before| before.as_slice() == wish.content.expose()) {
                    return self.compare_attributes(wish, &there, ids);
                }
                let diff = match &before {
                    Some(before) => diff_of(wish, Some(before.as_slice()), Some(there.mode)),
                    None => {
                        Diff::Private { path: path.display().to_string(), before: usize::try_from(*now).ok(), after: Some(size) }
                    }
                };
                Ok(Some(FileDifference { change: FileChange::Update { path, detail }, diff: Some(diff) }))
            }
            FileKind::Link(target) => {
                let change = FileChange::ReplaceLink { path, target: target.clone(), detail };
                Ok(Some(FileDifference { change, diff: Some(diff_of(wish, None, None)) }))
            }
            FileKind::Directory | FileKind::Other => Err(in_the_way(&path)),
        }
    }

    /// Whose the file at this path shall be, and how open: unless told otherwise it is its writer's.
    ///
    /// # Errors
    /// `Missing` where there is no such user or group; `Denied` where that owner cannot have a file there.
    pub(in crate::host) fn ids_of_file(&self, path: &Path, owner: Option<&str>, group: Option<&str>, mode: u32) -> Result<Ids> {
        let mut ids = self.ids(owner, group, Some(mode))?;
        match self.holder(path)? {
            Some(holder) => {
                self.check_owner(path, holder, ids.uid)?;
                ids.uid = Some(holder);
            }
            None => ids.uid = ids.uid.or_else(|| Some(nix::unistd::geteuid().as_raw())),
        }
        Ok(ids)
    }

    /// Writes the difference into a step's finding.
    ///
    /// # Errors
    /// As [`Facts::compare`].
    pub fn compare_into<C: From<FileChange>>(&self, wish: &NewFile, finding: &mut Finding<C>) -> Result<()> {
        if let Some(FileDifference { change, diff }) = self.compare(wish)? {
            match diff {
                Some(diff) => finding.change_with_diff(change.into(), diff),
                None => finding.change(change.into()),
            }
        }
        Ok(())
    }

    fn compare_attributes(&self, wish: &NewFile, there: &FileFacts, ids: Ids) -> Result<Option<FileDifference>> {
        let change = self.differing(there, ids)?.map(|(from, to)| FileChange::Attributes { path: wish.path.clone(), from, to });
        Ok(change.map(|change| FileDifference { change, diff: None }))
    }

    /// Owner, group and mode now and to be, where they differ; what is not wished for stays as it is.
    ///
    /// # Errors
    /// `Missing` where there is no such user or group; `Denied` where that owner cannot have anything there.
    pub fn compare_attributes_of(&self, path: &Path, there: &FileFacts, wish: &Attributes) -> Result<Option<(String, String)>> {
        let ids = self.wished(path, wish)?;
        self.differing(there, ids)
    }

    /// What something new at this path will be: `ubuntu:ubuntu 0755`.
    ///
    /// # Errors
    /// As [`Facts::compare_attributes_of`].
    pub fn describe_new(&self, path: &Path, wish: &Attributes) -> Result<String> {
        let ids = self.wished(path, wish)?;
        let uid = match ids.uid {
            Some(uid) => uid,
            None => self.holder(path)?.unwrap_or_else(|| nix::unistd::geteuid().as_raw()),
        };
        let gid = match ids.gid {
            Some(gid) => Some(gid),
            None => self.user_by_id(uid)?.map(|account| account.gid),
        };
        self.attributes_text(Some(uid), gid, ids.mode.unwrap_or(0o777))
    }

    fn wished(&self, path: &Path, wish: &Attributes) -> Result<Ids> {
        let ids = self.ids(wish.owner.as_deref(), wish.group.as_deref(), wish.mode)?;
        if let (Some(_), Some(holder)) = (ids.uid, self.holder(path)?) {
            self.check_owner(path, holder, ids.uid)?;
        }
        Ok(ids)
    }

    /// The same, once the numbers are known.
    ///
    /// # Errors
    /// When the account databases cannot be read.
    pub(in crate::host) fn differing(&self, there: &FileFacts, ids: Ids) -> Result<Option<(String, String)>> {
        let to = (ids.uid.unwrap_or(there.uid), ids.gid.unwrap_or(there.gid), ids.mode.unwrap_or(there.mode));
        if to == (there.uid, there.gid, there.mode) {
            return Ok(None);
        }
        let from = self.attributes_text(Some(there.uid), Some(there.gid), there.mode)?;
        Ok(Some((from, self.attributes_text(Some(to.0), Some(to.1), to.2)?)))
    }

    /// `12 lines, root:root 0644`.
    fn describe(&self, wish: &NewFile, ids: Ids) -> Result<String> {
        let amount = match std::str::from_utf8(wish.content.expose()) {
            Ok(text) if !wish.content.is_secret() => counted(text.lines().count(), "line"),
            _ => counted(wish.content.size(), "byte"),
        };
        let gid = match (ids.gid, ids.uid) {
            (None, Some(uid)) => self.user_by_id(uid)?.map(|account| account.gid),
            (gid, _) => gid,
        };
        Ok(format!("{amount}, {}", self.attributes_text(ids.uid, gid, wish.mode)?))
    }

    /// `root:root 0644`; what is not known is left out.
    ///
    /// # Errors
    /// When the account databases cannot be read.
    pub fn attributes_text(&self, uid: Option<u32>, gid: Option<u32>, mode: u32) -> Result<String> {
        let user = match uid {
            Some(uid) => self.user_by_id(uid)?.map_or_else(|| uid.to_string(), |account| account.name),
            None => String::new(),
        };
        let group = match gid {
            Some(gid) => self.group_by_id(gid)?.map_or_else(|| gid.to_string(), |group| group.name),
            None => String::new(),
        };
        Ok(if user.is_empty() && group.is_empty() { format!("{mode:04o}") } else { format!("{user}:{group} {mode:04o}") })
    }
}

/// What a change does to the content: shown only where everybody may read both the old and the new.
fn diff_of(wish: &NewFile, before: Option<&[u8]>, mode_before: Option<u32>) -> Diff {
    let path = wish.path.display().to_string();
    let readable = wish.mode & ALL_MAY_READ != 0 && mode_before.is_none_or(|mode| mode & ALL_MAY_READ != 0);
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LONGEST_SHOWN && !text.contains('\0'))?;
        Some(text.to_owned())
    };
    let both = (before.map(text), text(wish.content.expose()));
    match both {
        (None, Some(after)) if readable && !wish.content.is_secret() => Diff::Text { path, before: None, after: Some(after) },
        (Some(Some(before)), Some(after)) if readable && !wish.content.is_secret() => {
            Diff::Text { path, before: Some(before), after: Some(after) }
        }
        _ => Diff::Private { path, before: before.map(<[u8]>::len), after: Some(wish.content.size()) },
    }
}

/// The error for what cannot be replaced by a file.
pub(in crate::host) fn in_the_way(path: &Path) -> Error {
    Error::new(Kind::Failed, format!("`{}` is there and no ordinary file", path.display()))
        .hint("remove it first, if nothing needs it any more")
}

fn counted(amount: usize, what: &str) -> String {
    format!("{amount} {what}{}", if amount == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;
    use crate::secret::{Secret, Sensitive};

    fn wish(machine: &Machine, content: &str) -> NewFile {
        NewFile { path: machine.path("conf"), content: content.into(), owner: None, group: None, mode: 0o644 }
    }

    #[test]
    fn a_file_is_compared_by_content_then_by_attributes() {
        let machine = Machine::new();
        let mut wish = wish(&machine, "one\ntwo\n");
        let found = machine.facts().compare(&wish).unwrap().unwrap();
        assert!(found.change.to_string().contains("conf (2 lines, "), "{}", found.change);
        assert!(found.change.to_string().ends_with(" 0644)"));
        machine.host().write_file(&wish).unwrap();
        assert!(machine.facts().compare(&wish).unwrap().is_none());
        wish.content = "one\n2\n".into();
        let found = machine.facts().compare(&wish).unwrap().unwrap();
        assert!(matches!(&found.diff, Some(Diff::Text { before: Some(before), .. }) if before == "one\ntwo\n"));
        machine.host().write_file(&wish).unwrap();
        wish.mode = 0o600;
        let found = machine.facts().compare(&wish).unwrap().unwrap();
        assert!(found.change.to_string().contains(" 0644 to "), "{}", found.change);
        assert!(found.diff.is_none());
        machine.host().write_file(&wish).unwrap();
        assert!(machine.facts().compare(&wish).unwrap().is_none());
    }

    #[test]
    fn what_not_everybody_may_read_is_shown_by_size_only() {
        let machine = Machine::new();
        let private = |wish: &NewFile| {
            let diff = machine.facts().compare(wish).unwrap().unwrap().diff.unwrap();
            matches!(diff, Diff::Private { after: Some(8), .. })
        };
        let mut secret = wish(&machine, "");
        secret.content = Sensitive::Secret(Secret::new("12345678"));
        assert!(private(&secret));
        let mut closed = wish(&machine, "12345678");
        assert!(!private(&closed));
        closed.mode = 0o640;
        assert!(private(&closed));
        // The old content was closed, the new one is open: the diff would show the old.
        machine.host().write_file(&NewFile { content: "old and closed".into(), ..closed.clone() }).unwrap();
        closed.mode = 0o644;
        assert!(private(&closed));
    }

    #[test]
    fn links_are_replaced_and_directories_are_not() {
        let machine = Machine::new();
        std::os::unix::fs::symlink("elsewhere", machine.path("conf")).unwrap();
        let wish = wish(&machine, "x");
        let found = machine.facts().compare(&wish).unwrap().unwrap();
        assert!(found.change.to_string().contains("-> elsewhere by a file"), "{}", found.change);
        machine.host().write_file(&wish).unwrap();
        assert_eq!(machine.content("conf"), "x");
        std::fs::remove_file(machine.path("conf")).unwrap();
        std::fs::create_dir(machine.path("conf")).unwrap();
        assert!(machine.facts().compare(&wish).is_err());
    }
}
