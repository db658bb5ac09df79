//! Changing what stands at a path: always a finished thing under a temporary name, then one rename.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, unlinkat};

use super::walk::{Place, entry_at, make_one, parent_for_change, parent_made, refused, set};
use super::{Ids, Stop};
use crate::error::{Error, Kind, Result};

/// Marks our temporary names, so that those of a killed run are known again.
const OURS: &str = ".bootstrap-agent.";
/// Longest name of a file on the file systems there are.
const LONGEST_NAME: usize = 255;

/// Has the file written by `write` under a temporary name beside its own: owner and mode right, content on the disk. Nothing of
/// it is left when that fails.
pub fn stage<T>(path: &Path, ids: Ids, write: impl FnOnce(&mut File) -> Result<T>) -> Result<(PathBuf, T), Stop> {
    let place = parent_for_change(path)?;
    if let Some(entry) = place.entry()?
        && entry.kind() == SFlag::S_IFDIR
    {
        return Err(Error::new(Kind::Failed, format!("`{}` is a directory", path.display())).into());
    }
    clear_leftovers(&place);
    let name = temporary_name(&place.name);
    match write_new(&place.directory, &name, ids, write) {
        Ok(written) => Ok((path.with_file_name(name), written)),
        Err(error) => {
            let _ = unlinkat(&place.directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
            Err(error.into())
        }
    }
}

fn write_new<T>(directory: &OwnedFd, name: &OsStr, ids: Ids, write: impl FnOnce(&mut File) -> Result<T>) -> Result<T> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::from_bits_truncate(0o600))?);
    let stat = fstat(&file)?;
    let uid = ids.uid.filter(|uid| *uid != stat.st_uid);
    let gid = ids.gid.filter(|gid| *gid != stat.st_gid);
    if uid.is_some() || gid.is_some() {
        fchown(&file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).map_err(|error| refused(error, uid, gid))?;
    }
    let written = write(&mut file)?;
    // After the content, since writing clears the set-user-id bit; until then nobody but the owner can read it.
    fchmod(&file, Mode::from_bits_truncate(ids.mode.unwrap_or(0o600)))?;
    file.sync_all()?;
    Ok(written)
}

/// Gives the staged file its real name.
pub fn commit(path: &Path, staged: &Path) -> Result<(), Stop> {
    let place = parent_for_change(path)?;
    let name = staged.file_name().filter(|name| is_ours(name, &place.name));
    let name = name.ok_or_else(|| Error::new(Kind::Bug, "what is to be renamed was not staged for this file"))?;
    if let Err(error) = renameat(&place.directory, name, &place.directory, place.name.as_os_str()) {
        let _ = unlinkat(&place.directory, name, UnlinkatFlags::NoRemoveDir);
        return Err(error.into());
    }
    sync(&place.directory);
    Ok(())
}

/// Removes the staged file.
pub fn discard(staged: &Path) -> Result<(), Stop> {
    let place = parent_for_change(staged)?;
    match unlinkat(&place.directory, place.name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the directory, and those above it; sets what is told on one that is there.
pub fn make_directory(path: &Path, ids: Ids) -> Result<(), Stop> {
    let place = parent_made(path)?;
    match place.entry()? {
        Some(entry) if entry.kind() == SFlag::S_IFDIR => set(&entry, ids)?,
        Some(_) => return Err(Error::new(Kind::Failed, "something else stands there").into()),
        None => make_whole_directory(&place, ids)?,
    }
    sync(&place.directory);
    Ok(())
}

/// Makes a directory that has its owner and mode from the moment it has its name: whoever is killed meanwhile leaves none, and not
/// one that the next run takes for somebody's wish.
fn make_whole_directory(place: &Place, ids: Ids) -> Result<()> {
    clear_leftovers(place);
    let name = temporary_name(&place.name);
    make_one(&place.directory, &name)?;
    let made = entry_at(&place.directory, &name)
        .and_then(|entry| {
            let entry = entry.filter(|entry| entry.kind() == SFlag::S_IFDIR);
            set(&entry.ok_or_else(|| Error::new(Kind::Failed, "it vanished as soon as it was made"))?, ids)
        })
        .and_then(|()| Ok(renameat(&place.directory, name.as_os_str(), &place.directory, place.name.as_os_str())?));
    if made.is_err() {
        let _ = unlinkat(&place.directory, name.as_os_str(), UnlinkatFlags::RemoveDir);
    }
    made
}

/// Gives what stands there another name in its directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), Stop> {
    let (old, new) = (parent_for_change(from)?, parent_for_change(to)?);
    renameat(&old.directory, old.name.as_os_str(), &new.directory, new.name.as_os_str())?;
    sync(&new.directory);
    Ok(())
}

/// Makes the link, in place of an older one.
pub fn make_link(path: &Path, target: &Path, ids: Ids) -> Result<(), Stop> {
    let place = parent_for_change(path)?;
    if let Some(entry) = place.entry()?
        && entry.kind() != SFlag::S_IFLNK
    {
        return Err(Error::new(Kind::Failed, "something that is no link stands there")
            .hint("remove it first, if nothing needs it any more")
            .into());
    }
    clear_leftovers(&place);
    let name = temporary_name(&place.name);
    symlinkat(target, &place.directory, name.as_os_str())?;
    let renamed = entry_at(&place.directory, &name)
        .and_then(|entry| entry.map_or(Ok(()), |entry| set(&entry, ids)))
        .and_then(|()| Ok(renameat(&place.directory, name.as_os_str(), &place.directory, place.name.as_os_str())?));
    if let Err(error) = renamed {
        let _ = unlinkat(&place.directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        return Err(error.into());
    }
    sync(&place.directory);
    Ok(())
}

/// Sets owner, group and mode of what is there, never of what it links to.
pub fn set_attributes(path: &Path, ids: Ids) -> Result<(), Stop> {
    let place = parent_for_change(path)?;
    let entry = place.entry()?.ok_or_else(|| Error::new(Kind::Missing, "there is nothing there"))?;
    // A file with a second name may be anybody's: whoever can write into this directory may have linked it here.
    if entry.kind() == SFlag::S_IFREG && entry.stat.st_nlink > 1 {
        return Err(Error::new(Kind::Denied, format!("it is one file under {} names (hard links)", entry.stat.st_nlink))
            .hint("make it a file of its own, for instance by removing it and running again")
            .into());
    }
    Ok(set(&entry, ids)?)
}

/// `.NAME.bootstrap-agent.RANDOM`: hidden, so that `*.conf` and the like do not pick it up half written.
pub fn temporary_name(name: &OsStr) -> OsString {
    let random = format!("{OURS}{:016x}", rand::random::<u64>());
    let mut bytes = vec![b'.'];
    bytes.extend(name.as_bytes().iter().take(LONGEST_NAME - 1 - random.len()));
    bytes.extend_from_slice(random.as_bytes());
    OsString::from_vec(bytes)
}

/// Whether `candidate` is a temporary name that [`temporary_name`] gave for `name`.
pub fn is_ours(candidate: &OsStr, name: &OsStr) -> bool {
    const RANDOM: usize = 16;
    let kept = name.as_bytes().get(..LONGEST_NAME - 1 - OURS.len() - RANDOM).unwrap_or(name.as_bytes());
    let rest = candidate.as_bytes().strip_prefix(b".").and_then(|rest| rest.strip_prefix(kept));
    let random = rest.and_then(|rest| rest.strip_prefix(OURS.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_hexdigit))
}

/// Removes what a killed run left under a temporary name of this file; a failure here is nobody's concern.
fn clear_leftovers(place: &Place) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut directory) = Dir::openat(&place.directory, ".", flags, Mode::empty()) else { return };
    let names = directory.iter().filter_map(|entry| Some(OsStr::from_bytes(entry.ok()?.file_name().to_bytes()).to_owned()));
    for name in names.filter(|name| is_ours(name, &place.name)).collect::<Vec<_>>() {
        if unlinkat(&place.directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir).is_err() {
            let _ = unlinkat(&place.directory, name.as_os_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

/// Brings the names of a directory to the disk. Where we may not read it, the next sync of the file system does.
pub fn sync(directory: &OwnedFd) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    if let Ok(readable) = openat(directory, ".", flags, Mode::empty()) {
        let _ = fsync(&readable);
    }
}
