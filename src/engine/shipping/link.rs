//! Who ships: the service where it is installed, else this process, by the same code.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::host::process;
use crate::host::systemd::{LOG_RUNTIME, log_unit_is_for, start_log_unit};
use crate::logs::control::Client;
use crate::logs::secrets::Knowledge;
use crate::logs::settings::LogSettings;
use crate::logs::{Keeper, Means};
use crate::secret::Secret;

/// How long the service may take from its start to its first answer.
const ANSWERS: Duration = Duration::from_secs(5);

/// Who ships.
#[derive(Clone)]
pub(super) enum Link {
    /// Not known yet.
    Sought,
    /// The service.
    Service(Client),
    /// This process.
    Own(Keeper),
    /// Nobody.
    Nobody,
}

impl Link {
    pub(super) fn learn(&self, secrets: &[Secret]) -> Result<()> {
        match self {
            Self::Service(client) => client.learn(secrets),
            Self::Own(keeper) => keeper.knowledge().learn(secrets),
            Self::Sought | Self::Nobody => Ok(()),
        }
    }

    pub(super) fn flush(&self, limit: Duration) -> Result<bool> {
        match self {
            Self::Service(client) => client.flush(limit),
            Self::Own(keeper) => Ok(keeper.flush(limit)),
            Self::Sought => Err(Error::new(Kind::TimedOut, "the service that ships them has not answered yet")),
            Self::Nobody => Ok(false),
        }
    }
}

/// Finds out who ships.
pub(super) struct Seeker {
    /// What this process would ship with; the service's configuration is in the same folder.
    pub(super) means: Means,
    pub(super) settings: LogSettings,
}

impl Seeker {
    pub(super) fn seek(self) -> Link {
        if process::is_root() && log_unit_is_for(self.means.state.path()) {
            match self.service() {
                Ok(client) => return Link::Service(client),
                Err(error) => (self.means.say)(&format!("this run ships its logs by itself: {error}")),
            }
        }
        let say = self.means.say.clone();
        self.own().unwrap_or_else(|error| {
            say(&format!("no logs are shipped: {error}"));
            Link::Nobody
        })
    }

    fn service(&self) -> Result<Client> {
        start_log_unit()?;
        let client = Client::new(LOG_RUNTIME.as_ref());
        let until = Instant::now() + ANSWERS;
        let state = loop {
            match client.state() {
                Ok(state) => break state,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => process::pause(Duration::from_millis(20)),
            }
        };
        if state != self.means.state.path() {
            return Err(Error::new(Kind::Failed, format!("the service keeps its records in `{}`", state.display())));
        }
        client.reload()?;
        Ok(client)
    }

    fn own(self) -> Result<Link> {
        let knowledge = Knowledge::new(self.means.redactor.clone(), None);
        let keeper = Keeper::take(self.means, knowledge)?;
        keeper.ship(&self.settings);
        Ok(Link::Own(keeper))
    }
}
