//! A directory with all that is in it, made under a temporary name beside its place and put there in one rename, in the place of
//! the one that was there. Until then nobody but its maker can enter it, so what is made in it cannot be swapped meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, symlinkat};
use rustix::fs::{RenameFlags, renameat_with};

use super::change::{is_ours, sync, temporary_name};
use super::list::names;
use super::remove::remove_entry;
use super::walk::{Entry, Place, entry_at, parent_for_change, parent_for_look, refused, set};
use super::{Ids, Stop};
use crate::error::{Error, Kind, Result};

/// The directory in the making.
pub struct NewFolder {
    place: Place,
    name: OsString,
    top: Entry,
    /// Whose all of it is; the mode is that of the top.
    ids: Ids,
    finished: bool,
}

impl NewFolder {
    /// Begins one for this path. What a killed run left of another is removed.
    ///
    /// # Errors
    /// `Foreign` in a user's tree; `Failed` when something that is no directory stands there.
    pub fn begin(path: &Path, ids: Ids) -> Result<Self, Stop> {
        let place = parent_for_change(path)?;
        if place.entry()?.is_some_and(|entry| entry.kind() != SFlag::S_IFDIR) {
            return Err(Error::new(Kind::Failed, format!("`{}` is there and no directory", path.display()))
                .hint("remove it first, if nothing needs it any more")
                .into());
        }
        for name in names(&place.directory)?.iter().filter(|name| is_ours(name, &place.name)) {
            remove_entry(&place.directory, name, None, 0)?;
        }
        let name = temporary_name(&place.name);
        mkdirat(&place.directory, name.as_os_str(), Mode::S_IRWXU).map_err(Error::from)?;
        let top = entry_at(&place.directory, &name)?.filter(|entry| entry.kind() == SFlag::S_IFDIR);
        let top = top.ok_or_else(|| Error::new(Kind::Failed, "it vanished as soon as it was made"))?;
        Ok(Self { place, name, top, ids, finished: false })
    }

    /// Makes the directory at this path in it, and those above it.
    ///
    /// # Errors
    /// `Failed` when something else is on the way.
    pub fn make_directory(&self, path: &Path, mode: u32) -> Result<()> {
        let directory = self.enter(path)?;
        Ok(fchmod(&directory, Mode::from_bits_truncate(mode))?)
    }

    /// Makes a file at this path in it, written by `write`. It takes the place of one that is there.
    ///
    /// # Errors
    /// Whatever `write` says; `Failed` when something else is on the way.
    pub fn make_file<T>(
        &self,
        path: &Path,
        mode: u32,
        modified: Option<Duration>,
        write: impl FnOnce(&mut File) -> Result<T>,
    ) -> Result<T> {
        let (directory, name) = self.place_of(path)?;
        remove_file(&directory, name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let written = write(&mut file)?;
        self.give_away(&file)?;
        fchmod(&file, Mode::from_bits_truncate(mode))?;
        if let Some(modified) = modified {
            let time = TimeSpec::from_duration(modified);
            futimens(&file, &time, &time)?;
        }
        Ok(written)
    }

    /// Makes a link at this path in it. It takes the place of a file that is there.
    ///
    /// # Errors
    /// `Failed` when something else is on the way.
    pub fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        let (directory, name) = self.place_of(path)?;
        remove_file(&directory, name)?;
        symlinkat(target, &directory, name)?;
        let entry =
            entry_at(&directory, name)?.ok_or_else(|| Error::new(Kind::Failed, "a link vanished as soon as it was made"))?;
        set(&entry, Ids { mode: None, ..self.ids })
    }

    /// The file that was made at this path in it, open for reading.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub fn open(&self, path: &Path) -> Result<File> {
        let (directory, name) = self.place_of(path)?;
        match entry_at(&directory, name)?.filter(|entry| entry.kind() == SFlag::S_IFREG) {
            Some(entry) => entry.open(),
            None => Err(Error::new(Kind::Missing, format!("there is no file `{}`", path.display()))),
        }
    }

    /// Puts it to its place, where it takes the place of what is there: from one moment to the next where the file system can.
    ///
    /// # Errors
    /// When it cannot be renamed; what was there is then still there.
    pub fn put_in_place(mut self) -> Result<()> {
        let top = self.enter(Path::new(""))?;
        // All of it is on the disk before the name is: a power cut leaves the old or the new.
        rustix::fs::syncfs(top.as_fd()).map_err(std::io::Error::from)?;
        set(&self.top, self.ids)?;
        let (directory, real) = (&self.place.directory, self.place.name.as_os_str());
        if self.place.entry()?.is_none() {
            renameat(directory, self.name.as_os_str(), directory, real)?;
        } else {
            // nix knows this call with glibc only.
            let exchanged = renameat_with(directory, &self.name, directory, real, RenameFlags::EXCHANGE);
            if exchanged.is_err() {
                let aside = temporary_name(real);
                renameat(directory, real, directory, aside.as_os_str())?;
                if let Err(error) = renameat(directory, self.name.as_os_str(), directory, real) {
                    renameat(directory, aside.as_os_str(), directory, real)?;
                    return Err(error.into());
                }
                self.name = aside;
            }
            // Under the temporary name is now what was there before; what cannot be removed of it is by the next run.
            let _ = remove_entry(directory, &self.name, None, 0);
        }
        self.finished = true;
        sync(directory);
        Ok(())
    }

    /// The directory of a path in it, which is made where it is missing, and the path's last name.
    fn place_of<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or_else(|| Error::new(Kind::Bug, "a file needs a name"))?;
        Ok((self.enter(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// The directory at this path in it; those that are missing are made, and no link is followed.
    fn enter(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut directory = openat(&self.top.handle, ".", flags, Mode::empty())?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                return Err(Error::new(Kind::Failed, format!("`{}` leads elsewhere", path.display())));
            };
            let made = match mkdirat(&directory, name, Mode::S_IRWXU) {
                Ok(()) => true,
                Err(Errno::EEXIST) => false,
                Err(error) => return Err(error.into()),
            };
            directory = openat(&directory, name, flags, Mode::empty()).map_err(|error| match error {
                Errno::ELOOP | Errno::ENOTDIR => {
                    Error::new(Kind::Failed, format!("`{}` leads through what is no directory", path.display()))
                }
                error => error.into(),
            })?;
            if made {
                self.give_away(&directory)?;
                fchmod(&directory, Mode::from_bits_truncate(0o755))?;
            }
        }
        Ok(directory)
    }

    fn give_away(&self, made: impl std::os::fd::AsFd) -> Result<()> {
        let (uid, gid) = (self.ids.uid, self.ids.gid);
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        fchown(made, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).map_err(|error| refused(error, uid, gid))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.finished {
            let _ = remove_entry(&self.place.directory, &self.name, None, 0);
        }
    }
}

/// Whether a run that was cut short has left something under a temporary name of this path. Where we may not look, it has not.
pub fn has_leftovers(path: &Path) -> Result<bool> {
    let place = match parent_for_look(path) {
        Ok(Some(place)) => place,
        Ok(None) | Err(Stop::Foreign(_)) => return Ok(false),
        Err(Stop::Failed(error)) => return Err(error),
    };
    let names = names(&place.directory).unwrap_or_default();
    Ok(names.iter().any(|name| is_ours(name, &place.name)))
}

/// What comes later in an archive counts; a directory is not replaced by a file.
fn remove_file(directory: &OwnedFd, name: &OsStr) -> Result<()> {
    match nix::unistd::unlinkat(directory, name, nix::unistd::UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {
            Err(Error::new(Kind::Failed, format!("`{}` is a directory and a file", name.to_string_lossy())))
        }
        Err(error) => Err(error.into()),
    }
}
