//! Programs are run by argv, never through a shell: clean environment, fixed locale, closed stdin, own process group, one
//! deadline for exit and both outputs, SIGTERM then SIGKILL.

mod become_user;
mod environment;
mod live;
mod outputs;
mod supervise;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use self::become_user::Identity;
use super::accounts::{Account, Databases};
use super::deadline::Deadline;
use super::{Facts, Host, LineSink, WorldOptions, run_lock};
use crate::error::{Error, Kind, Result};
use crate::secret::{Redactor, Sensitive};

pub use environment::DEFAULT_PATH;

/// How many of a program's last lines an error carries.
const TAIL_LINES: usize = 20;

/// A program to run.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Name (looked up in the child's `PATH`) or path.
    pub program: String,
    /// Its arguments. Never a secret: arguments are readable by everybody on the machine.
    pub arguments: Vec<String>,
    /// Added to the clean base environment and the playbook's `env:`.
    pub environment: IndexMap<String, Sensitive>,
    /// What it reads; nothing unless told.
    pub stdin: Option<Sensitive>,
    /// The same from a file, from where it stands: for what is too large to be held in memory.
    pub stdin_file: Option<Arc<File>>,
    /// Where it runs; `/` unless told.
    pub directory: Option<PathBuf>,
    /// Who runs it; ourselves unless told. Switches user, group and supplementary groups, sets `HOME`, `USER`, `LOGNAME`.
    pub user: Option<String>,
    /// The group of the files it makes; the user's own unless told. Root may give one that the user is not in.
    pub group: Option<String>,
    /// Its own limit; the step's deadline holds in any case.
    pub timeout: Option<Duration>,
    /// Whether its lines are shown while it runs.
    pub live: bool,
    /// Whether it ends its work though the agent has died: it is over in a moment, and half of its work would be worse.
    pub outlives: bool,
}

impl Invocation {
    /// This program with these arguments.
    pub fn new(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self { program: program.into(), arguments: arguments.iter().map(|a| (*a).to_owned()).collect(), ..Self::default() }
    }

    /// The same, its lines shown while it runs.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The same, which ends its work though the agent has died.
    #[must_use]
    pub fn outliving(mut self) -> Self {
        self.outlives = true;
        self
    }

    /// The same with a limit of its own.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The same run by this user.
    #[must_use]
    pub fn as_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The same in this group, when one is given.
    #[must_use]
    pub fn in_group(mut self, group: Option<&str>) -> Self {
        self.group = group.map(ToOwned::to_owned);
        self
    }

    /// The program and its first words, as an error names it: all arguments of some programs would fill a screen.
    #[must_use]
    pub fn short(&self) -> String {
        let mut words = vec![self.program.as_str()];
        words.extend(self.arguments.iter().take(3).map(String::as_str));
        let more = if self.arguments.len() > 3 { " …" } else { "" };
        format!("{}{more}", words.join(" "))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it. Not necessarily ours: 9 may be the kernel's out-of-memory killer.
    Signal(i32),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(9) => f.write_str("was killed (signal 9: perhaps the machine ran out of memory)"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// What a program left behind. Output is as the program wrote it: redact before it leaves the process.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status == Status::Code(0)
    }

    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of what it printed, standard error after standard output, redacted.
    #[must_use]
    pub fn last_lines(&self, redactor: &Redactor) -> Vec<String> {
        // Redacted before it is cut into lines, or a secret of several lines would slip through.
        let mut lines = Vec::new();
        for stream in [&self.stdout, &self.stderr] {
            let text = String::from_utf8_lossy(stream).into_owned();
            lines.extend(
                redactor.clean(&text).lines().map(|line| live::shortened(line.trim_end())).filter(|line| !line.is_empty()),
            );
        }
        lines.split_off(lines.len().saturating_sub(TAIL_LINES))
    }

    /// The output, or the error that says how the program ended and what it said last.
    ///
    /// # Errors
    /// `Failed` unless it exited with 0.
    pub fn required(self, invocation: &Invocation, redactor: &Redactor) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        let tail = self.last_lines(redactor);
        Err(Error::new(Kind::Failed, format!("`{}` {}", invocation.short(), self.status)).tail(tail))
    }
}

/// Runs programs. The one seam between our code and other people's.
pub trait Programs: Send + Sync {
    /// Runs it to its end, or to its deadline. A non-zero exit is not an error here.
    ///
    /// # Errors
    /// `Missing` when there is no such program, `TimedOut` when it was stopped, `Failed` when its output was left open by a
    /// daemon it started.
    fn run(&self, invocation: &Invocation, deadline: &Deadline, lines: Option<&LineSink>) -> Result<Output>;

    /// Where a program of this name is found.
    fn locate(&self, name: &str) -> Option<PathBuf>;
}

impl Facts {
    /// Runs a program that only looks. For the named questions of `host/`; steps cannot call it.
    pub(in crate::host) fn ask(&self, invocation: &Invocation) -> Result<Output> {
        let lines = invocation.live.then_some(&self.scope.lines);
        self.waits.during(|| self.world.programs.run(invocation, &self.scope.deadline, lines))
    }

    /// The same for a program that must succeed.
    pub(in crate::host) fn ask_required(&self, invocation: &Invocation) -> Result<Output> {
        self.ask(invocation)?.required(invocation, &self.world.options.redactor)
    }

    /// Where this program is found in the `PATH` that our programs get; `None` where it is not installed.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.world.programs.locate(name)
    }
}

impl Host {
    /// Runs a program that changes something and must succeed. For the named acts of `host/`; steps cannot call it.
    pub(in crate::host) fn execute(&self, invocation: &Invocation) -> Result<Output> {
        self.ask_required(invocation)
    }
}

/// The real thing.
pub struct RealPrograms {
    environment: IndexMap<String, String>,
    redactor: Redactor,
    accounts: Databases,
    /// Where the records are kept.
    state: std::path::PathBuf,
}

impl RealPrograms {
    /// Programs with this run's environment.
    #[must_use]
    pub fn new(options: &WorldOptions) -> Self {
        Self {
            environment: options.environment.clone(),
            redactor: options.redactor.clone(),
            accounts: Databases::of_machine(),
            state: options.state.clone(),
        }
    }

    /// Who runs it, and their account; `None` for ourselves where we have no account.
    fn identity(&self, invocation: &Invocation, deadline: &Deadline) -> Result<(Option<Account>, Option<Identity>)> {
        let ourselves = nix::unistd::geteuid();
        let getent = |words: &[&str]| {
            let output = self.run(&Invocation::new("getent", words), deadline, None)?;
            Ok(output.success().then(|| output.text()))
        };
        let Some(name) = &invocation.user else {
            return Ok((self.accounts.by_uid_in_file(ourselves.as_raw())?, None));
        };
        let account = self
            .accounts
            .by_name(name, &getent)?
            .ok_or_else(|| Error::new(Kind::Missing, format!("there is no user `{name}`")))?;
        let gid = match &invocation.group {
            Some(group) => self
                .accounts
                .group_by_name(group, &getent)?
                .map(|group| group.gid)
                .ok_or_else(|| Error::new(Kind::Missing, format!("there is no group `{group}`")))?,
            None => account.gid,
        };
        if account.uid == ourselves.as_raw() && gid == account.gid {
            return Ok((Some(account), None));
        }
        if !ourselves.is_root() {
            let whom = match &invocation.group {
                Some(group) => format!("user `{name}` in group `{group}`"),
                None => format!("user `{name}`"),
            };
            return Err(Error::new(Kind::Denied, format!("only root can run a program as {whom}"))
                .hint(format!("run the agent as root or as `{name}`")));
        }
        let groups = self.accounts.groups_of(&account, &getent)?;
        let identity = Identity { uid: account.uid, gid, groups };
        Ok((Some(account), Some(identity)))
    }
}

impl Programs for RealPrograms {
    fn run(&self, invocation: &Invocation, deadline: &Deadline, lines: Option<&LineSink>) -> Result<Output> {
        let deadline = &invocation.timeout.map_or(deadline.clone(), |own| deadline.clone().capped(Instant::now() + own));
        let (account, identity) = self.identity(invocation, deadline)?;
        let environment = environment::assemble(account.as_ref(), &self.environment, &invocation.environment);
        let directory = invocation.directory.as_deref().unwrap_or(Path::new("/"));
        let program =
            environment::locate(&invocation.program, environment::path_of(&environment), directory).ok_or_else(|| {
                Error::new(Kind::Missing, format!("there is no program `{}`", invocation.program))
                    .hint("install the package that brings it, or check its name and the `PATH` under `env:`")
            })?;
        let mark = if invocation.outlives { run_lock::mark_at_work(&self.state) } else { None };
        let child = become_user::spawn(invocation, &program, &environment, directory, identity, mark.as_deref())?;
        supervise::to_the_end(child, invocation, deadline, lines, &self.redactor)
    }

    fn locate(&self, name: &str) -> Option<PathBuf> {
        let path = self.environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        environment::locate(name, path, Path::new("/"))
    }
}

#[cfg(test)]
mod tests;
