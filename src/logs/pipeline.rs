//! The pipeline: files and journals are read into the outbox, delivery empties it, and how far the service has everything
//! is written down. One thread for all files, one for the journal, a few that send.

mod flush;
mod report;
mod work;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::flush::Flushes;
use self::work::Work;
use super::complaints::{Complaints, Say};
use super::delivery::Compression;
use super::files::Waker;
use super::outbox::{Limits, Outbox};
use super::settings::LogSettings;
use crate::error::Result;
use crate::host::aws::LogStore;
use crate::host::clock::Clock;
use crate::host::state::StateFolder;
use crate::secret::Redactor;

/// What a pipeline needs from its process.
#[derive(Clone)]
pub struct Means {
    /// The calls; usually `Arc::new(aws)`.
    pub service: Arc<dyn LogStore>,
    /// The clock on which senders wait.
    pub clock: Arc<dyn Clock>,
    /// Whether requests are compressed.
    pub compression: Compression,
    /// Where places, dead letters, rescued bytes and the status are kept.
    pub state: StateFolder,
    /// Masks secrets by their values; what looks like one is masked as the settings say.
    pub redactor: Redactor,
    /// Says one sentence to whoever is in charge.
    pub say: Say,
}

/// What is shipped.
pub struct Plan {
    /// The `logs:` block, rendered and without problems.
    pub settings: LogSettings,
    /// The stream where a source and the block name none.
    pub stream: String,
    /// By what means.
    pub means: Means,
}

/// How long its end may take, unless told.
const LAST_MOMENT: Duration = Duration::from_secs(4);

/// Ships until it is dropped.
pub struct Pipeline {
    outbox: Outbox,
    flushes: Arc<Flushes>,
    waker: Option<Waker>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Pipeline {
    /// Begins to ship.
    ///
    /// # Errors
    /// When a pattern of the settings is none, or no thread can be started.
    pub fn start(plan: Plan) -> Result<Self> {
        let outbox = Outbox::new(Limits::default());
        let flushes = Arc::new(Flushes::default());
        let complaints = Complaints::new(plan.means.say.clone());
        let work = Work::begin(plan, &outbox, complaints, flushes.clone())?;
        let waker = work.waker();
        let spawned = std::thread::Builder::new().name("logs".to_owned()).spawn(move || work.run());
        Ok(Self { outbox, flushes, waker, thread: Mutex::new(Some(spawned?)) })
    }

    /// Ships what was written so far, for at most this long. Whether all of it is stored.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let asked = self.flushes.ask();
        self.wake();
        self.flushes.wait(asked, end) && self.outbox.flush(end.saturating_duration_since(Instant::now()))
    }

    /// Ends, whoever else still asks something of it: by then what has been read is sent, and what was acknowledged is recorded.
    pub fn end(&self, by: Instant) {
        self.flushes.stop_by(by);
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.end(Instant::now() + LAST_MOMENT);
    }
}

#[cfg(test)]
mod tests;
