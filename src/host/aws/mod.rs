//! AWS in our words: parameters, objects, lifecycle actions, log events. Asynchronous work is done on a runtime of its own.
//!
//! Credentials come from the SDK's default chain, endpoints from the SDK's own environment variables. The SDK's retries are off:
//! one throttle gate governs all calls of the process.

mod clients;
mod errors;
mod hooks;
mod log_store;
mod object_changes;
mod objects;
mod parameters;
mod permission;
pub mod secrets;
pub mod trial;

pub use hooks::{Answer, AutoScaling, LaunchHook, Membership, Verdict};
pub use log_store::{Class, LogBody, LogStore, Refusal, Stored, Told};
pub use object_changes::Headers;
pub use objects::{ListedObject, ObjectFacts};
pub use parameters::Parameter;
pub use permission::{Permission, Place, Resource};
pub use secrets::{Fetched, SecretSource};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::clients::Clients;
use super::retry::Retry;
use crate::error::{Error, Kind, Result};

/// How long a call is tried again unless told otherwise.
const PATIENCE: Duration = Duration::from_mins(3);

/// The clients, made when first used. Clones are the same clients behind the same gate.
#[derive(Clone)]
pub struct Aws {
    runtime: tokio::runtime::Handle,
    retry: Retry,
    clients: Arc<Mutex<Option<Arc<Clients>>>>,
    deadline: Option<Instant>,
}

impl Aws {
    /// Clients that work on this runtime. Nothing is asked of anybody yet.
    #[must_use]
    pub fn new(runtime: tokio::runtime::Handle) -> Self {
        Self { runtime, retry: Retry::default(), clients: Arc::default(), deadline: None }
    }

    /// The same clients, which give up at this instant.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The one throttle gate of the process and the way of trying again behind it.
    #[must_use]
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    /// The runtime on which asynchronous work is done.
    #[must_use]
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Waits for asynchronous work from a step's thread.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Makes one call, and makes it again while it may still succeed.
    fn call<T>(&self, attempt: &impl AsyncFn(&Clients) -> Result<T>) -> Result<T> {
        let deadline = self.deadline.unwrap_or_else(|| Instant::now() + PATIENCE);
        self.retry.run(deadline, || self.attempt(attempt))
    }

    /// Makes one call once, where the caller has its own idea of trying again.
    fn attempt<T>(&self, attempt: &impl AsyncFn(&Clients) -> Result<T>) -> Result<T> {
        let clients = self.clients()?;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.runtime.block_on(async {
            match left {
                Some(left) => tokio::time::timeout(left, attempt(&clients))
                    .await
                    .unwrap_or_else(|_| Err(Error::new(Kind::TimedOut, "AWS did not answer before the deadline"))),
                None => attempt(&clients).await,
            }
        })
    }

    /// The clients; whoever comes first makes them while the others wait.
    fn clients(&self) -> Result<Arc<Clients>> {
        let mut held = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = held.as_ref() {
            return Ok(clients.clone());
        }
        let clients = Arc::new(clients::connect(&self.runtime, self.deadline)?);
        *held = Some(clients.clone());
        Ok(clients)
    }

    /// Forgets the credentials with which these clients signed, unless somebody else was faster.
    fn renew_credentials(&self, refused: &Arc<Clients>) {
        self.replace(refused, || Some(Arc::new(refused.with_new_credentials())));
    }

    /// Begins anew, as new credentials were refused as well: where the clock was set back, the token for the metadata service has
    /// run out there and not here, and nothing new is had with it.
    fn begin_anew(&self, refused: &Arc<Clients>) {
        self.replace(refused, || None);
    }

    fn replace(&self, known: &Arc<Clients>, by: impl FnOnce() -> Option<Arc<Clients>>) {
        let mut held = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, known)) {
            *held = by();
        }
    }
}
