//! The helper: the agent, re-executed as the user who owns a tree, does there what root must not do.
//!
//! The parent sends one errand as a line of JSON over a pipe (secrets included: pipes are private, argv is not) and reads one reply.

use std::fs::File;
use std::io::{BufRead as _, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Facts;
use super::programs::Invocation;
use super::tree::{self, Ids, Reply, Stop};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// What the line of the reply starts with, so that a library's stray print is not taken for it.
const MARK: &str = "reply: ";

/// Everything a helper can be sent for. A new kind is one variant here and its line in [`perform`].
#[derive(Debug, Serialize, Deserialize)]
pub enum Errand {
    /// Work in the file system.
    Files(tree::Errand),
    /// A file under its temporary name, as `Stage`, whose bytes come after the errand: it may be of any size.
    Copy {
        /// Of the file it will be.
        path: PathBuf,
        /// Whose it is.
        ids: Ids,
    },
    /// A directory made of the archive that comes after the errand.
    Unpack(super::unpacking::UnpackErrand),
    /// Work in a checkout, and the network that goes with it.
    Git(super::git::GitErrand),
    /// A look into a Python environment.
    Python(super::python::PythonErrand),
}

/// Does the errand as whoever we are, with what comes after it; the answer is JSON, since each kind of errand has its own.
fn perform(errand: &Errand, rest: &mut impl Read) -> Result<serde_json::Value> {
    let not_foreign = |stop| match stop {
        Stop::Failed(error) => error,
        // Only root meets a foreign tree, and root sends no helper to root.
        Stop::Foreign(user) => Error::new(Kind::Bug, format!("a helper was sent into a tree of user {user}")),
    };
    match errand {
        Errand::Files(errand) => json(&tree::perform(errand).map_err(not_foreign)?),
        Errand::Copy { path, ids } => {
            let copied = tree::stage_with(path, *ids, |file| Ok(std::io::copy(rest, file)?));
            json(&Reply::Staged(copied.map_err(not_foreign)?.0))
        }
        Errand::Unpack(errand) => {
            errand.perform(rest).map_err(not_foreign)?;
            json(&Reply::Done)
        }
        Errand::Git(errand) => json(&errand.perform()?),
        Errand::Python(errand) => json(&errand.perform()?),
    }
}

impl Facts {
    /// Sends a helper: the same agent, as this user.
    ///
    /// What it may do is the errand's own matter: questions send only errands that look, acts (see [`super::Host`]) any.
    ///
    /// # Errors
    /// As the errand itself; when there is no such user; when the helper cannot be started.
    pub(in crate::host) fn errand<T: DeserializeOwned>(&self, user: &str, errand: &Errand) -> Result<T> {
        self.errand_in(user, None, errand)
    }

    /// The same, and what the helper makes belongs to this group, when one is given.
    ///
    /// # Errors
    /// As [`Facts::errand`].
    pub(in crate::host) fn errand_in<T: DeserializeOwned>(&self, user: &str, group: Option<&str>, errand: &Errand) -> Result<T> {
        let mut text = Zeroizing::new(Vec::new());
        serde_json::to_writer(&mut *text, errand).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        let stdin = Some(Sensitive::Secret(Secret::new(std::mem::take(&mut *text))));
        self.send(&Invocation { stdin, ..helper(user) }.in_group(group), user)
    }

    /// The same for an errand that stands in a file, in its first line, with all that comes after it.
    ///
    /// # Errors
    /// As [`Facts::errand`].
    pub(in crate::host) fn errand_from<T: DeserializeOwned>(&self, user: &str, file: File) -> Result<T> {
        self.send(&Invocation { stdin_file: Some(Arc::new(file)), ..helper(user) }, user)
    }

    fn send<T: DeserializeOwned>(&self, invocation: &Invocation, user: &str) -> Result<T> {
        let output = self.ask(invocation).doing(|| format!("working as user `{user}`"))?;
        let reply = output.stdout.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(MARK.as_bytes()));
        let Some(reply) = reply else {
            let said = output.required(invocation, &self.world.options.redactor);
            return Err(match said {
                Ok(_) => Error::new(Kind::Bug, "the helper ended without an answer"),
                Err(error) => error,
            }
            .doing(format!("working as user `{user}`")));
        };
        let reply: std::result::Result<T, Error> = serde_json::from_slice(reply)
            .map_err(|error| Error::from_source(Kind::Bug, &error).doing("reading the helper's answer"))?;
        reply
    }
}

fn helper(user: &str) -> Invocation {
    let (program, arguments) = ourselves();
    Invocation::new(program, arguments).as_user(user)
}

/// The program that is running, whatever has become of its file, and the hidden subcommand that makes it a helper.
#[cfg(not(test))]
fn ourselves() -> (&'static str, &'static [&'static str]) {
    ("/proc/self/exe", &["__errand"])
}

/// Under test the running program is the test suite: one of its tests plays the helper.
#[cfg(test)]
fn ourselves() -> (&'static str, &'static [&'static str]) {
    ("/proc/self/exe", &["--exact", "host::as_user::tests::the_helper", "--ignored", "--nocapture", "--quiet"])
}

/// Reads one errand from standard input, does it, writes the reply to standard output.
#[must_use]
pub fn answer_errand() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> Result<()> {
    // What the helper makes on the way is nobody else's, and its memory goes to no disk.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    let mut text = Zeroizing::new(Vec::new());
    let mut input = std::io::stdin().lock();
    // JSON has no line breaks unless it is made pretty.
    input.read_until(b'\n', &mut text)?;
    let errand: Errand = serde_json::from_slice(&text).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    drop(text);
    let reply = perform(&errand, &mut input);
    let mut line = Zeroizing::new(MARK.as_bytes().to_vec());
    serde_json::to_writer(&mut *line, &reply).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    line.insert(0, b'\n');
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}

fn json(reply: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(reply).map_err(|error| Error::from_source(Kind::Bug, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "not a test: what `ourselves` starts while testing"]
    fn the_helper() {
        assert_eq!(answer_errand(), ExitCode::SUCCESS);
    }
}
