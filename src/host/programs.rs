//! Programs are run by argv, never through a shell: clean environment, fixed locale, closed stdin, own process group, one
//! deadline for exit and both outputs, SIGTERM then SIGKILL.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::WorldOptions;
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

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
    /// Where it runs; `/` unless told.
    pub directory: Option<PathBuf>,
    /// Who runs it; ourselves unless told. Switches user, group and supplementary groups, sets `HOME`, `USER`, `LOGNAME`.
    pub user: Option<String>,
    /// Its own limit; the step's deadline holds in any case.
    pub timeout: Option<Duration>,
    /// Whether its lines are shown while it runs.
    pub live: bool,
}

impl Invocation {
    /// This program with these arguments.
    pub fn new(program: impl Into<String>, arguments: &[&str]) -> Self {
        Self { program: program.into(), arguments: arguments.iter().map(|a| (*a).to_owned()).collect(), ..Self::default() }
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
}

/// Runs programs. The one seam between our code and other people's.
pub trait Programs: Send + Sync {
    /// Runs it to its end, or to its deadline. A non-zero exit is not an error here.
    ///
    /// # Errors
    /// `Missing` when there is no such program, `TimedOut` when it was stopped, `Failed` when its output was left open by a
    /// daemon it started.
    fn run(&self, invocation: &Invocation, deadline: std::time::Instant, lines: Option<&super::LineSink>) -> Result<Output>;
}

/// The real thing.
pub struct RealPrograms {
    environment: IndexMap<String, String>,
    redactor: crate::secret::Redactor,
}

impl RealPrograms {
    /// Programs with this run's environment.
    #[must_use]
    pub fn new(options: &WorldOptions) -> Self {
        Self { environment: options.environment.clone(), redactor: options.redactor.clone() }
    }
}

impl Programs for RealPrograms {
    fn run(&self, invocation: &Invocation, _: std::time::Instant, _: Option<&super::LineSink>) -> Result<Output> {
        let _ = (&self.environment, &self.redactor, Secret::size);
        Err(Error::new(Kind::Bug, format!("`{}` cannot be run yet", invocation.program)))
    }
}
