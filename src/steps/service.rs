//! `service`: whether somebody else's unit runs and is started at boot.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::systemd::{Running, UnitChange, UnitWish};
use crate::host::{Facts, Host};
use crate::step::{Finding, Step, Thing, Touches};

/// Somebody else's systemd unit: whether it runs, and whether it is started at boot.
///
/// With `restart_on` (or `reload_on`) it is restarted (reloaded) whenever what those steps stand for is not what it was last
/// started with. A unit that runs without such a record is restarted once. A unit that dies at its start fails the step at once,
/// with the tail of its journal.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The unit's name; `.service` unless it has a suffix.
    name: String,
    /// `started` unless told, `stopped`, or `unchanged` (restarted when it runs and what it depends on has changed).
    #[serde(default)]
    state: Option<Running>,
    /// Whether it is started at boot: `true`, `false`, or left alone.
    #[serde(default)]
    enabled: Option<bool>,
    /// `true` makes starting it impossible, for anybody (`systemctl mask`); left alone unless told.
    #[serde(default)]
    masked: Option<bool>,
    /// Ids of earlier steps: a change in what they stand for restarts it.
    #[serde(default)]
    #[schemars(extend("x-steps" = true))]
    restart_on: Vec<String>,
    /// Ids of earlier steps: a change in what they stand for lets it read its configuration again.
    #[serde(default)]
    #[schemars(extend("x-steps" = true))]
    reload_on: Vec<String>,
}

impl Service {
    fn unit(&self) -> String {
        if self.name.contains('.') { self.name.clone() } else { format!("{}.service", self.name) }
    }

    fn wish<'w>(&self, unit: &'w str, facts: &Facts) -> UnitWish<'w> {
        let running = self.state.unwrap_or(if self.masked == Some(true) { Running::Stopped } else { Running::Started });
        let of = |steps: &[String]| (!steps.is_empty()).then(|| facts.fingerprint_of_all(steps));
        UnitWish {
            unit,
            running,
            enabled: self.enabled,
            masked: self.masked,
            record: format!("service {unit} on {}", [self.restart_on.as_slice(), &self.reload_on].concat().join(",")),
            restart_on: of(&self.restart_on),
            reload_on: of(&self.reload_on),
            ends_by_itself: false,
        }
    }
}

impl Step for Service {
    const KIND: &'static str = "service";
    const SHORTHAND: Option<&'static str> = Some("name");
    const EXAMPLE: &'static str = r#"steps:
  - id: limits
    file: { path: /etc/nginx/conf.d/limits.conf, content: "client_max_body_size 20m;\n" }
  - service: { name: nginx.service, state: started, enabled: true, reload_on: [limits] }
"#;
    type Change = UnitChange;

    fn touches(&self) -> Touches {
        Touches::nothing()
            .read(Thing::Programs)
            .write(Thing::Unit(self.unit()))
            .lock("systemd")
            .after(&self.restart_on)
            .after(&self.reload_on)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() || self.name.starts_with('-') || self.name.contains(['/', ' ', '\n']) {
            problems.push(format!("`{}` is not the name of a unit", self.name));
        }
        if self.masked == Some(true) && (self.state == Some(Running::Started) || self.enabled == Some(true)) {
            problems.push("a unit that is `masked` can be neither started nor enabled".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<UnitChange>> {
        let unit = self.unit();
        let wish = self.wish(&unit, facts);
        let difference = wish.compare(facts, false)?;
        let mut finding = Finding::done().with_fingerprint(&[unit.as_bytes()]);
        difference.changes.into_iter().for_each(|change| finding.change(change));
        finding.unknown = difference.unknown;
        Ok(finding)
    }

    fn apply(&self, change: &UnitChange, host: &Host) -> Result<()> {
        let unit = self.unit();
        self.wish(&unit, host).apply(change, host)
    }
}
