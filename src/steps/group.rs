//! A group of users.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::{Facts, Host};
use crate::step::{Finding, Step, Thing, Touches};

/// A group of users.
///
/// ```yaml
/// - group: deployers
/// - group: { name: metrics, system: true }
/// ```
///
/// Outputs: `gid`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    name: String,
    /// Its id; the next free one unless told. An existing group with another id is an error: files would change hands.
    gid: Option<u32>,
    /// Whether a new group gets an id of the system's range.
    #[serde(default)]
    system: bool,
    /// The group must not exist.
    #[serde(default)]
    absent: bool,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Make it.
    Create(String),
    /// Remove it.
    Remove(String),
}

impl fmt::Display for GroupChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(name) => write!(f, "create group {name}"),
            Self::Remove(name) => write!(f, "remove group {name}"),
        }
    }
}

impl Step for Group {
    const KIND: &'static str = "group";
    const SHORTHAND: Option<&'static str> = Some("name");
    const EXAMPLE: &'static str = "steps:
  - group: { name: deployers, system: true }
";
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[("gid", "Its number.")];
    type Change = GroupChange;

    fn touches(&self) -> Touches {
        Touches::nothing().write(Thing::Group(self.name.clone())).lock("accounts")
    }

    fn problems(&self) -> Vec<String> {
        crate::step::fields::account_name_problem(&self.name).into_iter().collect()
    }

    fn check(&self, facts: &Facts) -> Result<Finding<GroupChange>> {
        let there = facts.group(&self.name)?;
        let mut finding = Finding::done();
        match (&there, self.absent) {
            (None, false) => finding.change(GroupChange::Create(self.name.clone())),
            (Some(_), true) => finding.change(GroupChange::Remove(self.name.clone())),
            (Some(group), false) if self.gid.is_some_and(|gid| gid != group.gid) => {
                let why = format!("group `{}` exists with id {}, and ids are not changed", self.name, group.gid);
                return Err(
                    Error::new(Kind::Failed, why).hint("leave `gid` out, or change it by hand with all files of the group")
                );
            }
            _ => {}
        }
        let gid = there.map(|group| group.gid).or(self.gid);
        let finding = finding.with_fingerprint(&[self.name.as_bytes(), &gid.unwrap_or_default().to_le_bytes()]);
        Ok(finding.with_output("gid", gid.map_or(crate::step::Value::Unknown, |gid| serde_json::Value::from(gid).into())))
    }

    fn apply(&self, change: &GroupChange, host: &Host) -> Result<()> {
        match change {
            GroupChange::Create(name) => host.add_group(name, self.gid, self.system),
            GroupChange::Remove(name) => host.remove_group(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    fn group(json: &str) -> Group {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_missing_group_is_made_once() {
        let machine = Machine::new().program("groupadd", "");
        let step = group(r#"{"name": "metrics", "gid": 990, "system": true}"#);
        let found = step.check(&machine.facts()).unwrap();
        assert_eq!(found.changes[0].change.to_string(), "create group metrics");
        step.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert_eq!(machine.calls(), ["groupadd --gid 990 --system -- metrics"]);
        machine.write("etc/group", "metrics:x:990:\n");
        assert!(step.check(&machine.facts()).unwrap().is_done());
        assert!(group(r#"{"name": "metrics", "gid": 991}"#).check(&machine.facts()).is_err());
    }

    #[test]
    fn an_unwanted_group_is_removed() {
        let machine = Machine::new().program("groupdel", "");
        let step = group(r#"{"name": "ubuntu", "absent": true}"#);
        let found = step.check(&machine.facts()).unwrap();
        step.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert_eq!(machine.calls(), ["groupdel -- ubuntu"]);
        assert!(group(r#"{"name": "gone", "absent": true}"#).check(&machine.facts()).unwrap().is_done());
        assert!(!group(r#"{"name": "-x"}"#).problems().is_empty());
    }
}
