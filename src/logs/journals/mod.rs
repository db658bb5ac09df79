//! The journal as a source: one `journalctl` for all units, identifiers and the kernel, filtered here, from an entry on that the
//! service is known to have.
//!
//! Entries are numbered as they are read; the outbox says up to which number all is acknowledged, and the cursor of that entry is
//! what is recorded. An entry that no source wants counts as acknowledged, so that a quiet source does not hold the place back
//! until its journal is vacuumed.

mod cursor;
mod export;
mod filter;
mod gathered;
mod progress;
mod supervisor;

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use cursor::{Cursor, Gap};
pub use export::{Entry, Field};
pub use filter::Filter;

use self::progress::Progress;
use self::supervisor::Supervisor;
use super::figures::Figures;
use super::outbox::{Destination, Outbox};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::journalctl::{self, Stop};
pub use crate::host::journalctl::{Begin, Journals};
use crate::secret::Masker;

/// The shipper's own service: what it writes about its work is not shipped by it, or each batch would make the next one.
pub const OWN_UNIT: &str = "bootstrap-agent-logs.service";

/// What a journal's entries pass on their way.
#[derive(Clone)]
pub struct Way {
    /// Where they go.
    pub outbox: Outbox,
    /// What hides secrets in them.
    pub masker: Masker,
    /// What counts them.
    pub figures: Figures,
}

/// Whoever is told what an operator should know: that entries are missing, that `journalctl` fails.
pub type Report = Box<dyn Fn(String) + Send>;

/// Follows the journals until it is stopped or dropped.
pub struct Journal {
    journals: Journals,
    outbox: Outbox,
    progress: Arc<Progress>,
    stop: Option<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Follows the journals for these sources.
    ///
    /// # Errors
    /// `Missing` where there is no `journalctl`; when it or a thread cannot be started.
    pub fn follow(
        journals: Journals,
        begin: Begin,
        sources: Vec<(Filter, Destination)>,
        way: Way,
        report: Report,
    ) -> Result<Self> {
        let (stop, stopped) = journalctl::stop()?;
        let feeds = sources.into_iter().map(|(filter, to)| (filter, way.outbox.register(&to, 0))).collect::<Vec<_>>();
        let resume = if let Begin::Cursor(cursor) = &begin { Some(cursor.clone()) } else { None };
        let progress = Arc::new(Progress::new(feeds.iter().map(|(_, source)| *source), resume));
        let outbox = way.outbox.clone();
        let supervisor = Supervisor::new(journals.clone(), begin, feeds, way, Arc::clone(&progress), stopped, report);
        // The child lives as long as the thread that starts it; so the thread does, and tells how it went.
        let (started, start) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || supervisor.run(&started))
            .doing(|| "starting a thread for the journal".to_owned())?;
        start.recv().unwrap_or_else(|_| Err(Error::new(Kind::Bug, "the thread for the journal has ended")))?;
        Ok(Self { journals, outbox, progress, stop: Some(stop), thread: Some(thread) })
    }

    /// The cursor up to which everything is stored by the service; `None` while nothing has been read.
    #[must_use]
    pub fn acknowledged(&self) -> Option<String> {
        self.progress.acknowledged(|source| self.outbox.acknowledged(source))
    }

    /// Waits until everything that was written to the journal before this call has been read, for at most this long. Whether it
    /// has. What was read is in the outbox.
    #[must_use]
    pub fn catch_up(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        self.journals.sync();
        let Some(newest) = supervisor::newest(&self.journals) else { return true };
        self.progress.wait_until(end, |last| last.is_some_and(|last| last.has_reached(&newest)))
    }

    /// How old the oldest entry is that was read and is not acknowledged: its time, in milliseconds since 1970.
    #[must_use]
    pub fn oldest_unacknowledged(&self) -> Option<i64> {
        let cursor = self.acknowledged().and_then(|text| Cursor::parse(&text))?;
        let behind = self.progress.last().is_some_and(|last| !cursor.has_reached(&last));
        behind.then(|| i64::try_from(cursor.realtime / 1000).unwrap_or(i64::MAX))
    }

    /// Reads no more. What was read goes on to be acknowledged.
    pub fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.progress.sources().for_each(|source| self.outbox.retire(source));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}
