//! What the service does when it is asked: reads its configuration, learns secrets, flushes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::host::aws::{Aws, Fetched};
use crate::host::instance::{Discovery, Instance, os_values};
use crate::logs::Keeper;
use crate::logs::control::Served;
use crate::logs::settings::LogSettings;
use crate::playbook::{InstanceValues, LogConfiguration};
use crate::secret::{Secret, Sensitive};

/// How long the metadata service may take at a time, and when it is asked again.
const ASK: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
/// The stream of what names none, where no source needs one.
const UNNAMED: &str = "agent";

/// Where the configuration comes from, and whom it asks.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Whom secrets are fetched from.
    pub aws: Aws,
    /// Nobody is asked any more when this says so.
    pub stop: Stop,
}

/// The service.
pub struct Service {
    source: Source,
    keeper: Keeper,
    /// The secrets of the last configuration, by name and place; `None` before there was one.
    names: Mutex<Option<Vec<String>>>,
}

impl Service {
    /// Ships nothing yet.
    pub fn new(source: Source, keeper: Keeper) -> Self {
        Self { source, keeper, names: Mutex::default() }
    }

    /// Ships what the configuration says. Nothing, when it was written for another instance: then it is a copy in an image, and
    /// the run that is about to begin writes ours.
    ///
    /// # Errors
    /// When an expression does not render, or a value is refused.
    pub fn begin(&self, configuration: LogConfiguration) -> Result<()> {
        let Some((settings, values)) = self.rendered(&configuration)? else {
            self.keeper.ship_nothing();
            return Ok(());
        };
        self.look_for_secrets(configuration, &values)?;
        if !self.keeper.ships(&settings) {
            self.keeper.ship(&settings);
        }
        Ok(())
    }

    /// Sees to it that the secrets of this configuration are known, or are being fetched.
    fn look_for_secrets(&self, configuration: LogConfiguration, values: &InstanceValues) -> Result<()> {
        let sources = configuration.secret_sources(values)?;
        let names: Vec<String> = sources.iter().map(|(name, source)| format!("{name} {source}")).collect();
        let mut before = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref() == Some(&names) {
            return Ok(());
        }
        let knowledge = self.keeper.knowledge();
        if before.is_some() {
            knowledge.forget();
        }
        *before = Some(names);
        let aws = self.source.aws.clone();
        let none = sources.is_empty();
        let fetch = move || {
            let fetched = configuration.classify(aws.fetch(&sources)?);
            Ok(fetched.into_values().flat_map(secrets_of).collect())
        };
        knowledge.find_out(none, Box::new(fetch));
        Ok(())
    }

    /// What is shipped from this instance, and what is known of it. An instance is only asked for where one is needed.
    fn rendered(&self, configuration: &LogConfiguration) -> Result<Option<(LogSettings, InstanceValues)>> {
        let bare = InstanceValues { instance: None, os: os_values() };
        if configuration.instance().is_none() {
            match configuration.settings(&bare) {
                Ok(settings) if has_streams(&settings) => {
                    return checked(settings, UNNAMED).map(|settings| Some((settings, bare)));
                }
                Err(error) if error.kind() != Kind::Missing => return Err(error),
                _ => {}
            }
        }
        match (configuration.instance(), self.instance()?) {
            (Some(meant), Some(instance)) if meant != instance.id => Ok(None),
            (Some(_), None) => Ok(None),
            (None, None) => {
                let error = Error::new(Kind::Missing, "the stream is the instance's id, and this is no EC2 instance");
                Err(error.hint("name a `stream:` that does not depend on an instance"))
            }
            (_, Some(instance)) => {
                let values = InstanceValues { instance: Some(instance.values()), ..bare };
                let settings = checked(configuration.settings(&values)?, &instance.id)?;
                Ok(Some((settings, values)))
            }
        }
    }

    /// The instance, asked for until it is known: without it there are no credentials either.
    fn instance(&self) -> Result<Option<Instance>> {
        loop {
            match Instance::discover(self.source.aws.runtime(), ASK) {
                Ok(Discovery::Known(instance)) => return Ok(Some(*instance)),
                Ok(Discovery::Absent(_)) => return Ok(None),
                Err(error) => {
                    tracing::warn!(%error, "the instance is not known");
                    self.source.stop.wait_until(Instant::now() + AGAIN)?;
                }
            }
        }
    }
}

impl Served for Service {
    fn learn(&self, secrets: &[Secret]) -> Result<()> {
        self.keeper.knowledge().learn(secrets)
    }

    fn flush(&self, limit: Duration) -> bool {
        self.keeper.flush(limit)
    }

    fn reload(&self) -> Result<()> {
        if !self.source.file.exists() {
            self.keeper.ship_nothing();
            return Ok(());
        }
        self.begin(LogConfiguration::load(&self.source.file)?)
    }
}

fn has_streams(settings: &LogSettings) -> bool {
    settings.stream.is_some() || settings.sources.iter().all(|source| source.stream.is_some())
}

fn checked(mut settings: LogSettings, stream: &str) -> Result<LogSettings> {
    settings.stream.get_or_insert_with(|| stream.to_owned());
    match settings.problems().into_iter().next() {
        Some(problem) => Err(Error::new(Kind::Playbook, problem)),
        None => Ok(settings),
    }
}

fn secrets_of(fetched: Fetched) -> Vec<Secret> {
    let values = match fetched {
        Fetched::One(value) => vec![value],
        Fetched::Map(values) => values.into_values().collect(),
    };
    let secret = |value| match value {
        Sensitive::Secret(secret) => Some(secret),
        Sensitive::Plain(_) => None,
    };
    values.into_iter().filter_map(secret).collect()
}
