//! What all steps of a run share: how programs are run, what may be asked, the redactor, the clients.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::accounts::Databases;
use super::aws::Aws;
use super::cache::Cache;
use super::digests::Digests;
use super::git::Revisions;
use super::programs::Programs;
use super::reboots::Reboots;
use crate::secret::Redactor;

/// An answer that a dry-run may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// This is so.
    Known(T),
    /// Cannot tell, for this reason.
    Unknown(String),
}

/// How a run looks at the world.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent options of a run")]
pub struct WorldOptions {
    /// May ask AWS and git servers. A real run always may; a dry-run only with `--online`.
    pub online: bool,
    /// May run a user's guards (`unless`, `only_if`, `health: command`). A dry-run only with `--run-guards`.
    pub guards: bool,
    /// Leave deployed application revisions where they are: a timer run with `converge: config`.
    pub stay_on_revision: bool,
    /// Try revisions that failed their health once more.
    pub retry_revision: bool,
    /// Started by the timer: what would end the run needs the step's leave.
    pub by_timer: bool,
    /// Given to every program we start, over a clean base environment: the playbook's `env:`.
    pub environment: IndexMap<String, String>,
    /// Where the permitted records are kept.
    pub state: PathBuf,
    /// Masks what leaves.
    pub redactor: Redactor,
    /// Where asynchronous work is done.
    pub runtime: tokio::runtime::Handle,
}

/// What all steps of a run share.
pub struct World {
    /// How this run looks at the world.
    pub options: WorldOptions,
    pub(in crate::host) programs: Arc<dyn Programs>,
    pub(in crate::host) cache: Cache,
    /// What moving targets stood for when this run first asked; never forgotten, so that a re-check compares with the same.
    pub(in crate::host) resolved: Cache,
    pub(in crate::host) digests: Digests,
    pub(in crate::host) aws: Aws,
    pub(in crate::host) accounts: Databases,
    /// Unlike the cache, it outlives applies.
    pub(in crate::host) revisions: Revisions,
    pub(in crate::host) reboots: Reboots,
    /// When it was made, and with it the run, in milliseconds since 1970.
    pub(in crate::host) began: i64,
}

impl World {
    /// The real one.
    #[must_use]
    pub fn new(options: WorldOptions, aws: Aws) -> Arc<Self> {
        let programs = Arc::new(super::programs::RealPrograms::new(&options));
        Self::with_parts(options, aws, programs, Databases::of_machine())
    }

    /// One whose programs are run and whose accounts are kept by somebody else: the seam of the unit tests.
    #[must_use]
    pub(in crate::host) fn with_parts(
        options: WorldOptions,
        aws: Aws,
        programs: Arc<dyn Programs>,
        accounts: Databases,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            programs,
            cache: Cache::default(),
            resolved: Cache::default(),
            digests: Digests::default(),
            aws,
            accounts,
            revisions: Revisions::default(),
            reboots: Reboots::default(),
            began: jiff::Timestamp::now().as_millisecond(),
        })
    }

    /// Forgets cached facts; called after every apply, so that a re-check is always fresh.
    pub fn forget(&self) {
        self.cache.clear();
    }
}
