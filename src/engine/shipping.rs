//! The run's side of shipping: what it says of itself goes into a file that is shipped like any other log; the shipper is the
//! service where there is one, else this process. Nothing of it keeps a run waiting, and nothing of it fails one.

mod link;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::link::{Link, Seeker};
use super::event::{Event, Listener, Stamped, Teller};
use super::metrics::RunMetrics;
use crate::error::{Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::clock::RealClock;
use crate::host::state::StateFolder;
use crate::host::systemd::LOG_RUNTIME;
use crate::lifecycle::LogFlush;
use crate::logs::Means;
use crate::logs::control::Client;
use crate::logs::delivery::Compression;
use crate::logs::own_events::OwnEvents;
use crate::logs::settings::LogSettings;
use crate::playbook::{Playbook, Scope};
use crate::secret::Redactor;

/// The shipper's folder below the run's state.
pub const FOLDER: &str = "logs";
/// What the service is configured with, in that folder.
const CONFIGURATION: &str = "config.json";
/// How often secrets that were made of secrets are handed over.
const EVERY: Duration = Duration::from_millis(500);

/// What is shipped, and for whom.
pub struct Order<'o> {
    /// The run.
    pub run: &'o str,
    /// The `logs:` block, rendered and without problems, with a stream.
    pub settings: LogSettings,
    /// The same as a file, with the names of the secrets.
    pub configuration: String,
    /// Whether the playbook has secrets.
    pub has_secrets: bool,
}

impl<'o> Order<'o> {
    /// What the playbook wants shipped from this instance.
    ///
    /// # Errors
    /// When the service would not take it.
    pub fn new(run: &'o str, mut settings: LogSettings, playbook: &Playbook, scope: &Scope, instance: &str) -> Result<Self> {
        settings.stream.get_or_insert_with(|| instance.to_owned());
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(Error::new(Kind::Playbook, problem));
        }
        let configuration = playbook.log_configuration(&settings, scope, instance)?;
        let has_secrets = !playbook.secret_sources(scope)?.is_empty();
        Ok(Self { run, settings, configuration, has_secrets })
    }
}

/// Ships until it is closed.
pub struct Shipping(Option<Arc<Shared>>);

struct Shared {
    events: Mutex<Option<OwnEvents>>,
    metrics: Mutex<RunMetrics>,
    redactor: Redactor,
    state: Mutex<State>,
    changed: Condvar,
    teller: Teller,
}

struct State {
    link: Link,
    /// Whether all secrets of the playbook are among those the redactor knows.
    complete: bool,
    /// How many of them the shipper knows.
    taught: Option<usize>,
    closed: bool,
}

impl Shipping {
    /// Nobody ships anything.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The playbook wants nothing shipped: then a service that ships for an earlier one stops.
    pub fn stop_service(state: &StateFolder) {
        let logs = folder(state);
        let stopped = match logs.read(CONFIGURATION) {
            Ok(Some(_)) => logs.remove(CONFIGURATION).and_then(|()| Client::new(LOG_RUNTIME.as_ref()).reload()),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            tracing::debug!(%error, "no service was stopped");
        }
    }

    /// Begins to ship the playbook's sources, and what the run says from now on.
    ///
    /// # Errors
    /// When what the run says cannot be kept.
    pub fn start(order: Order<'_>, aws: &Aws, state: &StateFolder, redactor: &Redactor, teller: &Teller) -> Result<Arc<Self>> {
        let telling = teller.clone();
        let means = Means {
            service: Arc::new(aws.clone()),
            clock: RealClock::shared(),
            compression: Compression::default(),
            state: folder(state),
            redactor: redactor.clone(),
            say: Arc::new(move |text: &str| telling.notice(text)),
        };
        Self::begin(order, means, teller)
    }

    fn begin(order: Order<'_>, means: Means, teller: &Teller) -> Result<Arc<Self>> {
        let logs = &means.state;
        let (events, given_up) = OwnEvents::begin(logs, order.run)?;
        if given_up > 0 {
            teller.notice(format!("what {given_up} earlier runs said was not shipped: there was no room to keep it any longer"));
        }
        if logs.read(CONFIGURATION)?.as_deref() != Some(order.configuration.as_bytes()) {
            logs.write(CONFIGURATION, order.configuration.as_bytes())?;
        }
        let shared = Arc::new(Shared {
            events: Mutex::new(Some(events)),
            metrics: Mutex::default(),
            redactor: means.redactor.clone(),
            state: Mutex::new(State { link: Link::Sought, complete: !order.has_secrets, taught: None, closed: false }),
            changed: Condvar::new(),
            teller: teller.clone(),
        });
        let (working, seeker) = (shared.clone(), Seeker { means, settings: order.settings });
        let spawned = std::thread::Builder::new().name("logs".to_owned()).spawn(move || {
            working.found(seeker.seek());
            working.teach_until_closed();
        });
        if let Err(error) = spawned {
            shared.lock(|state| state.link = Link::Nobody);
            teller.notice(format!("no logs are shipped: {error}"));
        }
        let shipping = Arc::new(Self(Some(shared)));
        teller.add(shipping.clone());
        Ok(shipping)
    }

    /// All secrets of the playbook are known to the redactor by now; whoever ships is told before anything can print them.
    pub fn secrets_are_known(&self) {
        let Some(shared) = &self.0 else { return };
        shared.lock(|state| state.complete = true);
        shared.teach();
    }

    /// Ships what there is for at most this long, then no more.
    pub fn close(&self, limit: Duration) {
        let Some(shared) = &self.0 else { return };
        let arrived = shared.flush(limit);
        shared.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let link = shared.lock(|state| {
            state.closed = true;
            std::mem::replace(&mut state.link, Link::Nobody)
        });
        shared.changed.notify_all();
        if let Link::Own(keeper) = link {
            if arrived {
                keeper.sweep();
            }
            // Its time is up.
            keeper.stop(Duration::ZERO);
        }
    }
}

/// Where the shipper keeps its records.
fn folder(state: &StateFolder) -> StateFolder {
    StateFolder::new(state.path().join(FOLDER))
}

impl Shared {
    fn lock<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, line: &str) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = events.as_ref().map(|events| events.push(line)) {
            tracing::warn!(%error, "a word of the run is not shipped");
        }
    }

    /// Hands over what the shipper does not know yet.
    fn teach(&self) {
        let (link, complete, taught) = self.lock(|state| (state.link.clone(), state.complete, state.taught));
        let secrets = self.redactor.secrets();
        if !complete || taught == Some(secrets.len()) || matches!(link, Link::Sought | Link::Nobody) {
            return;
        }
        match link.learn(&secrets) {
            Ok(()) => self.lock(|state| state.taught = Some(secrets.len())),
            Err(error) => tracing::warn!(%error, "the secrets are not handed over"),
        }
    }

    /// From now on this one ships; a run that has ended meanwhile leaves nobody behind.
    fn found(&self, link: Link) {
        let late = self.lock(|state| {
            if state.closed {
                Some(link)
            } else {
                state.link = link;
                None
            }
        });
        self.changed.notify_all();
        if let Some(Link::Own(keeper)) = late {
            keeper.stop(Duration::ZERO);
        }
    }

    fn teach_until_closed(&self) {
        loop {
            self.teach();
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.changed.wait_timeout_while(state, EVERY, |state| !state.closed);
            if waited.unwrap_or_else(PoisonError::into_inner).0.closed {
                return;
            }
        }
    }

    /// Ships what there is for at most this long. Whether all of it went out.
    fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sought = |state: &mut State| matches!(state.link, Link::Sought);
        let waited = self.changed.wait_timeout_while(state, limit, sought);
        let link = waited.unwrap_or_else(PoisonError::into_inner).0.link.clone();
        self.teach();
        match link.flush(until.saturating_duration_since(Instant::now())) {
            Ok(arrived) => arrived,
            Err(error) => {
                self.teller.notice(format!("logs are not shipped for now: {error}"));
                false
            }
        }
    }
}

impl Listener for Shipping {
    fn hear(&self, stamped: &Stamped) {
        let Some(shared) = &self.0 else { return };
        let event = match &stamped.event {
            // Contents of files belong to the files.
            Event::Change { step, text, applying, routine, .. } => {
                Event::Change { step: *step, text: text.clone(), diff: None, applying: *applying, routine: *routine }
            }
            other => other.clone(),
        };
        if let Ok(line) = serde_json::to_string(&Stamped { at: stamped.at, event }) {
            shared.push(&line);
        }
        let measured = shared.metrics.lock().unwrap_or_else(PoisonError::into_inner).hear(stamped);
        measured.iter().for_each(|line| shared.push(line));
    }
}

impl LogFlush for Shipping {
    fn line(&self, _: i64, text: String) {
        self.0.iter().for_each(|shared| shared.push(&text));
    }

    fn flush(&self, limit: Duration) {
        if let Some(shared) = &self.0 {
            shared.flush(limit);
        }
    }
}

#[cfg(test)]
mod tests;
