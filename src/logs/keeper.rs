//! The one shipper of one state folder, whoever runs it: the service, or a run where there is no service. Holds the lock that keeps
//! a second one away, keeps application logs back until the secrets are known, and removes what runs said once it has arrived.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::own_events;
use super::pipeline::{Means, Pipeline, Plan};
use super::secrets::Knowledge;
use super::settings::{LogSettings, Source};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::state::StateFolder;

const LOCK: &str = "shipper.lock";
/// Who ships otherwise may just be ending.
const ENDING: Duration = Duration::from_secs(6);
/// What the shipper that is replaced may still send.
const HANDOVER: Duration = Duration::from_secs(2);
/// The same for what has to arrive before the files of runs that are over are removed.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Ships until it is dropped. Clones are the same.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

struct Shared {
    means: Means,
    knowledge: Knowledge,
    shift: Mutex<Shift>,
    changed: Condvar,
    /// Locked.
    _held: File,
}

/// Who is at work.
#[derive(Default)]
struct Shift {
    now: Option<Now>,
    /// One ends and the next one begins.
    changing: bool,
}

/// What is shipped now.
struct Now {
    settings: LogSettings,
    /// All of it; not only what cannot hold secrets.
    whole: bool,
    pipeline: Arc<Pipeline>,
}

impl Keeper {
    /// Takes the right to ship.
    ///
    /// # Errors
    /// `Locked` when somebody else ships with this state; when the lock cannot be made.
    pub fn take(means: Means, knowledge: Knowledge) -> Result<Self> {
        let held = lock(&means.state)?;
        Ok(Self(Arc::new(Shared { means, knowledge, shift: Mutex::default(), changed: Condvar::new(), _held: held })))
    }

    /// What it masks.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.0.knowledge
    }

    /// Ships this from now on, instead of what it shipped before. Application logs begin when the secrets are known.
    pub fn ship(&self, settings: &LogSettings) {
        let whole = self.0.knowledge.is_complete();
        self.begin(settings, whole);
        if whole {
            return;
        }
        let (this, settings) = (self.clone(), settings.clone());
        let waits = move || {
            let known = this.0.knowledge.wait();
            // Unless something else is shipped by now, or nothing any more.
            if !this.shift(|shift| shift.now.as_ref().is_some_and(|now| !now.whole && now.settings == settings)) {
                return;
            }
            if !known {
                (this.0.means.say)(
                    "the secrets of the playbook are not known so far: application logs are shipped with what looks like a \
                     secret masked, but the secrets themselves are not",
                );
            }
            this.begin(&settings, true);
        };
        if let Err(error) = std::thread::Builder::new().name("secrets".to_owned()).spawn(waits) {
            (self.0.means.say)(&format!("application logs are not shipped: {error}"));
        }
    }

    /// Ships nothing from now on.
    pub fn ship_nothing(&self) {
        self.end(HANDOVER);
    }

    /// Ends, having shipped what was written so far for at most this long; and lets nobody wait for it.
    pub fn stop(&self, limit: Duration) {
        self.end(limit);
        self.0.knowledge.stop();
    }

    /// A run may be waiting for a flush meanwhile: that must not keep the old pipeline at work beside the next one.
    fn end(&self, limit: Duration) {
        let by = Instant::now() + limit;
        if let Some(before) = self.shift(|shift| shift.now.take()) {
            let _all = before.pipeline.flush(limit);
            before.pipeline.end(by);
        }
    }

    /// Whether it ships just this.
    #[must_use]
    pub fn ships(&self, settings: &LogSettings) -> bool {
        self.shift(|shift| shift.now.as_ref().is_some_and(|now| now.settings == *settings))
    }

    /// Ships what was written so far, for at most this long. Whether all of it went out.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        // A run of a second ends in the middle of the change that its secrets brought about: nobody is at work then, and much waits.
        let between = |shift: &mut Shift| {
            shift.changing || shift.now.as_ref().is_some_and(|now| !now.whole) && self.0.knowledge.is_complete()
        };
        let shift = self.0.shift.lock().unwrap_or_else(PoisonError::into_inner);
        let shift = self.0.changed.wait_timeout_while(shift, limit, between).unwrap_or_else(PoisonError::into_inner).0;
        let (changing, now) = (shift.changing, shift.now.as_ref().map(|now| (now.pipeline.clone(), now.whole)));
        drop(shift);
        match now {
            Some((pipeline, whole)) => pipeline.flush(until.saturating_duration_since(Instant::now())) && whole,
            None => !changing,
        }
    }

    /// Removes what runs that are over said, if it has arrived.
    pub fn sweep(&self) {
        let pipeline = || self.shift(|shift| shift.now.as_ref().map(|now| now.pipeline.clone()));
        let arrived = || pipeline().is_some_and(|it| it.flush(ARRIVAL));
        if let Err(error) = own_events::sweep(&self.0.means.state, arrived) {
            tracing::warn!(%error, "what runs said is not removed");
        }
    }

    fn begin(&self, settings: &LogSettings, whole: bool) {
        self.shift(|shift| shift.changing = true);
        self.ship_nothing();
        let mut planned = settings.clone();
        if !whole {
            planned.sources.retain(is_of_the_bootstrap);
        }
        planned.sources.extend(own_source(&self.0.means.state));
        let means = self.0.means.clone();
        let stream = planned.stream.clone().unwrap_or_default();
        let started = Pipeline::start(Plan { settings: planned, stream, means: means.clone() });
        let now = started
            .map(|pipeline| Now { settings: settings.clone(), whole, pipeline: Arc::new(pipeline) })
            .map_err(|error| (means.say)(&format!("no logs are shipped: {error}")));
        self.shift(|shift| *shift = Shift { now: now.ok(), changing: false });
    }

    fn shift<T>(&self, use_it: impl FnOnce(&mut Shift) -> T) -> T {
        let used = use_it(&mut self.0.shift.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
        used
    }
}

/// The events of runs, to where the block says.
fn own_source(state: &StateFolder) -> Option<Source> {
    // What happened is shipped with the time at which it happened, however long the way was.
    let timestamp = serde_json::json!({ "format": "epoch", "after": "\"at\":" });
    serde_json::from_value(serde_json::json!({ "file": own_events::pattern(state), "timestamp": timestamp })).ok()
}

/// Whether it is the instance's own beginning, which is to be seen from the first second on and has no secret of the playbook.
/// Only a file: the journal has one place for all its sources, which must not move past what waits.
fn is_of_the_bootstrap(source: &Source) -> bool {
    source.file.as_deref().is_some_and(|file| file.starts_with("/var/log/cloud-init"))
}

fn lock(state: &StateFolder) -> Result<File> {
    let path = state.path().join(LOCK);
    let open = || {
        DirBuilder::new().recursive(true).mode(0o700).create(state.path())?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)
    };
    let file = open().doing(|| format!("opening `{}`", path.display()))?;
    let until = Instant::now() + ENDING;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Locked, format!("another shipper works with `{}`", state.path().display())));
            }
            Err(TryLockError::Error(error)) => return Err(error).doing(|| format!("locking `{}`", path.display())),
        }
    }
}

#[cfg(test)]
mod tests;
