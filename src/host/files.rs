//! Looking at files: never through a foreign symbolic link, never more than a bounded size.

use std::path::{Path, PathBuf};

use super::Facts;
use crate::error::Result;
use crate::secret::Sensitive;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Who owns it; root, or whoever we are, unless told.
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
        let _ = path;
        todo!()
    }

    /// The content of the file at this path; `None` where there is none.
    ///
    /// # Errors
    /// `Denied` where we may not read; `Failed` if it is no ordinary file or larger than 64 MiB.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let _ = path;
        todo!()
    }
}
