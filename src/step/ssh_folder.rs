//! A user's `~/.ssh`, as every step that writes into it wants it: the user's own, and closed to all others.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::error::{Error, Kind, Result};
use crate::host::compare::FileChange;
use crate::host::files::FileKind;
use crate::host::write::Attributes;
use crate::host::{Facts, Host};

/// What has to be done to a file in `~/.ssh`.
#[derive(Debug, PartialEq, Eq)]
pub enum SshChange {
    /// Make or close `~/.ssh`.
    Folder(PathBuf),
    /// Write a file.
    File(FileChange),
}

impl From<FileChange> for SshChange {
    fn from(change: FileChange) -> Self {
        Self::File(change)
    }
}

impl fmt::Display for SshChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "make {} the user's own (0700)", path.display()),
            Self::File(change) => change.fmt(f),
        }
    }
}

/// Where it is.
///
/// # Errors
/// `Missing` when there is no such user.
pub fn path(facts: &Facts, user: &str) -> Result<PathBuf> {
    let found = facts.user(user)?.ok_or_else(|| {
        Error::new(Kind::Missing, format!("there is no user `{user}`")).hint("make it with a `user` step before this one")
    })?;
    Ok(found.home.join(".ssh"))
}

/// Whether it has to be made or closed; then that is added to the finding.
///
/// # Errors
/// When something else is in its place, or cannot be looked at.
pub fn check(facts: &Facts, user: &str, finding: &mut Finding<SshChange>) -> Result<()> {
    let folder = path(facts, user)?;
    let closed = match facts.look(&folder)? {
        None => false,
        Some(there) if there.kind == FileKind::Directory => {
            facts.compare_attributes_of(&folder, &there, &attributes(user))?.is_none()
        }
        Some(_) => return Err(Error::new(Kind::Failed, format!("`{}` is there and no directory", folder.display()))),
    };
    if !closed {
        finding.change(SshChange::Folder(folder));
    }
    Ok(())
}

/// Makes or closes it.
///
/// # Errors
/// When it cannot be written.
pub fn close(host: &Host, folder: &Path, user: &str) -> Result<()> {
    host.make_directory(folder, &attributes(user))
}

fn attributes(user: &str) -> Attributes {
    Attributes { owner: Some(user.to_owned()), group: None, mode: Some(0o700) }
}
