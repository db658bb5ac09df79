//! Looking at files: never through a foreign symbolic link, never more than a bounded size.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Facts;
use super::as_user::Errand;
use super::tree::{self, Reply, Stop};
use crate::error::{Error, Kind, Result};
use crate::secret::Sensitive;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// An ordinary file of this many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Link(PathBuf),
    /// A device, a socket, a pipe.
    Other,
}

/// One entry of the file system, itself and not what it links to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner's id.
    pub uid: u32,
    /// Group's id.
    pub gid: u32,
}

/// A file as it shall be.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// What it holds.
    pub content: Sensitive,
    /// Who owns it; unless told, whoever owns the tree it is in: root or a user, and ourselves where we are not root.
    pub owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    pub group: Option<String>,
    /// Its permission bits, right from the first byte.
    pub mode: u32,
}

impl Facts {
    /// What stands at this path; `None` where there is nothing.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn look(&self, path: &Path) -> Result<Option<FileFacts>> {
        match self.look_there(tree::Errand::Look { path: path.to_owned() })? {
            Reply::Looked(found) => Ok(found),
            _ => Err(mixed_up()),
        }
    }

    /// Says so when something new at this path would have no directory to be in, before anybody tries to write it.
    ///
    /// # Errors
    /// `Missing`; as [`Facts::look`].
    pub fn require_directory_for(&self, path: &Path) -> Result<()> {
        match path.parent().filter(|parent| *parent != Path::new("/")) {
            Some(parent) if self.look(parent)?.is_none() => Err(tree::no_directory_for(path)),
            _ => Ok(()),
        }
    }

    /// The content of the file at this path; `None` where there is none.
    ///
    /// # Errors
    /// `Denied` where we may not read; `Failed` if it is no ordinary file or larger than 8 MiB.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.look_there(tree::Errand::Read { path: path.to_owned() })? {
            Reply::Content(found) => Ok(found.map(|mut bytes| std::mem::take(&mut *bytes.0))),
            _ => Err(mixed_up()),
        }
    }

    /// The file at this path, open for reading, for what is too large to be held in memory; `None` where there is none.
    ///
    /// # Errors
    /// `Denied` where we may not read it, or only the user whose tree it is in could do so safely.
    pub(in crate::host) fn open(path: &Path) -> Result<Option<File>> {
        tree::open(path).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Foreign(_) => Error::new(Kind::Denied, format!("`{}` is reached by a link of another user", path.display()))
                .hint("name the place it leads to"),
        })
    }

    /// The user in whose tree this path is: whoever owns the first directory on the way that is not root's. `None` where root
    /// does the work itself, and where we are not root and do all as ourselves.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn holder(&self, path: &Path) -> Result<Option<u32>> {
        match tree::perform(&tree::Errand::Holder { path: path.to_owned() }) {
            Ok(_) => Ok(None),
            Err(Stop::Foreign(user)) => Ok(Some(user)),
            // A way that is not there yet will be root's.
            Err(Stop::Failed(error)) if error.kind() == Kind::Missing => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Looks as ourselves; where root cannot safely, as the user whose tree it is.
    pub(in crate::host) fn look_there(&self, errand: tree::Errand) -> Result<Reply> {
        match tree::perform(&errand) {
            Ok(reply) => Ok(reply),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Foreign(user)) => self.errand(&self.name_of(user)?, &Errand::Files(errand)),
        }
    }

    /// The name of the user with this id, to become them.
    pub(in crate::host) fn name_of(&self, uid: u32) -> Result<String> {
        let account = self.user_by_id(uid)?.ok_or_else(|| {
            Error::new(Kind::Missing, format!("a directory on the way belongs to user {uid}, who has no account"))
                .hint("give the directory to a user of this machine")
        })?;
        Ok(account.name)
    }
}

/// The answer belongs to another question.
pub(in crate::host) fn mixed_up() -> Error {
    Error::new(Kind::Bug, "an errand was answered with another one's answer")
}
