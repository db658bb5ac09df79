//! AWS in our words: parameters, objects, lifecycle actions, log events. Asynchronous work is done on a runtime of its own.
//!
//! Credentials come from the SDK's default chain, endpoints from the SDK's own environment variables.

pub mod secrets;

pub use secrets::{Fetched, SecretSource};

/// The clients, made when first used.
#[derive(Clone)]
pub struct Aws {
    runtime: tokio::runtime::Handle,
}

impl Aws {
    /// Clients that work on this runtime. Nothing is asked of anybody yet.
    #[must_use]
    pub fn new(runtime: tokio::runtime::Handle) -> Self {
        Self { runtime }
    }

    /// Waits for asynchronous work from a step's thread.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}
