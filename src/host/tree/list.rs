//! All that is in a directory, by descriptor: no link in it is followed, no other file system entered.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag};

use super::Stop;
use super::look::facts;
use super::walk::{entry_at, followed, parent_for_look};
use crate::error::{Error, Kind, Result};
use crate::host::files::FileFacts;

/// More than this is no folder of one application.
const MOST: usize = 200_000;
/// Deeper trees are somebody's joke.
const DEEPEST: usize = 200;

/// The directory itself, where this path stands for one: links that may be followed are; `None` where there is nothing.
pub fn resolve(path: &Path) -> Result<Option<PathBuf>, Stop> {
    let mut path = path.to_owned();
    for links in 1.. {
        let Some(place) = parent_for_look(&path)? else { return Ok(None) };
        let Some(entry) = place.entry()? else { return Ok(None) };
        match entry.kind() {
            SFlag::S_IFDIR => return Ok(Some(place.full_path())),
            SFlag::S_IFLNK => {
                let target = followed(&place, &entry, links)?;
                let directory = place.full_path();
                path = directory.parent().unwrap_or(Path::new("/")).join(target);
            }
            _ => return Err(Error::new(Kind::Failed, "it is no directory").into()),
        }
    }
    Ok(None)
}

/// Everything below the directory at this path, by its path from there, sorted; `None` where there is nothing.
pub fn list(path: &Path) -> Result<Option<Vec<(PathBuf, FileFacts)>>, Stop> {
    let Some(place) = parent_for_look(path)? else { return Ok(None) };
    let Some(entry) = place.entry()? else { return Ok(None) };
    if entry.kind() != SFlag::S_IFDIR {
        return Err(Error::new(Kind::Failed, "it is no directory").into());
    }
    let mut found = Vec::new();
    below(&entry.handle, entry.stat.st_dev, Path::new(""), 0, &mut found)?;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Some(found))
}

/// What this directory holds.
pub fn names(directory: &OwnedFd) -> Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut listing = Dir::openat(directory, ".", flags, Mode::empty())?;
    let names: Vec<OsString> = listing
        .iter()
        .map(|entry| Ok(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned()))
        .collect::<Result<_, Errno>>()?;
    Ok(names.into_iter().filter(|name| name != "." && name != "..").collect())
}

fn below(directory: &OwnedFd, file_system: u64, path: &Path, depth: usize, found: &mut Vec<(PathBuf, FileFacts)>) -> Result<()> {
    if depth >= DEEPEST {
        return Err(Error::new(Kind::Failed, format!("it is more than {DEEPEST} directories deep")));
    }
    for name in names(directory)? {
        // What vanished meanwhile was not there.
        let Some(entry) = entry_at(directory, &name)? else { continue };
        let inner = path.join(&name);
        if found.len() >= MOST {
            return Err(Error::new(Kind::Failed, format!("there are more than {MOST} files and directories in it")));
        }
        found.push((inner.clone(), facts(&entry)?));
        if entry.kind() == SFlag::S_IFDIR && entry.stat.st_dev == file_system {
            below(&entry.handle, file_system, &inner, depth + 1, found)?;
        }
    }
    Ok(())
}
