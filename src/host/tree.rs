//! Work in the file system by descriptor, component by component, so that nobody who can swap a name meanwhile can lead us
//! elsewhere. What is done is an [`Errand`], so that a helper can do it as the user whose tree it is; see `as_user`.

mod change;
mod list;
mod look;
mod new_folder;
mod stamp;
mod remove;
mod walk;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::new_folder::NewFolder;
pub use self::stamp::{Digested, Stamp};
pub(super) use self::walk::no_directory_for;
use super::files::FileFacts;
use crate::error::{Error, Result};

/// Owner, group and permission bits by number; what is `None` stays as it is, or is the doer's own where nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// One piece of work in the file system.
#[derive(Debug, Serialize, Deserialize)]
pub enum Errand {
    /// What stands there.
    Look { path: PathBuf },
    /// Which directory this path stands for, links followed.
    Resolve { path: PathBuf },
    /// What the file holds.
    Read { path: PathBuf },
    /// The digest of what the file holds, unless it still looks as it did when that was last found out.
    Digest { path: PathBuf, known: Option<Stamp> },
    /// Who owns the directories on the way: whoever could swap names there.
    Holder { path: PathBuf },
    /// A file with all its content, under its temporary name; the answer is that name.
    Stage { path: PathBuf, content: Base64, ids: Ids },
    /// The staged file gets its real name.
    Commit { path: PathBuf, staged: PathBuf },
    /// The staged file is given up.
    Discard { staged: PathBuf },
    /// A directory, and those above it.
    MakeDirectory { path: PathBuf, ids: Ids },
    /// Another name in the same directory.
    Rename { from: PathBuf, to: PathBuf },
    /// A symbolic link.
    MakeLink { path: PathBuf, target: PathBuf, ids: Ids },
    /// Owner, group and mode of what is there.
    SetAttributes { path: PathBuf, ids: Ids },
    /// Gone, with all that is in it.
    Remove { path: PathBuf },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Nothing more to say.
    Done,
    /// What stands there.
    Looked(Option<FileFacts>),
    /// The directory that the path stands for.
    Resolved(Option<PathBuf>),
    /// What the file holds.
    Content(Option<Base64>),
    /// The digest of what it holds.
    Digested(Option<Digested>),
    /// The name under which the file was staged.
    Staged(PathBuf),
}

/// Why it did not come to an answer.
#[derive(Debug)]
pub enum Stop {
    /// This user can change names on the way: the work is theirs to do, not root's.
    Foreign(u32),
    /// It failed.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Does it, as whoever we are.
pub fn perform(errand: &Errand) -> Result<Reply, Stop> {
    let doing = |what: &str, path: &PathBuf| {
        let text = format!("{what} `{}`", path.display());
        move |stop| match stop {
            Stop::Failed(error) => Stop::Failed(error.doing(text)),
            foreign @ Stop::Foreign(_) => foreign,
        }
    };
    match errand {
        Errand::Look { path } => look::look(path).map(Reply::Looked).map_err(doing("looking at", path)),
        Errand::Resolve { path } => list::resolve(path).map(Reply::Resolved).map_err(doing("looking at", path)),
        Errand::Read { path } => look::read(path).map(|bytes| Reply::Content(bytes.map(Base64))).map_err(doing("reading", path)),
        Errand::Digest { path, known } => {
            stamp::digest(path, known.as_ref()).map(Reply::Digested).map_err(doing("reading", path))
        }
        Errand::Holder { path } => walk::parent_for_change(path).map(|_| Reply::Done).map_err(doing("looking at", path)),
        Errand::Stage { path, content, ids } => {
            let write = |file: &mut File| Ok(file.write_all(&content.0)?);
            change::stage(path, *ids, write).map(|(staged, ())| Reply::Staged(staged)).map_err(doing("writing", path))
        }
        Errand::Commit { path, staged } => change::commit(path, staged).map(|()| Reply::Done).map_err(doing("writing", path)),
        Errand::Discard { staged } => change::discard(staged).map(|()| Reply::Done).map_err(doing("removing", staged)),
        Errand::MakeDirectory { path, ids } => {
            change::make_directory(path, *ids).map(|()| Reply::Done).map_err(doing("making the directory", path))
        }
        Errand::Rename { from, to } => change::rename(from, to).map(|()| Reply::Done).map_err(doing("renaming to", to)),
        Errand::MakeLink { path, target, ids } => {
            change::make_link(path, target, *ids).map(|()| Reply::Done).map_err(doing("making the link", path))
        }
        Errand::SetAttributes { path, ids } => {
            change::set_attributes(path, *ids).map(|()| Reply::Done).map_err(doing("setting owner and mode of", path))
        }
        Errand::Remove { path } => remove::remove(path).map(|()| Reply::Done).map_err(doing("removing", path)),
    }
}

/// A file whose bytes `write` brings, under its temporary name; with that name comes what `write` says. In a foreign tree `write`
/// is not called.
pub fn stage_with<T>(path: &Path, ids: Ids, write: impl FnOnce(&mut File) -> Result<T>) -> Result<(PathBuf, T), Stop> {
    change::stage(path, ids, write).map_err(|stop| match stop {
        Stop::Failed(error) => Stop::Failed(error.doing(format!("writing `{}`", path.display()))),
        foreign @ Stop::Foreign(_) => foreign,
    })
}

/// Whether a run that was cut short has left something under a temporary name of this path.
pub fn has_leftovers(path: &Path) -> Result<bool> {
    new_folder::has_leftovers(path)
}

/// Everything below the directory at this path; `None` where there is nothing. No link on the way may be another user's.
pub fn list(path: &Path) -> Result<Option<Vec<(PathBuf, FileFacts)>>, Stop> {
    list::list(path)
}

/// The ordinary file at this path, open for reading; links are followed where that is safe.
pub fn open(path: &Path) -> Result<Option<File>, Stop> {
    Ok(look::find_file(path)?.map(|entry| entry.open()).transpose()?)
}

/// Bytes that cross a pipe inside JSON. Wiped when dropped, since they may be a secret.
pub struct Base64(pub zeroize::Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        let text = zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(self.0.as_slice()));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str()).map_err(serde::de::Error::custom)?;
        Ok(Self(zeroize::Zeroizing::new(bytes)))
    }
}

#[cfg(test)]
mod tests;
