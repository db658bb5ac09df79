//! What is asked of the helper that works in a checkout as its owner: network and tree, in one process that is not root.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::access::Access;
use super::bring::{self, Wish};
use super::hand_over::hand_over;
use super::look::{self, Place};
use super::pins::Pins;
use super::releases::{self, Releases};
use super::resolve::Resolved;
use crate::error::{Context, Error, Kind, Result};
use crate::secret::Secret;

/// How often a server that does not answer is tried: about a quarter of a minute in all.
const MOST_TRIES: u32 = 4;

/// A task for the helper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum GitErrand {
    /// What stands there?
    Look {
        /// The checkout.
        path: PathBuf,
        /// Whether submodules matter.
        submodules: bool,
    },
    /// What does this revision mean on the server?
    Resolve {
        /// The server.
        server: Server,
        /// The revision; the default branch when there is none.
        revision: Option<String>,
    },
    /// Make it so.
    Bring {
        /// The server.
        server: Server,
        /// The checkout as it shall be.
        wish: Wish,
    },
    /// Which releases stand there?
    Releases {
        /// The place of the application.
        path: PathBuf,
    },
    /// Remove these.
    RemoveReleases {
        /// The place of the application.
        path: PathBuf,
        /// Commits, and names of leftovers.
        names: Vec<String>,
    },
    /// Give it to the group that the helper is in.
    HandOver {
        /// The checkout.
        path: PathBuf,
    },
}

/// What the helper answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum GitReply {
    /// What stands there.
    Place(Place),
    /// What the revision means.
    Resolved(Resolved),
    /// Which releases stand there.
    Releases(Releases),
    /// It is done.
    Done,
}

/// How the helper reaches the server. Goes through a pipe, secrets included, and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    /// The address, as written.
    pub url: String,
    /// The private key for SSH.
    #[serde(with = "piped")]
    pub ssh_key: Option<Secret>,
    /// The token for HTTPS.
    #[serde(with = "piped")]
    pub token: Option<Secret>,
    /// The name that goes with the token.
    pub token_user: String,
    /// Host keys the server may show.
    pub pins: Pins,
    /// How long it may take.
    pub limit: Duration,
}

impl Server {
    fn access(&self) -> Result<Arc<Access>> {
        let address = self.url.parse().map_err(|why: String| Error::new(Kind::Playbook, why))?;
        let mut access = Access::new(address, self.limit)?;
        access.ssh_key.clone_from(&self.ssh_key);
        access.token = self.token.clone().map(|token| (self.token_user.clone(), token));
        access.pins = self.pins.clone();
        Ok(Arc::new(access))
    }

    /// Tries again what may pass by itself: a server that does not answer, or asks us to slow down.
    fn patiently<T>(&self, attempt: impl Fn(&Arc<Access>) -> Result<T>) -> Result<T> {
        let access = self.access()?;
        let mut tries = 1;
        loop {
            let error = match attempt(&access) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // Drawn from the whole interval: a fleet that boots at once must not come back at once.
            let wait = Duration::from_secs(1 << tries).mul_f64(rand::random::<f64>().max(0.1));
            if !error.kind().is_transient() || tries >= MOST_TRIES || Instant::now() + wait >= access.deadline {
                return Err(error);
            }
            std::thread::sleep(wait);
            tries += 1;
        }
    }
}

impl GitErrand {
    /// Does it, as whoever we are.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub fn perform(&self) -> Result<GitReply> {
        // A checkout is for others to read, as git's own is; whoever called us may be stricter.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        match self {
            Self::Look { path, submodules } => {
                let place = look::look(path, *submodules).doing(|| format!("looking at `{}`", path.display()))?;
                Ok(GitReply::Place(place))
            }
            Self::Resolve { server, revision } => {
                let name = revision.as_deref().unwrap_or("HEAD");
                let what = format!("asking `{}` for `{name}`", server.url);
                server.patiently(|access| bring::ask(access, revision.as_deref())).map(GitReply::Resolved).doing(|| what)
            }
            Self::Bring { server, wish } => {
                let name = wish.revision.as_deref().unwrap_or("HEAD");
                let what = format!("fetching `{name}` from `{}`", server.url);
                let bring = if wish.release { releases::make } else { bring::bring };
                server.patiently(|access| bring(wish, access)).map(GitReply::Resolved).doing(|| what)
            }
            Self::Releases { path } => Releases::look(path).map(GitReply::Releases),
            Self::RemoveReleases { path, names } => releases::remove(path, names).map(|()| GitReply::Done),
            Self::HandOver { path } => hand_over(path).map(|()| GitReply::Done),
        }
    }
}

/// A secret on its way through the pipe.
mod piped {
    use super::{Deserialize, Deserializer, Secret, Serialize, Serializer};

    #[allow(clippy::ref_option)] // The form that serde calls.
    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Vec<u8>>::deserialize(deserializer)?.map(Secret::new))
    }
}
