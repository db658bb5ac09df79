//! What a user wrote to be run: the one place where the playbook's own programs meet the machine.
//!
//! A [`Guard`] is the one exception to "facts only look": the user promises that it only looks. A dry-run asks it on request
//! only. Only the steps `command`, `health` and `reboot` may build one; a test of the architecture keeps it so.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::programs::{Invocation, Output, Status};
use super::{Answer, Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};
use crate::step::Fingerprint;

/// Why a dry-run does not know a guard's answer.
const NOT_ASKED: &str = "cannot tell: a dry-run asks guards only with `--run-guards`";

/// A program that a user wrote down.
#[derive(Debug, Clone, Default)]
pub struct UserProgram {
    /// Program and arguments. Never empty, or running it is an error.
    pub argv: Vec<String>,
    /// Added to its environment.
    pub environment: IndexMap<String, Sensitive>,
    /// What it reads.
    pub stdin: Option<Sensitive>,
    /// Where it runs.
    pub directory: Option<PathBuf>,
    /// Who runs it.
    pub user: Option<String>,
    /// Its own limit; the step's deadline holds in any case.
    pub timeout: Option<std::time::Duration>,
    /// Whether its output may be seen: while it runs, and in errors.
    pub shown: bool,
    /// Whether its standard output is a secret, which the redactor then learns.
    pub secret: bool,
}

impl UserProgram {
    fn invocation(&self) -> Result<Invocation> {
        let Some((program, arguments)) = self.argv.split_first() else {
            return Err(Error::new(Kind::Playbook, "there is no program to run"));
        };
        Ok(Invocation {
            program: program.clone(),
            arguments: arguments.to_vec(),
            environment: self.environment.clone(),
            stdin: self.stdin.clone(),
            directory: self.directory.clone(),
            user: self.user.clone(),
            timeout: self.timeout,
            ..Invocation::default()
        })
    }

    fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// A program that only looks.
#[derive(Debug, Clone)]
pub struct Guard(UserProgram);

impl Guard {
    /// The user's promise that this program only looks.
    pub fn new(program: UserProgram) -> Self {
        Self(program)
    }
}

impl Facts {
    /// Whether the guard says yes (0) or no (1).
    ///
    /// # Errors
    /// Any other end: a broken guard is never a "no".
    pub fn guard_holds(&self, guard: &Guard) -> Result<Answer<bool>> {
        if !self.world.options.guards {
            return Ok(Answer::Unknown(NOT_ASKED.into()));
        }
        let output = self.run_users(&guard.0, false)?;
        match output.status {
            Status::Code(0) => Ok(Answer::Known(true)),
            Status::Code(1) => Ok(Answer::Known(false)),
            other => Err(self.failure(&guard.0, &output, &format!("{}, which is neither yes (0) nor no (1)", in_words(other)))),
        }
        .doing(|| format!("asking the guard `{}`", guard.0.name()))
    }

    /// What the guard prints, and its exit code, which must be one of these.
    ///
    /// # Errors
    /// Any other end.
    pub fn query(&self, guard: &Guard, good: &[i32]) -> Result<Answer<(Sensitive, i32)>> {
        if !self.world.options.guards {
            return Ok(Answer::Unknown(NOT_ASKED.into()));
        }
        let output = self.run_users(&guard.0, false)?;
        let code = self.must_end_well(&guard.0, &output, good)?;
        let text = output.text().trim().to_owned();
        if !guard.0.secret {
            return Ok(Answer::Known((Sensitive::Plain(text), code)));
        }
        let secret = Secret::new(text);
        self.world.options.redactor.learn(&secret);
        Ok(Answer::Known((Sensitive::Secret(secret), code)))
    }

    /// The digest of an answer, for whoever depends on it.
    pub fn fingerprint_of_answer(&self, answer: &Sensitive) -> Fingerprint {
        Fingerprint::of(&[answer.expose()])
    }

    /// A question's output is an answer, and is not shown while it runs.
    fn run_users(&self, program: &UserProgram, live: bool) -> Result<Output> {
        self.ask(&Invocation { live, ..program.invocation()? })
    }

    fn must_end_well(&self, program: &UserProgram, output: &Output, good: &[i32]) -> Result<i32> {
        match output.status {
            Status::Code(code) if good.contains(&code) => Ok(code),
            other => Err(self.failure(program, output, &in_words(other))),
        }
    }

    fn failure(&self, program: &UserProgram, output: &Output, how: &str) -> Error {
        let error = Error::new(Kind::Failed, format!("`{}` {how}", program.name()));
        if !program.shown {
            return error.hint("its output is not shown, because the playbook says so (`output`)");
        }
        error.tail(output.last_lines(&self.world.options.redactor))
    }
}

impl Host {
    /// Runs what the user wrote.
    ///
    /// # Errors
    /// When it does not end with one of these exit codes; its last lines are then in the error.
    pub fn run_command(&self, program: &UserProgram, good: &[i32]) -> Result<()> {
        let output = self.run_users(program, program.shown)?;
        self.must_end_well(program, &output, good).map(|_| ()).doing(|| format!("running `{}`", program.name()))
    }
}

fn in_words(status: Status) -> String {
    match status {
        Status::Code(126) => "exited with 126 (found, but cannot be executed)".into(),
        Status::Code(127) => "exited with 127 (a program was not found)".into(),
        other => other.to_string(),
    }
}
