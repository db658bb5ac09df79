//! A user account.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::account_changes::{NewUser, UserChange as Change};
use crate::host::homes::Home;
use crate::host::users::UserFacts;
use crate::host::{Facts, Host};
use crate::step::fields::{AbsolutePath, account_name_problem};
use crate::step::{Finding, Step, Thing, Touches, Value};

/// Ids of people's accounts, and not of the system's own, of which many have a home that is not there on purpose.
const ORDINARY: RangeInclusive<u32> = 1000..=60000;

/// A user account. What is left out is not touched on an account that exists.
///
/// ```yaml
/// - user: { name: deploy, groups: [www-data] }
/// - user: { name: worker, system: true, home: /srv/worker }
/// ```
///
/// Outputs: `home`, `uid`, `gid`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    name: String,
    /// User id; the next free one unless told. An existing account with another id is an error: files would change hands.
    uid: Option<u32>,
    /// Primary group; one of the user's own name unless told.
    group: Option<String>,
    /// Groups besides the primary one. The account is added to these and stays in those it is in.
    #[serde(default)]
    groups: Vec<String>,
    /// Home directory; `/home/NAME` for a new account unless told.
    home: Option<AbsolutePath>,
    /// Login shell; for a new account `/bin/bash` unless told, and `/usr/sbin/nologin` with `system`.
    shell: Option<AbsolutePath>,
    /// Full name or purpose.
    comment: Option<String>,
    /// Whether a new account is one for a service: an id of the system's range.
    #[serde(default)]
    system: bool,
    /// Whether the home directory is made when it is missing, with what `/etc/skel` has. Yes unless told, but for the system's own
    /// accounts; a directory that is there and somebody else's is given to the user only when this is said.
    create_home: Option<bool>,
    /// The account must not exist. Its home directory stays.
    #[serde(default)]
    absent: bool,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Make it.
    Create(NewUser),
    /// Change something about it.
    Modify {
        /// Whose.
        name: String,
        /// What is so now.
        from: String,
        /// What shall be.
        to: Change,
    },
    /// Make its home, or finish it.
    Home {
        /// Whose.
        name: String,
        /// Where.
        home: PathBuf,
        /// Who has it now.
        from: Option<String>,
    },
    /// Remove it.
    Remove(String),
}

impl fmt::Display for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(user) => {
                write!(f, "create user {} (shell {}", user.name, user.shell)?;
                if !user.groups.is_empty() {
                    write!(f, ", groups {}", user.groups.join(", "))?;
                }
                f.write_str(")")
            }
            Self::Modify { name, from, to } => match to {
                Change::Shell(shell) => write!(f, "change shell of user {name} from {from} to {shell}"),
                Change::Home(home) => write!(f, "change home of user {name} from {from} to {}", home.display()),
                Change::Comment(comment) => write!(f, "change comment of user {name} from `{from}` to `{comment}`"),
                Change::Group(group) => write!(f, "change primary group of user {name} from {from} to {group}"),
                Change::AddGroups(groups) => write!(f, "add user {name} to {}", groups.join(", ")),
            },
            Self::Home { name, home, from: None } => write!(f, "make {}, the home of user {name}", home.display()),
            Self::Home { name, home, from: Some(from) } => {
                write!(f, "give {} from {from} to user {name}, whose home it is", home.display())
            }
            Self::Remove(name) => write!(f, "remove user {name}"),
        }
    }
}

impl User {
    fn wish(&self) -> NewUser {
        let shell = if self.system { "/usr/sbin/nologin" } else { "/bin/bash" };
        NewUser {
            name: self.name.clone(),
            uid: self.uid,
            group: self.group.clone(),
            groups: self.groups.clone(),
            home: self.home_to_be(),
            shell: self.shell.as_ref().map_or_else(|| shell.to_owned(), ToString::to_string),
            comment: self.comment.clone(),
            system: self.system,
        }
    }

    /// Where the home of a new account is.
    fn home_to_be(&self) -> PathBuf {
        self.home.as_ref().map_or_else(|| format!("/home/{}", self.name).into(), |home| home.as_path().to_owned())
    }

    /// What is to be done about the home directory.
    fn missing_home(&self, home: &Path, there: Option<&UserFacts>, facts: &Facts) -> Result<Option<UserChange>> {
        let is_ordinary = there.map_or(!self.system, |there| ORDINARY.contains(&there.uid));
        if !self.create_home.unwrap_or(is_ordinary) {
            return Ok(None);
        }
        let state = match there {
            Some(there) => facts.home_of(there, home)?,
            None if facts.look(home)?.is_none() => Home::Missing,
            None => Home::There,
        };
        let change = |from| UserChange::Home { name: self.name.clone(), home: home.to_owned(), from };
        Ok(match state {
            Home::Missing => Some(change(None)),
            Home::Foreign(owner) if self.create_home == Some(true) => Some(change(Some(owner))),
            Home::Foreign(_) | Home::There => None,
        })
    }

    /// What is to be changed about an account that exists.
    fn differences(&self, there: &UserFacts, facts: &Facts) -> Result<Vec<(String, Change)>> {
        if let Some(uid) = self.uid.filter(|uid| *uid != there.uid) {
            let why = format!("user `{}` exists with id {}, not {uid}, and ids are not changed", self.name, there.uid);
            return Err(Error::new(Kind::Failed, why).hint("leave `uid` out, or change it by hand with all files of the user"));
        }
        let mut changes = Vec::new();
        if let Some(name) = &self.group {
            let group = facts.group(name)?.ok_or_else(|| no_group(name))?;
            if group.gid != there.gid {
                let from = facts.group_by_id(there.gid)?.map_or_else(|| there.gid.to_string(), |group| group.name);
                changes.push((from, Change::Group(name.clone())));
            }
        }
        if let Some(home) = self.home.as_ref().filter(|home| home.as_path() != there.home) {
            changes.push((there.home.display().to_string(), Change::Home(home.as_path().to_owned())));
        }
        if let Some(shell) = self.shell.as_ref().filter(|shell| shell.as_path() != there.shell) {
            changes.push((there.shell.display().to_string(), Change::Shell(shell.to_string())));
        }
        if let Some(comment) = self.comment.as_ref().filter(|comment| **comment != there.comment) {
            changes.push((there.comment.clone(), Change::Comment(comment.clone())));
        }
        let mut missing = Vec::new();
        for name in &self.groups {
            let group = facts.group(name)?.ok_or_else(|| no_group(name))?;
            if group.gid != there.gid && !group.members.contains(&self.name) {
                missing.push(name.clone());
            }
        }
        if !missing.is_empty() {
            changes.push((String::new(), Change::AddGroups(missing)));
        }
        Ok(changes)
    }
}

fn no_group(name: &str) -> Error {
    Error::new(Kind::Missing, format!("there is no group `{name}`")).hint("make it with a `group` step before this one")
}

impl Step for User {
    const KIND: &'static str = "user";
    const SHORTHAND: Option<&'static str> = Some("name");
    const EXAMPLE: &'static str = "steps:
  - user: { name: deploy, groups: [www-data], shell: /bin/bash }
";
    const OUTPUTS: &'static [(&'static str, &'static str)] =
        &[("home", "Its home."), ("uid", "Its number."), ("gid", "The number of its group.")];
    type Change = UserChange;

    fn touches(&self) -> Touches {
        let groups = self.groups.iter().chain(&self.group);
        let touches = groups.fold(Touches::nothing(), |touches, group| touches.read(Thing::Group(group.clone())));
        let touches = self.home.iter().fold(touches, |touches, home| touches.home(&self.name, home.as_path()));
        touches
            .write(Thing::User(self.name.clone()))
            .write(Thing::Group(self.name.clone()))
            .write_in_home(&self.name, "")
            .lock("accounts")
    }

    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = std::iter::once(&self.name)
            .chain(&self.groups)
            .chain(&self.group)
            .filter_map(|name| account_name_problem(name))
            .collect();
        if self.comment.as_ref().is_some_and(|comment| comment.contains([':', '\n'])) {
            problems.push("`comment` must not contain a colon or a line break: it is a field of `/etc/passwd`".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<UserChange>> {
        let there = facts.user(&self.name)?;
        let mut finding = Finding::done();
        match &there {
            None if self.absent => {}
            None => {
                for name in self.groups.iter().chain(&self.group) {
                    facts.group(name)?.ok_or_else(|| no_group(name))?;
                }
                finding.change(UserChange::Create(self.wish()));
            }
            Some(_) if self.absent => finding.change(UserChange::Remove(self.name.clone())),
            Some(there) => {
                for (from, to) in self.differences(there, facts)? {
                    finding.change(UserChange::Modify { name: self.name.clone(), from, to });
                }
            }
        }
        let home = match (&self.home, &there) {
            (None, Some(there)) => there.home.clone(),
            _ => self.home_to_be(),
        };
        if !self.absent
            && let Some(change) = self.missing_home(&home, there.as_ref(), facts)?
        {
            finding.change(change);
        }
        let home = home.display().to_string();
        let number = |number: Option<u32>| number.map_or(Value::Unknown, |number| serde_json::Value::from(number).into());
        let uid = there.as_ref().map(|there| there.uid).or(self.uid);
        let finding = finding.with_fingerprint(&[self.name.as_bytes(), &uid.unwrap_or_default().to_le_bytes(), home.as_bytes()]);
        Ok(finding
            .with_output("home", home)
            .with_output("uid", number(uid))
            .with_output("gid", number(there.map(|there| there.gid))))
    }

    fn apply(&self, change: &UserChange, host: &Host) -> Result<()> {
        match change {
            UserChange::Create(user) => host.add_user(user),
            UserChange::Modify { name, to, .. } => host.change_user(name, to),
            UserChange::Home { name, home, .. } => host.make_home(name, home),
            UserChange::Remove(name) => host.remove_user(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    fn user(json: &str) -> User {
        serde_json::from_str(json).unwrap()
    }

    fn plan(step: &User, machine: &Machine) -> Vec<String> {
        step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
    }

    #[test]
    fn a_missing_user_is_made_with_all_that_is_told() {
        let machine = Machine::new().program("useradd", "");
        let step = user(r#"{"name": "deploy", "groups": ["ubuntu"], "comment": "Deploys", "uid": 1500}"#);
        let found = step.check(&machine.facts()).unwrap();
        assert_eq!(found.changes[0].change.to_string(), "create user deploy (shell /bin/bash, groups ubuntu)");
        assert!(matches!(&found.outputs["home"], Value::Known(home) if home == "/home/deploy"));
        assert!(matches!(found.outputs["gid"], Value::Unknown));
        step.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert_eq!(
            machine.calls(),
            ["useradd --shell /bin/bash --no-create-home --home-dir /home/deploy --user-group --uid 1500 --comment Deploys \
                 --groups ubuntu -- deploy"]
        );
        assert_eq!(found.changes[1].change.to_string(), "make /home/deploy, the home of user deploy");
        let service = user(r#"{"name": "worker", "system": true, "home": "/srv/worker", "group": "ubuntu"}"#);
        let found = service.check(&machine.facts()).unwrap();
        service.apply(&found.changes[0].change, &machine.host()).unwrap();
        let call = "useradd --shell /usr/sbin/nologin --no-create-home --home-dir /srv/worker --gid ubuntu --system -- worker";
        assert_eq!((machine.calls()[1].as_str(), found.changes.len()), (call, 1));
    }

    #[test]
    fn a_home_that_is_missing_is_made_and_a_foreign_one_only_when_told() {
        let machine = Machine::new().in_earnest(&[]);
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let passwd = |of: &str, uid: u32| {
            let home = machine.path(of);
            machine.write("etc/passwd", &format!("me:x:{uid}:{gid}::{}:/bin/bash\n", home.display()));
            home.display().to_string()
        };
        // The account of whoever runs the tests is the system's own where that is root.
        let home = passwd("homes/me", uid.as_raw());
        let told = user(r#"{"name": "me", "create_home": true}"#);
        assert_eq!(plan(&told, &machine), [format!("make {home}, the home of user me")]);
        assert!(plan(&user(r#"{"name": "me", "create_home": false}"#), &machine).is_empty());
        let found = told.check(&machine.facts()).unwrap();
        told.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert!(told.check(&machine.facts()).unwrap().is_done());
        let unsaid = user(r#"{"name": "me"}"#);
        passwd("homes/other", 1001);
        assert_eq!(plan(&unsaid, &machine).len(), 1, "a person's");
        passwd("homes/other", 101);
        assert!(plan(&unsaid, &machine).is_empty(), "the system's own");
        passwd("homes/me", 1001);
        assert!(plan(&unsaid, &machine).is_empty(), "somebody else's is left to them");
        assert!(plan(&told, &machine)[0].starts_with(&format!("give {home} from ")), "{:?}", plan(&told, &machine));
    }

    #[test]
    fn an_existing_user_is_changed_only_where_told() {
        let machine = Machine::new().program("usermod", "");
        machine.write("etc/group", "root:x:0:\nubuntu:x:1000:\nadm:x:4:ubuntu\ndocker:x:998:\n");
        assert!(plan(&user(r#"{"name": "ubuntu", "groups": ["adm", "ubuntu"]}"#), &machine).is_empty());
        let step = user(r#"{"name": "ubuntu", "groups": ["adm", "docker"], "shell": "/bin/sh"}"#);
        assert_eq!(plan(&step, &machine), ["change shell of user ubuntu from /bin/bash to /bin/sh", "add user ubuntu to docker"]);
        for planned in step.check(&machine.facts()).unwrap().changes {
            step.apply(&planned.change, &machine.host()).unwrap();
        }
        assert_eq!(machine.calls(), ["usermod --shell /bin/sh -- ubuntu", "usermod --append --groups docker -- ubuntu"]);
    }

    #[test]
    fn ids_are_never_changed_and_groups_must_exist() {
        let machine = Machine::new();
        assert!(user(r#"{"name": "ubuntu", "uid": 7}"#).check(&machine.facts()).is_err());
        let error = user(r#"{"name": "new", "groups": ["nope"]}"#).check(&machine.facts()).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
        assert_eq!(user(r#"{"name": "a b", "comment": "x:y"}"#).problems().len(), 2);
    }

    #[test]
    fn an_unwanted_user_is_removed() {
        let machine = Machine::new().program("userdel", "");
        let step = user(r#"{"name": "ubuntu", "absent": true}"#);
        let found = step.check(&machine.facts()).unwrap();
        step.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert_eq!(machine.calls(), ["userdel -- ubuntu"]);
    }
}
