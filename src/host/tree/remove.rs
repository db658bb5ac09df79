//! Removing, by descriptor: a directory swapped for a link meanwhile is not entered, nor is another file system.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::SFlag;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Stop;
use super::change::sync;
use super::list::names;
use super::walk::{entry_at, parent_for_change, parent_for_look};
use crate::error::{Error, Kind, Result};

/// Deeper trees are somebody's joke.
const DEEPEST: usize = 200;

/// Removes what stands there, with all that is in it. Nothing there is fine.
pub fn remove(path: &Path) -> Result<(), Stop> {
    if parent_for_look(path)?.is_none() {
        return Ok(());
    }
    let place = parent_for_change(path)?;
    if place.name == "." {
        return Err(Error::new(Kind::Denied, "`/` is not removed").into());
    }
    remove_entry(&place.directory, &place.name, None, 0)?;
    sync(&place.directory);
    Ok(())
}

/// The same in a directory that is held: what is on `file_system`, or on whichever it is on itself.
pub fn remove_entry(directory: &OwnedFd, name: &OsStr, file_system: Option<u64>, depth: usize) -> Result<()> {
    let Some(entry) = entry_at(directory, name)? else { return Ok(()) };
    let below = file_system.unwrap_or(entry.stat.st_dev);
    if entry.stat.st_dev != below {
        return Err(Error::new(Kind::Denied, format!("another file system is mounted at `{}` in it", name.to_string_lossy()))
            .hint("unmount it first"));
    }
    if entry.kind() != SFlag::S_IFDIR {
        return gone(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir));
    }
    if depth >= DEEPEST {
        return Err(Error::new(Kind::Failed, format!("it is more than {DEEPEST} directories deep")));
    }
    for inner in names(&entry.handle)? {
        remove_entry(&entry.handle, &inner, Some(below), depth + 1)?;
    }
    gone(unlinkat(directory, name, UnlinkatFlags::RemoveDir))
}

fn gone(answer: nix::Result<()>) -> Result<()> {
    match answer {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
