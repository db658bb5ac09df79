//! Waiting for the locks of the package managers, and saying who holds them. Retrying is the wrong answer to a lock whose holder
//! will finish, `DPkg::Lock::Timeout` does not cover the lists, and dnf waits for ever, so we look for ourselves.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};

use super::Manager;
use crate::error::{Error, Kind, Result};
use crate::host::deadline::Deadline;

/// apt's and dpkg's: locked independently of each other; `apt-get update` takes only the first.
const APT: [&str; 4] =
    ["/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];
/// rpm's, where its database is.
const RPM: [&str; 2] = ["/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"];
/// dnf's hold the id of their holder, and are gone when it is done.
const DNF: [&str; 3] = ["/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid", "/var/lib/dnf/rpmdb_lock.pid"];

/// One lock.
#[derive(Debug, Clone)]
pub(super) enum Lock {
    /// A file that is locked as `fcntl(2)` does.
    Record(PathBuf),
    /// A file that holds a process id.
    PidFile(PathBuf),
}

/// What a package manager is called, and its locks.
pub(super) fn of(manager: Manager) -> (&'static str, Vec<Lock>) {
    let records = |paths: &[&str]| paths.iter().map(|path| Lock::Record(path.into())).collect::<Vec<_>>();
    match manager {
        Manager::Apt => ("apt", records(&APT)),
        Manager::Dnf => ("dnf", DNF.iter().map(|path| Lock::PidFile(path.into())).chain(records(&RPM)).collect()),
    }
}

/// How often we look.
const EVERY: Duration = Duration::from_millis(100);
/// How often we say that we are still waiting.
const SAY_EVERY: Duration = Duration::from_secs(4);

/// Who keeps us waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pid: i32,
    command: String,
}

impl Holder {
    /// The process that holds one of these locks, if one does.
    pub(super) fn of_any(locks: &[Lock]) -> Option<Self> {
        locks.iter().find_map(|lock| match lock {
            Lock::Record(path) => Self::of_record(path).ok().flatten(),
            Lock::PidFile(path) => Self::of_pid_file(path),
        })
    }

    /// As dnf judges its own: what a process left that is not there any more is no lock.
    fn of_pid_file(path: &Path) -> Option<Self> {
        let pid = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
        let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Self { pid, command: command.trim().to_owned() })
    }

    fn of_record(lock: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        #[allow(clippy::cast_possible_truncation, reason = "the constants are below 3; their types differ by platform")]
        let mut asked =
            libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&file, FcntlArg::F_GETLK(&mut asked))?;
        if i32::from(asked.l_type) == libc::F_UNLCK {
            return Ok(None);
        }
        let command = std::fs::read_to_string(format!("/proc/{}/comm", asked.l_pid)).unwrap_or_default();
        Ok(Some(Self { pid: asked.l_pid, command: command.trim().to_owned() }))
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.command.as_str() {
            // Locks of a process outside our view (another namespace) come without its id.
            "" => f.write_str("another process"),
            command => write!(f, "{command} (pid {})", self.pid),
        }
    }
}

/// Waits until nobody holds any of them.
///
/// # Errors
/// `TimedOut`, naming the holder.
pub(super) fn wait_for(name: &str, locks: &[Lock], deadline: &Deadline, say: &dyn Fn(&str)) -> Result<()> {
    let begun = Instant::now();
    let mut said: Option<Instant> = None;
    while let Some(holder) = Holder::of_any(locks) {
        let now = Instant::now();
        let waited = now.duration_since(begun).as_secs();
        if now >= deadline.instant() {
            let why = format!("{holder} held the {name} lock for all of the {waited} s that were left");
            return Err(Error::new(Kind::TimedOut, why));
        }
        if said.is_none_or(|last| now.duration_since(last) >= SAY_EVERY) {
            say(&format!("waiting for {name} lock held by {holder}, {waited} s"));
            said = Some(now);
        }
        std::thread::sleep(EVERY.min(deadline.nap(now)));
    }
    if said.is_some() {
        say(&format!("{name} lock is free after {} s", begun.elapsed().as_secs()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::process::{Child, Command, Stdio};
    use std::sync::Mutex;

    use super::*;

    /// Another process that holds a real lock of the kind apt takes, until it is killed.
    fn hold(path: &Path) -> Child {
        let script = "use Fcntl qw(:flock F_SETLK F_WRLCK SEEK_SET); open(my $f, '>', $ARGV[0]) or die; \
            my $l = pack('s s x4 q q i x4', F_WRLCK, SEEK_SET, 0, 0, 0); fcntl($f, F_SETLK, $l) or die \"$!\"; $| = 1; print \"held\\n\"; sleep 60;";
        let mut child =
            Command::new("perl").arg("-e").arg(script).arg(path).stdout(Stdio::piped()).spawn().expect("perl is part of Debian");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        child
    }

    #[test]
    fn the_holder_of_a_lock_is_named_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        let mut child = hold(&lock);
        let pid = child.id();
        let free_elsewhere = folder.path().join("no-such-lock");
        let locks = [Lock::Record(free_elsewhere), Lock::Record(lock)];

        let too_late = wait_for("apt", &locks, &Deadline::at(Instant::now()), &|_| ()).unwrap_err();
        assert_eq!(too_late.kind(), Kind::TimedOut);
        assert!(too_late.to_string().contains(&format!("perl (pid {pid})")), "{too_late}");

        let said = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                child.kill().unwrap();
                child.wait().unwrap();
            });
            let say = |line: &str| said.lock().unwrap().push(line.to_owned());
            wait_for("apt", &locks, &Deadline::at(Instant::now() + Duration::from_secs(20)), &say).unwrap();
        });
        let said = said.into_inner().unwrap();
        assert_eq!(said[0], format!("waiting for apt lock held by perl (pid {pid}), 0 s"));
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn a_free_lock_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        std::fs::write(&lock, "").unwrap();
        wait_for("apt", &[Lock::Record(lock)], &Deadline::at(Instant::now()), &|line| panic!("{line}")).unwrap();
    }

    #[test]
    fn a_pid_file_is_a_lock_while_its_process_lives() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock.pid");
        let locks = [Lock::PidFile(lock.clone())];
        assert_eq!(Holder::of_any(&locks), None);
        // It has answered, so it is no longer the one that started it.
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        std::fs::write(&lock, child.id().to_string()).unwrap();
        let told = Holder::of_any(&locks).unwrap().to_string();
        assert_eq!(told, format!("cat (pid {})", child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Holder::of_any(&locks), None, "a leftover");
    }
}
