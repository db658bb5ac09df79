//! From `/` to the directory that holds a name, by descriptor, following only links that nobody but root (or we ourselves)
//! could have put there.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat, geteuid};

use super::{Ids, Stop};
use crate::error::{Error, Kind, Result};

/// More links than this on one way are a loop.
const MOST_LINKS: usize = 40;

/// A directory held open, and a name in it.
pub struct Place {
    /// The directory.
    pub directory: OwnedFd,
    /// The name.
    pub name: OsString,
    /// Owner of the directory on the way that is neither root's nor ours, and decides who works there.
    pub holder: Option<u32>,
    /// The directory itself, links resolved.
    path: PathBuf,
}

/// An entry of a directory, held by descriptor: itself, not what it links to, and still the same whatever happens to its name.
pub struct Entry {
    /// Can be asked about, but not read or written.
    pub handle: OwnedFd,
    /// What it is.
    pub stat: FileStat,
}

impl Entry {
    /// Its type.
    pub fn kind(&self) -> SFlag {
        SFlag::from_bits_truncate(self.stat.st_mode & SFlag::S_IFMT.bits())
    }

    /// Opens it for reading: the very file that is held, whatever its name stands for by now.
    pub fn open(&self) -> Result<File> {
        Ok(File::open(format!("/proc/self/fd/{}", self.handle.as_raw_fd()))?)
    }

    /// Where it links to.
    pub fn target(&self) -> Result<PathBuf> {
        Ok(readlinkat(&self.handle, "")?.into())
    }
}

impl Place {
    /// What stands under the name.
    pub fn entry(&self) -> Result<Option<Entry>> {
        entry_at(&self.directory, &self.name)
    }

    /// The whole path, links in it resolved.
    pub fn full_path(&self) -> PathBuf {
        self.path.join(&self.name)
    }
}

/// What stands under this name in this directory.
pub fn entry_at(directory: &OwnedFd, name: &OsStr) -> Result<Option<Entry>> {
    match openat(directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(handle) => {
            let stat = fstat(&handle)?;
            Ok(Some(Entry { handle, stat }))
        }
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a walk is for.
#[derive(Clone, Copy)]
enum For {
    /// Looking: root may walk through other people's directories, since it follows none of their links.
    Looking,
    /// Changing: root stops at the first directory of somebody else.
    Changing,
    /// Changing, and making what directories are missing.
    Making,
}

/// The place of this path, to look at; `None` where the way to it does not exist.
pub fn parent_for_look(path: &Path) -> Result<Option<Place>, Stop> {
    walk(path, For::Looking)
}

/// The place of this path, to change what is there.
pub fn parent_for_change(path: &Path) -> Result<Place, Stop> {
    walk(path, For::Changing)?.ok_or_else(|| no_directory_for(path).into())
}

/// What is wrong with a path that has no directory to be in.
pub fn no_directory_for(path: &Path) -> Error {
    let parent = path.parent().unwrap_or(path);
    Error::new(Kind::Missing, format!("there is no directory `{}`", parent.display()))
        .hint("make it with a `directory` step before this one")
}

/// The place of this path; directories on the way are made.
pub fn parent_made(path: &Path) -> Result<Place, Stop> {
    walk(path, For::Making)?.ok_or_else(|| Error::new(Kind::Bug, "a directory vanished while it was made").into())
}

fn walk(path: &Path, purpose: For) -> Result<Option<Place>, Stop> {
    let mut rest = names(path);
    let mut links = 0;
    'from_the_root: loop {
        let mut place = Place { directory: root()?, name: OsString::new(), holder: None, path: PathBuf::from("/") };
        check_holder(&mut place, purpose)?;
        loop {
            let Some(name) = rest.pop_front() else {
                // `/` itself: the directory `/` under the name `.`.
                place.name = ".".into();
                return Ok(Some(place));
            };
            if name == ".." {
                // Only a link's target can say this; what stands before it is resolved already.
                place.path.pop();
                rest = names(&place.path).into_iter().chain(rest).collect();
                continue 'from_the_root;
            }
            if rest.is_empty() {
                place.name = name;
                return Ok(Some(place));
            }
            let entry = match (entry_at(&place.directory, &name)?, purpose) {
                (Some(entry), _) => entry,
                (None, For::Making) => made(&place.directory, &name)?,
                (None, _) => return Ok(None),
            };
            match entry.kind() {
                SFlag::S_IFDIR => {
                    place.directory = entry.handle;
                    place.path.push(&name);
                    check_holder(&mut place, purpose)?;
                }
                SFlag::S_IFLNK => {
                    links += 1;
                    place.name = name;
                    let target = followed(&place, &entry, links)?;
                    // Start again with the link replaced by what it says: each component is looked at with the same care.
                    let mut all = names(&place.path.join(target));
                    all.append(&mut rest);
                    rest = all;
                    continue 'from_the_root;
                }
                _ => {
                    let at = place.path.join(&name);
                    return Err(Error::new(Kind::Failed, format!("`{}` is no directory", at.display())).into());
                }
            }
        }
    }
}

/// Where a link leads, if nobody can have put it there who could not do by himself what we are about to do.
pub fn followed(place: &Place, link: &Entry, links: usize) -> Result<PathBuf, Stop> {
    let at = place.full_path();
    if links > MOST_LINKS {
        return Err(Error::new(Kind::Failed, format!("`{}` is a loop of symbolic links", at.display())).into());
    }
    let ourselves = geteuid().as_raw();
    let directory = fstat(&place.directory)?;
    let of_us = [0, ourselves].contains(&link.stat.st_uid);
    // Root follows only where nobody else can write; a user who follows their own links can only hurt themselves.
    let safe = of_us && (ourselves != 0 || (directory.st_uid == 0 && place.holder.is_none() && !is_shared(&directory)));
    if safe {
        return Ok(link.target()?);
    }
    match place.holder {
        Some(holder) => Err(Stop::Foreign(holder)),
        None => Err(Error::new(Kind::Denied, format!("`{}` is a symbolic link that others can change", at.display()))
            .hint("name the place it leads to")
            .into()),
    }
}

/// Whether others than the owner can swap names in it.
fn is_shared(directory: &FileStat) -> bool {
    let sticky = directory.st_mode & libc::S_ISVTX != 0;
    directory.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 && !sticky
}

/// Notes who holds the directory; root goes no further into somebody else's to change something.
fn check_holder(place: &mut Place, purpose: For) -> Result<(), Stop> {
    let owner = fstat(&place.directory)?.st_uid;
    if geteuid().is_root() && owner != 0 {
        let holder = *place.holder.get_or_insert(owner);
        if !matches!(purpose, For::Looking) {
            return Err(Stop::Foreign(holder));
        }
    }
    Ok(())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let named = |component: Component<'_>| {
        matches!(component, Component::Normal(_) | Component::ParentDir).then(|| component.as_os_str().to_owned())
    };
    path.components().filter_map(named).collect()
}

fn root() -> Result<OwnedFd> {
    Ok(open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A directory on the way: the doer's own, open to all to read.
fn made(directory: &OwnedFd, name: &OsStr) -> Result<Entry> {
    make_one(directory, name)?;
    let entry = entry_at(directory, name)?.ok_or_else(|| Error::new(Kind::Failed, "it vanished as soon as it was made"))?;
    set(&entry, Ids { mode: Some(0o755), ..Ids::default() })?;
    Ok(entry)
}

/// A directory nobody else can enter yet. Another step may have made it a moment ago.
pub fn make_one(directory: &OwnedFd, name: &OsStr) -> Result<()> {
    match mkdirat(directory, name, Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sets owner, group and mode of exactly this entry.
pub fn set(entry: &Entry, ids: Ids) -> Result<()> {
    let stat = &entry.stat;
    let uid = ids.uid.filter(|uid| *uid != stat.st_uid);
    let gid = ids.gid.filter(|gid| *gid != stat.st_gid);
    if uid.is_some() || gid.is_some() {
        fchownat(&entry.handle, "", uid.map(Uid::from_raw), gid.map(Gid::from_raw), AtFlags::AT_EMPTY_PATH)
            .map_err(|error| refused(error, uid, gid))?;
    }
    // A link has no mode of its own. After the owner, since a change of owner clears bits.
    if let Some(mode) = ids.mode
        && entry.kind() != SFlag::S_IFLNK
    {
        // The kernel's name for the very thing we hold: `chmod` takes no descriptor that was opened only to look.
        let held = format!("/proc/self/fd/{}", entry.handle.as_raw_fd());
        std::fs::set_permissions(held, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Says who may give files away.
pub fn refused(error: Errno, uid: Option<u32>, gid: Option<u32>) -> Error {
    let ourselves = geteuid();
    if error != Errno::EPERM || ourselves.is_root() {
        return error.into();
    }
    let what = match (uid, gid) {
        (Some(uid), _) => format!("to user {uid}"),
        (None, Some(gid)) => format!("to group {gid}"),
        (None, None) => String::new(),
    };
    Error::new(Kind::Denied, format!("user {ourselves} may not give a file {what}")).hint(
        "only root may give files to others, and only in directories of its own; a user may give them to groups they are in",
    )
}
