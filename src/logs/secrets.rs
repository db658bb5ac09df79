//! What the service knows of the secrets it has to mask: handed over by a run, read from a file in memory after its own restart,
//! or fetched again by name after a reboot. Until then application logs wait, but not for ever.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::{Context as _, Result};
use crate::secret::{Redactor, Secret, handover};

/// The file's name in the runtime folder.
const FILE: &str = "log-secrets";
/// How long application logs wait for secrets.
const PATIENCE: Duration = Duration::from_mins(1);
/// A run that is under way hands them over sooner than we could ask for them, and a fleet that boots asks once.
const HEAD_START: Duration = Duration::from_secs(5);
/// Between two tries to fetch them: short while somebody waits, long afterwards.
const PAUSE: Duration = Duration::from_secs(5);
const LONG_PAUSE: Duration = Duration::from_mins(5);

/// Fetches the secrets by the names in the configuration.
pub type Fetch = Box<dyn Fn() -> Result<Vec<Secret>> + Send>;

/// What is known, and who waits for it. Clones are the same.
#[derive(Clone)]
pub struct Knowledge(Arc<Shared>);

struct Shared {
    redactor: Redactor,
    /// Where they are kept in memory.
    file: Option<PathBuf>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: bool,
    stopped: bool,
}

impl Knowledge {
    /// What a service before us left in this runtime folder, if there is one and it is still in memory.
    #[must_use]
    pub fn new(redactor: Redactor, runtime: Option<&Path>) -> Self {
        let file = runtime.filter(|folder| is_in_memory(folder)).map(|folder| folder.join(FILE));
        let knowledge = Self(Arc::new(Shared { redactor, file, state: Mutex::default(), changed: Condvar::new() }));
        if let Some(left) = knowledge.0.file.as_deref().and_then(read) {
            left.iter().for_each(|secret| knowledge.0.redactor.learn(secret));
            knowledge.lock().known = true;
        }
        knowledge
    }

    /// Masks these from now on. Whoever waits for secrets goes on.
    ///
    /// # Errors
    /// When they cannot be kept for a service after us; they are masked all the same.
    pub fn learn(&self, secrets: &[Secret]) -> Result<()> {
        secrets.iter().for_each(|secret| self.0.redactor.learn(secret));
        self.lock().known = true;
        self.0.changed.notify_all();
        match &self.0.file {
            Some(file) => write(file, &self.0.redactor.secrets()),
            None => Ok(()),
        }
    }

    /// There are others now, which nobody has told us.
    pub fn forget(&self) {
        self.lock().known = false;
    }

    /// Whether they are known, or there are none.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lock().known
    }

    /// Fetches them, beside whatever else goes on, until they are known. `none` says that the playbook has none.
    pub fn find_out(&self, none: bool, fetch: Fetch) {
        if none {
            self.lock().known = true;
            self.0.changed.notify_all();
            return;
        }
        let this = self.clone();
        let finding = std::thread::Builder::new().name("secrets".to_owned()).spawn(move || this.fetch_until_known(&*fetch));
        if let Err(error) = finding {
            tracing::warn!(%error, "secrets are not fetched");
        }
    }

    /// Waits until they are known, for as long as application logs wait. `false`: they are to be shipped with patterns only.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.wait_for(PATIENCE)
    }

    /// Nobody waits any more.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.0.changed.notify_all();
    }

    fn fetch_until_known(&self, fetch: &dyn Fn() -> Result<Vec<Secret>>) {
        let begun = Instant::now();
        let mut pause = HEAD_START;
        while !self.wait_for(pause) && !self.lock().stopped {
            match fetch().and_then(|secrets| self.learn(&secrets)) {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "the secrets cannot be fetched"),
            }
            pause = if begun.elapsed() < PATIENCE { PAUSE } else { LONG_PAUSE };
        }
    }

    fn wait_for(&self, limit: Duration) -> bool {
        let waiting = |state: &mut State| !state.known && !state.stopped;
        let waited = self.0.changed.wait_timeout_while(self.lock(), limit, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.known
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Secrets are on no disk: only a folder that is in memory will do.
fn is_in_memory(folder: &Path) -> bool {
    let kind = |folder: &Path| nix::sys::statfs::statfs(folder).map(|found| found.filesystem_type());
    kind(folder).is_ok_and(|kind| [nix::sys::statfs::TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind))
}

/// Not among those that `nix` names.
const RAMFS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x8584_58f6);

fn read(file: &Path) -> Option<Vec<Secret>> {
    let text = Zeroizing::new(std::fs::read_to_string(file).ok()?);
    handover::decode(&text)
}

fn write(file: &Path, secrets: &[Secret]) -> Result<()> {
    let fresh = file.with_extension("new");
    let written = || {
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        open.write_all(handover::encode(secrets).as_bytes())?;
        std::fs::rename(&fresh, file)
    };
    written().doing(|| "keeping the secrets in memory".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, Kind};

    /// A folder in memory, as `/run` is.
    fn memory() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").unwrap()
    }

    #[test]
    fn a_service_that_is_restarted_knows_what_the_one_before_it_was_told() {
        let run = memory();
        let first = Knowledge::new(Redactor::new(), Some(run.path()));
        assert!(!first.is_complete());
        first.learn(&[Secret::new("correct horse")]).unwrap();
        first.learn(&[Secret::new("battery staple")]).unwrap();
        let mode = std::fs::metadata(run.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let redactor = Redactor::new();
        let second = Knowledge::new(redactor.clone(), Some(run.path()));
        assert!(second.is_complete());
        assert_eq!(redactor.clean("correct horse, battery staple"), "***, ***");
    }

    #[test]
    fn secrets_are_kept_on_no_disk() {
        let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let knowledge = Knowledge::new(Redactor::new(), Some(disk.path()));
        knowledge.learn(&[Secret::new("correct horse")]).unwrap();
        assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0);
        assert!(knowledge.is_complete());
    }

    #[test]
    fn whoever_waits_goes_on_when_they_are_handed_over() {
        let knowledge = Knowledge::new(Redactor::new(), None);
        let fetched = Arc::new(AtomicUsize::new(0));
        let counting = fetched.clone();
        knowledge.find_out(
            false,
            Box::new(move || {
                counting.fetch_add(1, Ordering::SeqCst);
                Err(Error::new(Kind::Denied, "no"))
            }),
        );
        let waiting = knowledge.clone();
        let waits = std::thread::spawn(move || waiting.wait());
        knowledge.learn(&[Secret::new("correct horse")]).unwrap();
        assert!(waits.join().unwrap());
        assert_eq!(fetched.load(Ordering::SeqCst), 0, "a run is given a head start");
    }

    #[test]
    fn they_are_fetched_when_nobody_brings_them() {
        let redactor = Redactor::new();
        let knowledge = Knowledge::new(redactor.clone(), None);
        let tries = AtomicUsize::new(0);
        let begun = Instant::now();
        knowledge.find_out(
            false,
            Box::new(move || match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::new(Kind::Denied, "not yet")),
                _ => Ok(vec![Secret::new("correct horse")]),
            }),
        );
        assert!(knowledge.wait());
        assert!(begun.elapsed() >= HEAD_START);
        assert_eq!(redactor.clean("correct horse"), "***");
    }

    #[test]
    fn a_playbook_without_secrets_has_nobody_wait() {
        let knowledge = Knowledge::new(Redactor::new(), None);
        knowledge.find_out(true, Box::new(|| Ok(Vec::new())));
        assert!(knowledge.wait());
    }
}
