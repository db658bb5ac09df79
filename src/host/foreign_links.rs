//! Opening a file whose path others may have a say in. We read as root what an application may have put there: a link of its
//! own to a file that it cannot read itself would have us publish that file.
//!
//! A link that belongs to root is followed, as is one whose owner also owns what it leads to: whoever owns a file can read it
//! anyway. That is how rotation by links (`current.log -> app-2026.log`) and folders of releases are made. Every other link is
//! refused, in the middle of the path too. Hard links need no rule: the kernel lets nobody make one to a file they cannot write
//! (`fs.protected_hardlinks`).

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};

use super::inode::Seen;

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// What is left of the way.
enum Next {
    Enter(OsString),
    /// What we have reached is where a link of this user leads.
    Reached(u32),
}

/// Opens a regular file for reading, following only links that may be followed.
///
/// # Errors
/// There is no such file, it is no regular file, or a link on the way is refused.
pub fn open(path: &Path) -> io::Result<File> {
    let mut left = Vec::new();
    let mut here = root()?;
    plan(path, &mut left);
    let (mut last, mut links) = (None, 0);
    while let Some(next) = left.pop() {
        let name = match next {
            Next::Enter(name) => name,
            Next::Reached(owner) => {
                if Seen::of(&here)?.owner != owner {
                    return Err(refused("a link leads to what belongs to somebody else than the link"));
                }
                continue;
            }
        };
        let found = openat(&here, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let seen = Seen::of(&found)?;
        if !seen.is_link() {
            last = Some((std::mem::replace(&mut here, found), name));
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(refused("its links lead in a circle"));
        }
        if seen.owner != 0 {
            left.push(Next::Reached(seen.owner));
        }
        let target = OsString::from_vec(readlinkat(&found, "", Vec::new())?.into_bytes());
        if Path::new(&target).is_absolute() {
            here = root()?;
        }
        plan(Path::new(&target), &mut left);
    }
    let (folder, name) = last.ok_or(io::ErrorKind::IsADirectory)?;
    let judged = Seen::of(&here)?;
    if !judged.is_file() {
        return Err(refused("it is not a regular file"));
    }
    // Only what was found to be a file is opened in earnest: opening a device can have effects.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&folder, &name, flags, Mode::empty())?);
    if Seen::of(&file)?.place != judged.place {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(file)
}

fn root() -> io::Result<OwnedFd> {
    Ok(openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The first name comes to lie on top.
fn plan(path: &Path, left: &mut Vec<Next>) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => left.push(Next::Enter(name.to_owned())),
            Component::ParentDir => left.push(Next::Enter("..".into())),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    fn text(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        open(path)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn links_of_root_are_followed_anywhere_along_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        std::fs::create_dir(place.join("r1")).unwrap();
        std::fs::write(place.join("r1/app-1.log"), "one").unwrap();
        symlink("app-1.log", place.join("r1/app.log")).unwrap();
        symlink("./r1/../r1", place.join("current")).unwrap();
        symlink(place.join("current/app.log"), place.join("log")).unwrap();
        symlink("circle", place.join("circle")).unwrap();
        assert_eq!(text(&place.join("log")).unwrap(), "one");
        assert_eq!(text(&place.join("current/app.log")).unwrap(), "one");
        assert_eq!(text(&place.join("circle")).unwrap_err().to_string(), "its links lead in a circle");
        assert_eq!(text(&place.join("r1")).unwrap_err().to_string(), "it is not a regular file");
        assert_eq!(text(&place.join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_of_a_user_leads_only_to_what_is_the_users() {
        if !nix::unistd::geteuid().is_root() {
            return; // Only root can give files away.
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        std::fs::create_dir(place.join("secrets")).unwrap();
        for name in ["own.log", "secrets/key.log"] {
            std::fs::write(place.join(name), "content").unwrap();
        }
        lchown(place.join("own.log"), Some(1234), None).unwrap();
        for (name, target) in [("a.log", "own.log"), ("b.log", "secrets/key.log"), ("logs", "secrets")] {
            symlink(target, place.join(name)).unwrap();
            lchown(place.join(name), Some(1234), None).unwrap();
        }
        assert_eq!(text(&place.join("a.log")).unwrap(), "content");
        assert_eq!(text(&place.join("b.log")).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(text(&place.join("logs/key.log")).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn nothing_but_a_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(text(&path).unwrap_err().to_string(), "it is not a regular file");
    }
}
