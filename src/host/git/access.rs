//! What a transport needs to reach a server, and how it tells what went wrong.
//!
//! libgit2 makes transports by itself, from a URL, somewhere inside a fetch; it has no place for credentials and reduces errors to
//! text. A fetch happens entirely on the thread that asked for it, so both travel in a slot of that thread.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::address::Address;
use super::pins::Pins;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Access>>> = const { RefCell::new(None) };
}

/// How a server is reached during one errand.
pub struct Access {
    /// The repository itself; credentials and pins are for its host only.
    pub address: Address,
    /// The private key for SSH.
    pub ssh_key: Option<Secret>,
    /// Name and token for HTTPS.
    pub token: Option<(String, Secret)>,
    /// Host keys the server may show.
    pub pins: Pins,
    /// When it must be over.
    pub deadline: Instant,
    /// Where connections live.
    pub runtime: tokio::runtime::Runtime,
    failure: Mutex<Option<Error>>,
    /// The repository that the server said has moved, and where to.
    moved: Mutex<Option<(String, String)>>,
    /// Whether the server wants the token by itself, as a bearer token.
    wants_bearer: AtomicBool,
}

impl Access {
    /// Access with nothing but a place and a time limit.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(address: Address, limit: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let deadline = Instant::now() + limit;
        let (failure, moved, wants_bearer) = (Mutex::new(None), Mutex::new(None), AtomicBool::new(false));
        Ok(Self { address, ssh_key: None, token: None, pins: Pins::default(), deadline, runtime, failure, moved, wants_bearer })
    }

    /// Does work that may reach for the server; what the transport has to say about a failure replaces libgit2's words.
    ///
    /// # Errors
    /// The transport's own error, or libgit2's.
    pub fn during<T>(self: &Arc<Self>, work: impl FnOnce() -> Result<T, git2::Error>) -> Result<T> {
        super::transport::register()?;
        let before = CURRENT.with(|slot| slot.replace(Some(self.clone())));
        let result = work();
        CURRENT.with(|slot| slot.replace(before));
        result.map_err(|error| self.failure().take().unwrap_or_else(|| from_git(&error)))
    }

    /// The access of the errand that this thread is doing.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.with(|slot| slot.borrow().clone())
    }

    /// Whether this address is on the host that the credentials are for.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        self.address.host() == address.host()
    }

    /// Waits for asynchronous work, but not beyond the deadline; `what` names it if it takes too long.
    ///
    /// # Errors
    /// `TimedOut`.
    pub fn wait<T>(&self, what: &str, limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = limit.map_or(left, |limit| limit.min(left));
        self.runtime.block_on(async { tokio::time::timeout(limit, work).await }).map_err(|_| {
            // A server that does not answer a first call may answer the next; a deadline that is over stays over.
            let kind = if limit < left { Kind::Unreachable } else { Kind::TimedOut };
            Error::new(kind, format!("{what} took longer than {}s", limit.as_secs()))
        })
    }

    /// Keeps the transport's error for whoever asked for the fetch, and makes one that libgit2 can carry.
    pub fn fail(&self, error: Error) -> git2::Error {
        let text = error.to_string();
        self.failure().get_or_insert(error);
        git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Net, text)
    }

    /// Remembers that the server wants the token as a bearer token; whether that is news.
    pub fn turn_to_bearer(&self) -> bool {
        !self.wants_bearer.swap(true, Ordering::Relaxed)
    }

    /// Whether the token goes out as a bearer token, without a name.
    #[must_use]
    pub fn with_bearer(&self) -> bool {
        self.wants_bearer.load(Ordering::Relaxed)
    }

    /// Remembers that this repository is elsewhere, so that the next question goes there at once.
    pub fn has_moved(&self, repository: &str, to: &str) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some((repository.to_owned(), to.to_owned()));
    }

    /// Where this repository is, as far as the server has said.
    #[must_use]
    pub fn place_of(&self, repository: &str) -> String {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.as_ref().filter(|(from, _)| from == repository).map_or(repository, |(_, to)| to).to_owned()
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// libgit2's error in our words.
pub fn from_git(error: &git2::Error) -> Error {
    let kind = match error.code() {
        git2::ErrorCode::NotFound => Kind::Missing,
        git2::ErrorCode::Auth | git2::ErrorCode::Certificate => Kind::Denied,
        _ if error.class() == git2::ErrorClass::Net => Kind::Unreachable,
        _ => Kind::Failed,
    };
    let message = error.message().trim_end_matches('.');
    let mut letters = message.chars();
    // Lower case like every message of ours, but for names such as `HEAD`.
    let text = match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(std::iter::once(second)).chain(letters).collect()
        }
        _ => message.to_owned(),
    };
    let full = message.contains("No space left");
    let error = Error::new(kind, text);
    if full {
        error.with_kind(Kind::Failed).hint("the disk is full; free some space, the next run finishes the work")
    } else {
        error
    }
}

impl From<git2::Error> for Error {
    fn from(error: git2::Error) -> Self {
        from_git(&error)
    }
}
