//! What lies beside a playbook: the files that its steps and the command line may name by a relative path.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use crate::error::{Context as _, Error, Kind, Result};

/// What lies beside a playbook.
#[derive(Debug, Clone)]
pub enum Beside {
    /// The other files of its folder.
    Folder(PathBuf),
    /// The other files of the archive it came in.
    Archive(Arc<Archive>),
    /// Nothing: it came alone, and one digest is recorded for all of it.
    Nothing,
}

impl Beside {
    /// How errors name a file there.
    #[must_use]
    pub fn name_of(&self, path: &Path) -> String {
        match self {
            Self::Folder(folder) => folder.join(path).display().to_string(),
            Self::Archive(archive) => archive.name_of(path),
            Self::Nothing => path.display().to_string(),
        }
    }

    /// What a file there holds, when that is at most `limit` bytes.
    ///
    /// # Errors
    /// As [`super::read`]; `Missing` where nothing lies beside the playbook.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>> {
        match self {
            Self::Folder(folder) => super::read(&folder.join(path), limit),
            Self::Archive(archive) => {
                let found = archive.file(path).ok_or_else(|| Error::new(Kind::Missing, "there is no such file in the archive"));
                let found = found.and_then(|bytes| {
                    let fits = (bytes.len() <= limit).then(|| bytes.to_vec());
                    fits.ok_or_else(|| Error::new(Kind::Failed, format!("it is larger than {limit} bytes")))
                });
                found.doing(|| format!("reading `{}`", archive.name_of(path)))
            }
            Self::Nothing => Err(nothing(path)),
        }
    }

    /// The bytes of a file in the playbook's archive; `None` where it came in none.
    ///
    /// # Errors
    /// `Missing` where there is no such file in it, or nothing lies beside the playbook.
    pub fn in_archive(&self, path: &Path) -> Result<Option<&[u8]>> {
        match self {
            Self::Folder(_) => Ok(None),
            Self::Archive(archive) => match archive.file(path) {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Error::new(Kind::Missing, format!("there is no file `{}`", archive.name_of(path)))),
            },
            Self::Nothing => Err(nothing(path)),
        }
    }

    /// Says so when there is no file of this name.
    ///
    /// # Errors
    /// `Missing`.
    pub fn require(&self, path: &Path) -> Result<()> {
        let there = match self {
            Self::Folder(folder) => super::is_file(&folder.join(path)),
            Self::Archive(archive) => archive.file(path).is_some(),
            Self::Nothing => return Err(nothing(path)),
        };
        if there { Ok(()) } else { Err(Error::new(Kind::Missing, format!("there is no file `{}`", self.name_of(path)))) }
    }

    /// Whether the playbook's archive has a file of this name.
    #[must_use]
    pub fn is_in_archive(&self, path: &Path) -> bool {
        matches!(self, Self::Archive(_)) && self.has(path)
    }

    /// Whether there is a file of this name.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.require(path).is_ok()
    }
}

fn nothing(path: &Path) -> Error {
    let error = Error::new(Kind::Missing, format!("`{}` lies beside no playbook: this one came alone", path.display()));
    error.hint("pack the playbook and its files into one `.tar.gz`, and give the location of that")
}
