//! Who may work in a checkout: one of us at a time, and nobody's dead `index.lock` in the way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Context, Error, Kind, Result};

/// How long a lock file of an unknown holder is respected: an editor may be open on a commit message.
const RESPECT: Duration = Duration::from_mins(1);

/// The right to change a checkout. Ends with the process at the latest, unlike git's own lock files.
pub struct Exclusive {
    _lock: Flock<File>,
}

impl Exclusive {
    /// Takes it, waiting for another of us until the deadline.
    ///
    /// # Errors
    /// `TimedOut`, or when there is no such directory.
    pub fn take(path: &Path, deadline: Instant) -> Result<Self> {
        let mut directory = File::open(path).doing(|| format!("opening `{}`", path.display()))?;
        loop {
            match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self { _lock: lock }),
                Err((back, nix::errno::Errno::EWOULDBLOCK)) if Instant::now() < deadline => directory = back,
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                    return Err(Error::new(Kind::TimedOut, format!("another process is changing `{}`", path.display())));
                }
                Err((_, errno)) => return Err(Error::from(errno).doing(format!("locking `{}`", path.display()))),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Removes lock files that nobody holds any more. `ours` says that an earlier run of ours was cut short here, so that no other
/// program has had a chance to leave them.
///
/// # Errors
/// When somebody holds one, or may still do so.
pub fn remove_stale(git_dir: &Path, ours: bool) -> Result<()> {
    for lock in lock_files(git_dir) {
        let holder = holder_of(&lock);
        let age = fs::metadata(&lock).and_then(|facts| facts.modified()).map(|at| SystemTime::now().duration_since(at));
        let Ok(age) = age else { continue }; // Gone meanwhile.
        let is_old = age.is_ok_and(|age| age > RESPECT);
        if let Some(holder) = holder {
            return Err(Error::new(Kind::Failed, format!("`{}` is held by {holder}", lock.display()))
                .hint("let that program end, or end it; the next run goes on"));
        }
        if !ours && (!is_old || git_is_at_work(git_dir)) {
            return Err(Error::new(Kind::Failed, format!("`{}` says that another git program is at work", lock.display())).hint(
                "if there is none, remove the file; one that is older than a minute and that nobody holds is removed by itself",
            ));
        }
        fs::remove_file(&lock).doing(|| format!("removing the stale `{}`", lock.display()))?;
    }
    Ok(())
}

/// The lock files that git leaves when it is killed. Unfinished packs are not among them: they do no harm.
fn lock_files(git_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["index.lock", "HEAD.lock", "shallow.lock", "config.lock", "packed-refs.lock", "FETCH_HEAD.lock"]
            .iter()
            .map(|name| git_dir.join(name))
            .filter(|path| path.symlink_metadata().is_ok())
            .collect();
    let mut folders = vec![git_dir.join("refs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.path().extension().is_some_and(|ending| ending == "lock") => {
                    found.push(entry.path());
                }
                _ => {}
            }
        }
    }
    found
}

/// Process ids, as far as we may see.
fn processes() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

/// The process that has this file open, in words.
fn holder_of(lock: &Path) -> Option<String> {
    let lock = fs::canonicalize(lock).ok()?;
    processes().find_map(|process| {
        let holds =
            fs::read_dir(process.join("fd")).ok()?.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == lock));
        holds.then(|| described(&process))
    })
}

/// Whether a program called git runs in this checkout.
fn git_is_at_work(git_dir: &Path) -> bool {
    let Some(tree) = git_dir.parent().and_then(|tree| fs::canonicalize(tree).ok()) else { return false };
    processes().any(|process| {
        let is_git = fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with("git"));
        is_git && fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(&tree))
    })
}

fn described(process: &Path) -> String {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let id = process.file_name().unwrap_or_default().to_string_lossy();
    format!("process {id} (`{}`)", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git_dir() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let git_dir = folder.path().join(".git");
        fs::create_dir_all(git_dir.join("refs/heads")).unwrap();
        (folder, git_dir)
    }

    fn make_old(path: &Path) {
        let then = SystemTime::now() - RESPECT - Duration::from_secs(1);
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn a_young_lock_of_somebody_else_is_respected_and_an_old_one_goes() {
        let (_folder, git_dir) = git_dir();
        let lock = git_dir.join("index.lock");
        fs::write(&lock, "").unwrap();
        assert!(remove_stale(&git_dir, false).is_err());
        assert!(lock.exists());
        make_old(&lock);
        fs::write(git_dir.join("refs/heads/main.lock"), "").unwrap();
        make_old(&git_dir.join("refs/heads/main.lock"));
        remove_stale(&git_dir, false).unwrap();
        assert!(lock_files(&git_dir).is_empty() && !lock.exists());
    }

    #[test]
    fn our_own_young_lock_goes_at_once_but_never_one_that_is_open() {
        let (_folder, git_dir) = git_dir();
        let lock = git_dir.join("index.lock");
        let open = File::create(&lock).unwrap();
        let error = remove_stale(&git_dir, true).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(open);
        remove_stale(&git_dir, true).unwrap();
        assert!(!lock.exists());
    }

    #[test]
    fn two_of_us_do_not_work_in_one_tree() {
        let (folder, _) = git_dir();
        let first = Exclusive::take(folder.path(), Instant::now()).unwrap();
        assert!(Exclusive::take(folder.path(), Instant::now()).is_err());
        drop(first);
        Exclusive::take(folder.path(), Instant::now()).unwrap();
    }
}
