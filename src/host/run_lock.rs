//! One run at a time: a lock of the kernel's, which ends with its process at the latest.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::state::{LOCK_FILE, StateFolder};
use crate::error::{Context as _, Error, Result};

/// How long a run that was killed may linger. A child that is just being started has its parent's descriptors, and with them the
/// lock, until its program begins; and some programs end their work without the agent.
const LINGERING: Duration = Duration::from_secs(5);
/// Shared by the programs that end their work though the agent has died.
const AT_WORK: &str = "at-work.lock";

/// What a program that outlives its agent holds until it ends, so that the next run does not meet it at work. `None` where no state
/// is kept.
pub(in crate::host) fn mark_at_work(state: &Path) -> Option<Flock<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(state.join(AT_WORK)).ok()?;
    Flock::lock(file, FlockArg::LockSharedNonblock).ok()
}

/// The right to run. Let go by dropping it, or by ending in whatever way.
#[derive(Debug)]
pub struct RunLock {
    #[allow(dead_code, reason = "held until it is dropped")]
    held: Flock<File>,
}

/// Who runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id and since when, as it wrote it; empty in the moment before it did.
    pub words: String,
}

impl Holder {
    /// Whether the process that wrote these words is there; also when nobody can tell.
    fn lives(&self) -> bool {
        let id = self.words.strip_prefix("process ").and_then(|rest| rest.split(',').next());
        id.is_none_or(|id| Path::new("/proc").join(id).exists())
    }
}

impl StateFolder {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take_run_lock(&self) -> Result<std::result::Result<RunLock, Holder>> {
        let begun = Instant::now();
        loop {
            let taken = self.try_run_lock()?;
            let waits = match &taken {
                Err(holder) => !holder.lives(),
                Ok(_) => self.something_is_at_work(),
            };
            if !waits || begun.elapsed() >= LINGERING {
                return Ok(taken);
            }
            drop(taken);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a program that outlives its agent still ends its work.
    fn something_is_at_work(&self) -> bool {
        let file = File::open(self.path().join(AT_WORK));
        file.is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err())
    }

    fn try_run_lock(&self) -> Result<std::result::Result<RunLock, Holder>> {
        let file = self.open_lock().doing(|| format!("opening `{}`", self.path().join(LOCK_FILE).display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let now = jiff::Zoned::now().strftime("%H:%M:%S");
                let words = format!("process {}, since {now}", std::process::id());
                let mut write = || {
                    lock.set_len(0)?;
                    lock.rewind()?;
                    lock.write_all(words.as_bytes())
                };
                write().doing(|| "writing into the run lock who holds it".to_owned())?;
                Ok(Ok(RunLock { held: lock }))
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut words = String::new();
                // The words are for people; without them the lock is held all the same.
                let _ = file.read_to_string(&mut words);
                Ok(Err(Holder { words }))
            }
            Err((_, errno)) => Err(Error::from(errno).doing("locking out other runs")),
        }
    }

    /// Who runs now, if anybody. Makes and changes nothing.
    #[must_use]
    pub fn run_lock_holder(&self) -> Option<Holder> {
        let mut file = File::open(self.path().join(LOCK_FILE)).ok()?;
        let mut words = String::new();
        file.read_to_string(&mut words).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Err((_, Errno::EWOULDBLOCK)) => Some(Holder { words }),
            _ => None,
        }
    }

    fn open_lock(&self) -> std::io::Result<File> {
        if !self.path().is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(self.path())?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(self.path().join(LOCK_FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_runs_and_the_lock_ends_with_its_holder() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path().join("state"));
        assert_eq!(state.run_lock_holder(), None);
        assert!(!state.path().exists(), "asking makes nothing");
        let lock = state.take_run_lock().unwrap().unwrap();
        let holder = state.take_run_lock().unwrap().unwrap_err();
        assert!(holder.words.starts_with(&format!("process {}, since ", std::process::id())), "{holder:?}");
        assert_eq!(state.run_lock_holder(), Some(holder));
        drop(lock);
        assert_eq!(state.run_lock_holder(), None);
        assert!(state.take_run_lock().unwrap().is_ok());
    }

    #[test]
    fn a_lock_that_outlasts_its_holder_for_a_moment_is_waited_for() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        let mut lock = state.take_run_lock().unwrap().unwrap();
        lock.held.rewind().unwrap();
        // No process has this number: it is above the kernel's limit.
        lock.held.write_all(b"process 4999999, since").unwrap();
        let child = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(lock);
        });
        assert!(state.take_run_lock().unwrap().is_ok());
        child.join().unwrap();
    }

    #[test]
    fn a_child_of_the_holder_does_not_inherit_the_lock() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        let lock = state.take_run_lock().unwrap().unwrap();
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        drop(lock);
        let taken = state.take_run_lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(taken.is_ok(), "a daemon started by a step must not hold up the next run");
    }
}
