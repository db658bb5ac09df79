//! Waiting for a child: one `poll` over its exit, its outputs and what it still has to read, under one deadline.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::become_user::exit_descriptor;
use super::live::Lines;
use super::outputs::Collected;
use super::{Invocation, Output, Status};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::LineSink;
use crate::host::deadline::Deadline;
use crate::secret::{Redactor, Sensitive};

/// Standard output may be an answer to parse; more than this is no answer any more.
const MOST_STDOUT: usize = 16 * 1024 * 1024;
/// Of standard error only the end is ever of use.
const MOST_STDERR: usize = 1024 * 1024;
/// Between asking a program to stop and making it.
const MANNERS: Duration = Duration::from_secs(5);
/// How long after its exit a program's output may stay open: what is in the pipe is read at once, the rest belongs to a daemon.
const AFTER_EXIT: Duration = Duration::from_secs(2);
/// How often to look for the exit where the kernel gives no descriptor for it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A child whose group is killed should we leave without having seen it end, as in a panic.
struct Guarded {
    child: Child,
    status: Option<ExitStatus>,
}

impl Guarded {
    fn signal_group(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// Looks whether it has ended.
    fn look(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status.is_some())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.signal_group(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Feeds the child, collects its outputs, waits for its end.
pub fn to_the_end(
    mut child: Child,
    invocation: &Invocation,
    deadline: &Deadline,
    lines: Option<&LineSink>,
    redactor: &Redactor,
) -> Result<Output> {
    let started = Instant::now();
    let exit = exit_descriptor(&child);
    let stdin = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let stdout = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let stderr = child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let mut child = Guarded { child, status: None };
    for pipe in [&stdin, &stdout, &stderr].into_iter().flatten() {
        let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
        fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    let mut feed = Feed { pipe: stdin, rest: invocation.stdin.as_ref().map_or(&[], Sensitive::expose) };
    let mut stdout = Collected::new(stdout, MOST_STDOUT);
    let mut stderr = Collected::new(stderr, MOST_STDERR);
    let mut shown = lines.map(|sink| (Lines::new(sink, redactor), Lines::new(sink, redactor)));

    let mut clock = Clock { deadline, asked: None, forced: false, exited: None };
    let verdict = loop {
        if child.look()? {
            clock.exited.get_or_insert_with(Instant::now);
            if stdout.pipe().is_none() && stderr.pipe().is_none() {
                break Verdict::Ended;
            }
        }
        match clock.due(Instant::now()) {
            Due::Wait(time) => wait_for(time, &child, exit.as_ref(), &feed, &stdout, &stderr)?,
            Due::Ask => child.signal_group(Signal::SIGTERM),
            Due::Force => child.signal_group(Signal::SIGKILL),
            Due::LeftOpen => break Verdict::LeftOpen,
        }
        feed.push();
        stdout
            .take(|bytes| {
                if let Some((lines, _)) = &mut shown {
                    lines.push(bytes);
                }
            })
            .doing(|| "reading its output".into())?;
        stderr
            .take(|bytes| {
                if let Some((_, lines)) = &mut shown {
                    lines.push(bytes);
                }
            })
            .doing(|| "reading its output".into())?;
    };
    if let Some((one, other)) = shown {
        one.finish();
        other.finish();
    }
    let cut = stdout.lost_some() && !invocation.live;
    let status = child.status.map_or(Status::Signal(9), status_of);
    let output = Output { status, stdout: stdout.into_bytes(), stderr: stderr.into_bytes() };
    if clock.asked.is_some() {
        // Whoever asked for nothing but silence gets the last word: nothing of the group is left running.
        child.signal_group(Signal::SIGKILL);
        let spent = started.elapsed().as_secs_f32();
        return Err(Error::new(
            Kind::TimedOut,
            format!("`{}` was stopped after {spent:.1} s: its time was over", invocation.short()),
        )
        .tail(output.last_lines(redactor)));
    }
    if verdict == Verdict::LeftOpen {
        child.signal_group(Signal::SIGTERM);
        return Err(Error::new(
            Kind::Failed,
            format!("`{}` {status}, but something it started keeps its output open", invocation.short()),
        )
        .hint("send the output of what it leaves in the background elsewhere (`>/dev/null 2>&1`), or make it a `systemd_unit`")
        .tail(output.last_lines(redactor)));
    }
    if cut {
        return Err(Error::new(Kind::Failed, format!("`{}` printed more than {} MiB", invocation.short(), MOST_STDOUT >> 20)));
    }
    Ok(output)
}

#[derive(PartialEq)]
enum Verdict {
    Ended,
    LeftOpen,
}

/// What is to be done now.
enum Due {
    Wait(Duration),
    Ask,
    Force,
    LeftOpen,
}

/// The deadline and what became of it.
struct Clock<'d> {
    deadline: &'d Deadline,
    asked: Option<Instant>,
    forced: bool,
    exited: Option<Instant>,
}

impl Clock<'_> {
    fn due(&mut self, now: Instant) -> Due {
        if let Some(exited) = self.exited {
            let end = exited + AFTER_EXIT;
            return if now >= end { Due::LeftOpen } else { Due::Wait(end - now) };
        }
        match self.asked {
            None if now >= self.deadline.instant() => {
                self.asked = Some(now);
                Due::Ask
            }
            None => Due::Wait(self.deadline.nap(now)),
            Some(asked) if now >= asked + MANNERS && !self.forced => {
                self.forced = true;
                Due::Force
            }
            Some(asked) => Due::Wait((asked + MANNERS).saturating_duration_since(now).max(LOOK_EVERY)),
        }
    }
}

/// What the child still has to read.
struct Feed<'b> {
    pipe: Option<File>,
    rest: &'b [u8],
}

impl Feed<'_> {
    fn push(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.write(self.rest) {
            Ok(count) => self.rest = self.rest.get(count..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => {}
            // A program need not read all it is offered.
            Err(_) => self.rest = &[],
        }
        if self.rest.is_empty() {
            self.pipe = None;
        }
    }
}

/// Waits until something can be done, no longer than this.
fn wait_for(
    time: Duration,
    child: &Guarded,
    exit: Option<&OwnedFd>,
    feed: &Feed<'_>,
    stdout: &Collected,
    stderr: &Collected,
) -> Result<()> {
    let mut watched = Vec::with_capacity(4);
    for pipe in [stdout.pipe(), stderr.pipe()].into_iter().flatten() {
        watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    }
    if let Some(pipe) = &feed.pipe {
        watched.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
    }
    let mut time = time;
    if child.status.is_none() {
        match exit {
            Some(exit) => watched.push(PollFd::new(exit.as_fd(), PollFlags::POLLIN)),
            None => time = time.min(LOOK_EVERY),
        }
    }
    // Rounded up, or the last millisecond would be spent spinning.
    let timeout = PollTimeout::try_from(time.as_millis() + 1).unwrap_or(PollTimeout::MAX);
    match poll(&mut watched, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn status_of(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Code(code),
        (None, Some(signal)) => Status::Signal(signal),
        (None, None) => Status::Code(-1),
    }
}
