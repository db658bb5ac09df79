//! `journalctl` as a child of ours: it follows every journal of the machine and writes entries into a pipe. Reading the journal's
//! files ourselves would need libsystemd, which reads them through memory that a vacuumed file takes away.

use std::io::{BufReader, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Context as _, Error, Kind, Result};

/// Within an entry, `journalctl` is never silent for so long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);
/// How long a question about the newest entry may take.
const LOOK: Duration = Duration::from_secs(2);
/// Read at once.
const CHUNK: usize = 64 * 1024;

/// Which journals are read.
#[derive(Debug, Clone, Default)]
pub struct Journals {
    /// The files in this folder; without it, those of the machine.
    pub folder: Option<PathBuf>,
}

/// Where following begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// With the first entry of this boot.
    ThisBoot,
    /// With the oldest entry there is.
    Oldest,
    /// With the entry at this cursor; with the one that is nearest to it by time if it is gone.
    Cursor(String),
    /// With the first entry at or after this time, in microseconds since 1970.
    Since(u64),
}

/// Wakes whoever reads, for good, when it is dropped.
pub struct Stop {
    _write: PipeWriter,
}

/// Says when the stop has come.
pub struct Stopped(PipeReader);

/// A stop, and how it is heard of.
///
/// # Errors
/// When the kernel has no pipe left.
pub fn stop() -> Result<(Stop, Stopped)> {
    let (read, write) = std::io::pipe().doing(|| "making a pipe".to_owned())?;
    Ok((Stop { _write: write }, Stopped(read)))
}

impl Stopped {
    /// Waits for the stop, for at most this long. Whether it has come.
    #[must_use]
    pub fn within(&self, limit: Duration) -> bool {
        readable([Some(self.0.as_fd()), None], limit).first().is_some_and(|stopped| *stopped)
    }
}

/// A `journalctl` that follows. Ended when dropped, and by the kernel when the thread that started it is gone.
pub struct Follower {
    child: Child,
    /// What it writes.
    pub output: BufReader<Pipe>,
    complaints: Option<ChildStderr>,
}

/// The pipe from `journalctl`: reading ends when the stop comes, or when it hangs within an entry.
pub struct Pipe {
    output: ChildStdout,
    stopped: Stopped,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let [stopped, ready] = readable([Some(self.stopped.0.as_fd()), Some(self.output.as_fd())], HANGS);
        match (stopped, ready) {
            (true, _) => Err(std::io::ErrorKind::ConnectionAborted.into()),
            (false, true) => self.output.read(into),
            (false, false) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Follower {
    /// Follows the journals: only these fields of each entry, in the export format.
    ///
    /// # Errors
    /// `Missing` where there is no `journalctl`.
    pub fn start(journals: &Journals, begin: &Begin, fields: &str, stopped: &Stopped) -> Result<Self> {
        let doing = || "following the journal".to_owned();
        let mut command = journals.command(fields);
        command.args(["--follow", "--no-tail"]);
        // `--merge` lifts the limit to one boot that `--follow` brings along, and the two exclude each other. The cursor is given
        // inclusively: an exclusive one loses entries on some versions. Nothing is filtered here, for the same reason.
        match begin {
            Begin::ThisBoot => command.arg("--boot"),
            Begin::Oldest => command.arg("--merge"),
            Begin::Cursor(cursor) => command.args(["--merge", &format!("--cursor={cursor}")]),
            Begin::Since(micros) => {
                command.args(["--merge", &format!("--since=@{}.{:06}", micros / 1_000_000, micros % 1_000_000)])
            }
        };
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only system calls are made.
        #[allow(unsafe_code, reason = "what happens between fork and exec can only be said so")]
        unsafe {
            command.pre_exec(move || {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
                if nix::unistd::getppid() == parent { Ok(()) } else { Err(std::io::ErrorKind::Interrupted.into()) }
            });
        }
        let stopped = Stopped(stopped.0.try_clone().doing(doing)?);
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| missing(&error).doing(doing()))?;
        let output = child.stdout.take().ok_or_else(|| Error::new(Kind::Bug, "`journalctl` has no output"))?;
        let complaints = child.stderr.take();
        Ok(Self { child, output: BufReader::with_capacity(CHUNK, Pipe { output, stopped }), complaints })
    }

    /// Waits until there is something to read (the end is, too), for at most this long. Whether there is.
    #[must_use]
    pub fn has_output(&self, limit: Duration) -> bool {
        if !self.output.buffer().is_empty() {
            return true;
        }
        let pipe = self.output.get_ref();
        readable([Some(pipe.stopped.0.as_fd()), Some(pipe.output.as_fd())], limit).contains(&true)
    }

    /// Ends it; what it had to complain about.
    #[must_use]
    pub fn end(mut self) -> String {
        self.kill();
        let mut text = Vec::new();
        if let Some(complaints) = self.complaints.take() {
            let _ = complaints.take(4096).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Journals {
    fn command(&self, fields: &str) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--quiet", "--no-pager", "--output=export", &format!("--output-fields={fields}")]);
        if let Some(folder) = &self.folder {
            command.arg(flag("--directory=", folder));
        }
        command.env("SYSTEMD_LOG_LEVEL", "err").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        command
    }

    /// The newest entry there is, in the export format; `None` when there is none, or when it cannot be told in time.
    #[must_use]
    pub fn newest(&self) -> Option<Vec<u8>> {
        let mut command = self.command("PRIORITY");
        output(command.args(["--merge", "--lines=1"])).filter(|entry| !entry.is_empty())
    }

    /// Has the journal take in everything that was written to it so far. Only root may ask for it, and without it only the last
    /// instant is missing.
    pub fn sync(&self) {
        if self.folder.is_none() {
            let _ = output(self.command("PRIORITY").arg("--sync"));
        }
    }
}

fn flag(name: &str, value: &Path) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(name);
    flag.push(value);
    flag
}

/// What a command prints, where that fits a pipe.
fn output(command: &mut Command) -> Option<Vec<u8>> {
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + LOOK;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut bytes = Vec::new();
    child.stdout.take()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn missing(error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::new(Kind::Missing, "there is no `journalctl` on this machine").hint("ship files instead of journals");
    }
    Error::from_source(Kind::Failed, error)
}

/// Which of these can be read without waiting, or have ended; waits for one for at most so long.
fn readable(descriptors: [Option<std::os::fd::BorrowedFd<'_>>; 2], limit: Duration) -> [bool; 2] {
    let end = Instant::now() + limit;
    loop {
        let mut waiting: Vec<_> =
            descriptors.iter().flatten().map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up, so that the last millisecond is not spent asking.
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let answer = poll(&mut waiting, left);
        if matches!(answer, Err(nix::errno::Errno::EINTR)) {
            continue;
        }
        let mut ready = [false; 2];
        for (ready, waited) in ready.iter_mut().zip(&waiting) {
            *ready = waited.any().unwrap_or(false);
        }
        return ready;
    }
}
