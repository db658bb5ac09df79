//! Every touch of the outside world, in our words: one file per subject, each giving [`Facts`] questions and [`Host`] acts.
//!
//! [`Facts`] can look and cannot write; [`Host`] can do both. Neither offers a raw "run this program" to a step: each question
//! is a named one, reviewed once, here. Both are cheap to clone and belong to one step of one run.

pub mod account_changes;
pub mod aws;
pub mod body;
pub mod clock;
pub mod compare;
pub mod console;
pub mod deadline;
pub mod digest;
pub mod disk;
pub mod documents;
pub mod env_format;
pub mod fetched;
pub mod files;
pub mod folder_watch;
pub mod folders;
pub mod foreign_links;
pub mod git;
pub mod guard;
pub mod homes;
pub mod host_keys;
pub mod inode;
pub mod inputs;
pub mod installation;
pub mod instance;
pub mod journalctl;
pub mod network;
pub mod object_folder;
pub mod openpgp;
pub mod origin;
pub mod packages;
pub mod private_file;
pub mod process;
pub mod programs;
pub mod python;
pub mod reboots;
pub mod retry;
pub mod rollback;
pub mod run_lock;
pub mod ssh_files;
pub mod starts;
pub mod bounded_lines;
pub mod state;
pub mod systemd;
pub mod traffic;
pub mod unpacking;
pub mod users;
pub mod waits;
pub mod write;

#[cfg(test)]
pub mod fakes;

mod accounts;
mod as_user;
mod cache;
mod digests;
mod tree;
mod world;

pub use as_user::answer_errand;
use documents::Beside;
pub use world::{Answer, World, WorldOptions};

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::deadline::Deadline;
use crate::step::Fingerprint;

/// Takes the lines that a child prints while it runs, already redacted.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// How long a look may take that begins when the time is over.
const LAST_LOOK: Duration = Duration::from_secs(3);

/// What belongs to the one step that is asking.
#[derive(Clone)]
pub struct StepScope {
    /// When the step must be over. Programs are stopped then.
    pub deadline: Deadline,
    /// Fingerprints of the steps before it, by id; `None` for those that are not known yet (a dry-run's pending steps).
    pub fingerprints: Arc<HashMap<String, Option<Fingerprint>>>,
    /// Where the output of its programs goes.
    pub lines: LineSink,
    /// Takes what it waits for, when that is neither a program of its own nor the time to look again: who holds apt's lock.
    pub waiting: LineSink,
    /// The files that came with the playbook, for `source:`.
    pub beside: Beside,
}

/// Questions about the machine. Cannot write.
#[derive(Clone)]
pub struct Facts {
    world: Arc<World>,
    scope: StepScope,
    waits: Arc<waits::Waits>,
}

impl Facts {
    /// The view of one step.
    #[must_use]
    pub fn new(world: Arc<World>, scope: StepScope) -> Self {
        Self { world, scope, waits: Arc::default() }
    }

    /// How long the step has waited for others, so far.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waits.total()
    }

    /// When the step must be over, however long a lifecycle hook may yet wait.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.scope.deadline.last()
    }

    /// The same view with a moment left: when the time is over, what led to it is still worth a look.
    #[must_use]
    pub fn with_a_moment_left(&self) -> Self {
        self.with_at_least(LAST_LOOK)
    }

    /// The same view with this much time left at the least.
    #[must_use]
    pub fn with_at_least(&self, span: Duration) -> Self {
        let mut facts = self.clone();
        let moment = Instant::now() + span;
        if facts.scope.deadline.instant() < moment {
            facts.scope.deadline = Deadline::at(moment);
        }
        facts
    }

    /// The fingerprint of an earlier step, for `restart_on` and `on_change`: unknown while that step is pending in a dry-run.
    #[must_use]
    pub fn fingerprint(&self, step: &str) -> Answer<Fingerprint> {
        match self.scope.fingerprints.get(step) {
            Some(Some(known)) => Answer::Known(known.clone()),
            _ => Answer::Unknown(format!("cannot tell before step `{step}` has run")),
        }
    }

    /// One fingerprint over all these steps, in this order.
    #[must_use]
    pub fn fingerprint_of_all(&self, steps: &[String]) -> Answer<Fingerprint> {
        let mut parts = Vec::new();
        for step in steps {
            match self.fingerprint(step) {
                Answer::Known(fingerprint) => parts.push(fingerprint.0),
                Answer::Unknown(why) => return Answer::Unknown(why),
            }
        }
        Answer::Known(Fingerprint::of(&parts.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>()))
    }

    /// The files that came with the playbook.
    #[must_use]
    pub fn beside(&self) -> &Beside {
        &self.scope.beside
    }
}

/// Acts on the machine. Only the engine makes one, and only when it is not a dry-run.
#[derive(Clone)]
pub struct Host {
    facts: Facts,
}

impl Host {
    /// The hands of one step.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self { facts }
    }
}

impl Deref for Host {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}
