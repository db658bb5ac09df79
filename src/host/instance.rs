//! What the instance knows of itself: the metadata service, version 2 only, and the operating system.
//!
//! Three answers that must not be mixed up: this is an EC2 instance and these are its facts; this is none; it looks like one, but
//! the service refuses or stays silent.

mod boot;
mod imds;
mod os;
mod role;

pub use boot::{boot_id, machine_started};
pub use imds::Imds;
pub use os::os_values;
pub use role::Role;

use std::time::{Duration, Instant, SystemTime};

use indexmap::IndexMap;
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};

/// Below this limit the service is asked once; a run that can wait asks again.
const ASKED_ONCE_BELOW: Duration = Duration::from_secs(1);
/// How long we go on asking where nothing says that this is an EC2 instance.
const LONG_ENOUGH_FOR_STRANGERS: Duration = Duration::from_millis(300);
/// One try, from connecting to the last fact, unless the limit is shorter: a token, the document, the rest, each slow while the
/// instance boots.
const ONE_TRY: Duration = Duration::from_secs(12);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether this is an EC2 instance.
#[derive(Debug, Clone)]
pub enum Discovery {
    /// It is, and these are its facts.
    Known(Box<Instance>),
    /// It is not, for this reason.
    Absent(String),
}

/// Facts of an EC2 instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// Such as `t3.small`.
    pub kind: String,
    /// Such as `eu-west-1`.
    pub region: String,
    /// Availability zone.
    pub zone: String,
    /// Account id.
    pub account: String,
    /// Private IPv4 address.
    pub local_ip: String,
    /// The instance's tags; empty where the metadata service does not show them.
    pub tags: IndexMap<String, String>,
    /// Where Auto Scaling wants the instance to go (never where it is); `None` outside of a group.
    pub target_state: Option<String>,
    /// When EC2 last started it, as the identity document says.
    pub pending_since: Option<SystemTime>,
    /// For the facts that change.
    pub imds: Imds,
}

/// The identity document: one request, most of the facts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    instance_id: String,
    instance_type: String,
    region: String,
    availability_zone: String,
    account_id: String,
    #[serde(default)]
    private_ip: String,
    #[serde(default)]
    pending_time: Option<String>,
}

impl Instance {
    /// Asks the metadata service, for at most this long. A limit under a second (a dry-run's) means one try.
    ///
    /// # Errors
    /// `Denied` when the service refuses us; `Unreachable` when this is an EC2 instance and the service does not answer.
    pub fn discover(runtime: &Handle, limit: Duration) -> Result<Discovery> {
        let imds = match Imds::from_environment(runtime.clone()) {
            Ok(imds) => imds,
            Err(why) => return Ok(Discovery::Absent(why)),
        };
        Self::discover_with(&imds, limit, looks_like_ec2())
    }

    fn discover_with(imds: &Imds, limit: Duration, evident: bool) -> Result<Discovery> {
        let started = Instant::now();
        loop {
            let left = limit.saturating_sub(started.elapsed());
            let error = match imds.within(left.min(ONE_TRY), Self::ask(imds)) {
                Ok(instance) => return Ok(Discovery::Known(Box::new(instance))),
                Err(error) => error,
            };
            match error.kind() {
                // Somebody answers there, but it is not EC2's metadata service.
                Kind::Missing => return Ok(Discovery::Absent("the metadata service is not EC2's".to_owned())),
                // Another cloud's service, or a host that keeps its machines from it; on EC2 the same answer is an error.
                Kind::Denied if !evident => {
                    return Ok(Discovery::Absent("a metadata service that is not EC2's refuses us".to_owned()));
                }
                Kind::Unreachable | Kind::TimedOut => {}
                _ => return Err(error),
            }
            // Accepted and not answered: somebody lives there, so it is worth the whole limit.
            let stranger = !evident && error.kind() == Kind::Unreachable;
            let patience = if stranger { limit.min(LONG_ENOUGH_FOR_STRANGERS) } else { limit };
            if limit < ASKED_ONCE_BELOW || started.elapsed() + PAUSE >= patience {
                if stranger || (limit < ASKED_ONCE_BELOW && !evident) {
                    return Ok(Discovery::Absent("there is no EC2 metadata service here".to_owned()));
                }
                return Err(error
                    .with_kind(Kind::Unreachable)
                    .doing("asking the instance metadata service")
                    .hint("check that metadata access is enabled and, inside a container, that its hop limit is at least 2"));
            }
            std::thread::sleep(PAUSE);
        }
    }

    async fn ask(imds: &Imds) -> Result<Self> {
        let document = imds.get("latest/dynamic/instance-identity/document").await?;
        let document = document.ok_or_else(|| Error::new(Kind::Missing, "there is no identity document"))?;
        let identity: Identity = serde_json::from_slice(&document)
            .map_err(|error| Error::from_source(Kind::Missing, &error).doing("reading the instance identity document"))?;
        let (target_state, tags) = tokio::join!(imds.text("latest/meta-data/autoscaling/target-lifecycle-state"), tags(imds));
        Ok(Self {
            id: identity.instance_id,
            kind: identity.instance_type,
            region: identity.region,
            zone: identity.availability_zone,
            account: identity.account_id,
            local_ip: identity.private_ip,
            tags: tags?,
            target_state: target_state?,
            pending_since: identity.pending_time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map(SystemTime::from),
            imds: imds.clone(),
        })
    }

    /// Whether it is being prepared for a warm pool.
    #[must_use]
    pub fn is_warming(&self) -> bool {
        self.target_state.as_deref().is_some_and(|state| state.starts_with("Warmed:"))
    }

    /// Asks again where Auto Scaling wants it to go; `None` outside of a group.
    ///
    /// # Errors
    /// When the metadata service does not answer.
    pub fn ask_target_state(&self) -> Result<Option<String>> {
        self.imds.within(ONE_TRY, self.imds.text("latest/meta-data/autoscaling/target-lifecycle-state"))
    }

    /// What was given to the instance at launch; `None` when there is nothing.
    ///
    /// # Errors
    /// When the metadata service does not answer.
    pub fn user_data(&self) -> Result<Option<Vec<u8>>> {
        self.imds.within(ONE_TRY, self.imds.get("latest/user-data"))
    }

    /// When the hook's clock began to run: EC2's word where it is plausible, else the machine's own start.
    ///
    /// An instance that comes back from hibernation was started later than its machine; a clock that is wrong is not believed.
    #[must_use]
    pub fn started(&self) -> Instant {
        let machine = machine_started();
        let said = self
            .pending_since
            .and_then(|since| SystemTime::now().duration_since(since).ok())
            .and_then(|age| Instant::now().checked_sub(age));
        match said {
            Some(said) if said + Duration::from_mins(5) >= machine => said,
            _ => machine,
        }
    }

    /// `instance.*` for expressions.
    #[must_use]
    pub fn values(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "type": self.kind,
            "region": self.region,
            "az": self.zone,
            "account": self.account,
            "local_ip": self.local_ip,
            "tags": self.tags,
            "lifecycle": { "warming": self.is_warming() },
        })
    }
}

/// All tags, side by side; none where the service does not show them.
async fn tags(imds: &Imds) -> Result<IndexMap<String, String>> {
    const BELOW: &str = "latest/meta-data/tags/instance";
    let Some(names) = imds.text(BELOW).await? else { return Ok(IndexMap::new()) };
    let mut asked = tokio::task::JoinSet::new();
    let names: Vec<String> = names.lines().map(|name| name.trim_end_matches('/').to_owned()).collect();
    for (place, name) in names.iter().enumerate() {
        let (imds, path) = (imds.clone(), format!("{BELOW}/{name}"));
        asked.spawn(async move { (place, imds.text(&path).await) });
    }
    let mut values: Vec<Option<String>> = vec![None; names.len()];
    while let Some(answer) = asked.join_next().await {
        let (place, value) = answer.map_err(|error| Error::from_source(Kind::Failed, &error))?;
        if let Some(slot) = values.get_mut(place) {
            *slot = value?;
        }
    }
    Ok(names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Whether anything but the metadata service itself says that this is an EC2 instance.
#[must_use]
pub fn looks_like_ec2() -> bool {
    let vendor = std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    let xen = std::fs::read_to_string("/sys/hypervisor/uuid").unwrap_or_default();
    vendor.trim() == "Amazon EC2" || xen.starts_with("ec2") || std::env::var_os(imds::ENDPOINT).is_some()
}

#[cfg(test)]
mod tests;
