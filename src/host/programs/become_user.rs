//! Starting a child: in its own process group, as the right user, with nothing of ours left to inherit.

// What happens between fork and exec can only be said with `pre_exec`; each call in there is async-signal-safe.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use indexmap::IndexMap;

use super::Invocation;
use crate::error::{Error, Kind, Result};
use crate::secret::Sensitive;

/// Who a child becomes.
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, the user's own among them.
    pub groups: Vec<u32>,
}

/// Starts the program; its outputs, and its standard input where there is something to read, are pipes.
pub fn spawn(
    invocation: &Invocation,
    program: &Path,
    environment: &IndexMap<String, Sensitive>,
    directory: &Path,
    identity: Option<Identity>,
    kept_open: Option<&File>,
) -> Result<Child> {
    if !directory.is_dir() {
        return Err(Error::new(
            Kind::Missing,
            format!("`{}` is to run in `{}`, which is no directory", invocation.short(), directory.display()),
        ));
    }
    let mut command = Command::new(program);
    command
        .arg0(&invocation.program)
        .args(&invocation.arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name.as_str(), OsStr::from_bytes(value.expose()))))
        .stdin(match (&invocation.stdin_file, &invocation.stdin) {
            (Some(file), _) => file.try_clone()?.into(),
            (None, Some(_)) => Stdio::piped(),
            (None, None) => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let directory = CString::new(directory.as_os_str().as_bytes())
        .map_err(|_| Error::new(Kind::Playbook, "a directory's name holds a NUL byte"))?;
    let kept_open = kept_open.map(AsRawFd::as_raw_fd);
    let parent = (!invocation.outlives).then(nix::unistd::getpid);
    // SAFETY: between fork and exec only system calls are made, on memory that was allocated before the fork.
    unsafe {
        command.pre_exec(move || prepare(identity.as_ref(), &directory, parent, kept_open));
    }
    command.spawn().map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::PermissionDenied { Kind::Denied } else { Kind::Failed };
        let why = match error.kind() {
            // The file was there when we looked: what is missing is the interpreter in its first line, or its loader.
            io::ErrorKind::NotFound => "its interpreter is missing".to_owned(),
            _ => error.to_string().to_lowercase(),
        };
        let by = invocation.user.as_ref().map(|user| format!(" as user `{user}`")).unwrap_or_default();
        Error::new(kind, format!("`{}` cannot be started{by}: {why}", program.display()))
    })
}

/// Runs in the child, after fork and before exec.
fn prepare(
    identity: Option<&Identity>,
    directory: &CString,
    parent: Option<nix::unistd::Pid>,
    kept_open: Option<RawFd>,
) -> io::Result<()> {
    // SAFETY: plain system calls; pointers are to live memory of the right type and length.
    unsafe {
        // A crash must not leave secrets from the environment or standard input in a core file.
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        check(libc::setrlimit(libc::RLIMIT_CORE, &raw const none))?;
        libc::umask(0o022);
        if let Some(to) = identity {
            check(libc::setgroups(to.groups.len(), to.groups.as_ptr()))?;
            check(libc::setresgid(to.gid, to.gid, to.gid))?;
            check(libc::setresuid(to.uid, to.uid, to.uid))?;
        }
        // Only now: what a user may not enter, root must not enter for them.
        check(libc::chdir(directory.as_ptr()))?;
        // A program must not outlive the agent that waits for it, or the next run would meet it at work. The signal comes when
        // the thread that started the child ends; that is the thread which waits for it. It is the gentle signal, since dpkg and
        // pip put things in order on it. After the switch of user, which would clear it.
        if let Some(descriptor) = kept_open {
            check(libc::fcntl(descriptor, libc::F_SETFD, 0))?;
        }
        if let Some(parent) = parent {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
            if libc::getppid() != parent.as_raw() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    }
    Ok(())
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A descriptor that becomes readable when the child has ended, so that one `poll` waits for its exit and its outputs; `None`
/// where the kernel or a sandbox refuses it.
pub fn exit_descriptor(child: &Child) -> Option<OwnedFd> {
    let pid = libc::pid_t::try_from(child.id()).ok()?;
    // SAFETY: a plain system call; the descriptor it gives is new and ours alone.
    unsafe {
        let answer = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        libc::c_int::try_from(answer).ok().filter(|fd| *fd >= 0).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}
