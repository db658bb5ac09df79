//! The account databases. `/etc/passwd` and `/etc/group` are read directly, since a static binary has no NSS; what is not there is
//! asked of `getent`, which has.

use std::path::PathBuf;

pub use super::users::{GroupFacts as Group, UserFacts as Account};
use crate::error::{Context as _, Result};

/// Asks `getent` with these words; `None` when it knows nothing.
pub type Getent<'g> = dyn Fn(&[&str]) -> Result<Option<String>> + 'g;

/// The folder with the two files.
#[derive(Debug, Clone)]
pub struct Databases(pub PathBuf);

impl Databases {
    /// Those of this machine.
    pub fn of_machine() -> Self {
        Self("/etc".into())
    }

    /// All ordinary accounts of this machine.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        Ok(self.read("passwd")?.lines().filter_map(account).collect())
    }

    /// The account of this name.
    pub fn by_name(&self, name: &str, getent: &Getent<'_>) -> Result<Option<Account>> {
        let known = self.read("passwd")?.lines().filter_map(account).find(|account| account.name == name);
        or_asked(known, getent, &["passwd", name], account)
    }

    /// The account with this id.
    pub fn by_uid(&self, uid: u32, getent: &Getent<'_>) -> Result<Option<Account>> {
        or_asked(self.by_uid_in_file(uid)?, getent, &["passwd", &uid.to_string()], account)
    }

    /// The account with this id, if it is an ordinary one of this machine.
    pub fn by_uid_in_file(&self, uid: u32) -> Result<Option<Account>> {
        Ok(self.read("passwd")?.lines().filter_map(account).find(|account| account.uid == uid))
    }

    /// The group of this name.
    pub fn group_by_name(&self, name: &str, getent: &Getent<'_>) -> Result<Option<Group>> {
        let known = self.read("group")?.lines().filter_map(group).find(|group| group.name == name);
        or_asked(known, getent, &["group", name], group)
    }

    /// The group with this id.
    pub fn group_by_gid(&self, gid: u32, getent: &Getent<'_>) -> Result<Option<Group>> {
        let known = self.read("group")?.lines().filter_map(group).find(|group| group.gid == gid);
        or_asked(known, getent, &["group", &gid.to_string()], group)
    }

    /// The groups of this machine that list this member.
    pub fn groups_listing(&self, name: &str) -> Result<Vec<Group>> {
        let listing = |group: &Group| group.members.iter().any(|member| member == name);
        Ok(self.read("group")?.lines().filter_map(group).filter(listing).collect())
    }

    /// The ids of all groups a process of this account is in.
    pub fn groups_of(&self, account: &Account, getent: &Getent<'_>) -> Result<Vec<u32>> {
        let mut ids = vec![account.gid];
        ids.extend(self.groups_listing(&account.name)?.into_iter().map(|group| group.gid));
        if self.by_uid_in_file(account.uid)?.is_none() {
            // An account from elsewhere has its groups from there too: `getent initgroups NAME` prints the name, then the ids.
            let answer = getent(&["initgroups", &account.name])?.unwrap_or_default();
            ids.extend(answer.split_whitespace().skip(1).filter_map(|id| id.parse::<u32>().ok()));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn read(&self, database: &str) -> Result<String> {
        let file = self.0.join(database);
        match std::fs::read(&file) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            // A machine without the file (an empty chroot) has no accounts.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).doing(|| format!("reading `{}`", file.display())),
        }
    }
}

fn or_asked<T>(known: Option<T>, getent: &Getent<'_>, words: &[&str], parse: fn(&str) -> Option<T>) -> Result<Option<T>> {
    if known.is_some() {
        return Ok(known);
    }
    match getent(words) {
        Ok(answer) => Ok(answer.as_deref().and_then(|text| text.lines().find_map(parse))),
        // Without `getent` there is nobody else to ask.
        Err(error) if error.kind() == crate::error::Kind::Missing => Ok(None),
        Err(error) => Err(error),
    }
}

/// A line of `passwd(5)`.
fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
    Some(Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        comment: (*comment).to_owned(),
        home: home.into(),
        shell: shell.into(),
    })
}

/// A line of `group(5)`.
fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_databases_are_read_and_broken_ones_passed_over() {
        let root = account("root:x:0:0:root:/root:/bin/bash").unwrap();
        assert_eq!((root.uid, root.home.to_str()), (0, Some("/root")));
        assert!(account("+::::::").is_none());
        assert_eq!(group("adm:x:4:syslog,ubuntu").unwrap().members, ["syslog", "ubuntu"]);
        assert!(group("nonsense").is_none());
    }

    #[test]
    fn an_account_from_elsewhere_is_found_by_getent() {
        let getent = |words: &[&str]| {
            Ok(match words {
                ["passwd", "from-ldap"] => Some("from-ldap:*:70001:70001::/home/from-ldap:/bin/sh\n".to_owned()),
                ["initgroups", "from-ldap"] => Some("from-ldap             70001 70044\n".to_owned()),
                _ => None,
            })
        };
        let databases = Databases::of_machine();
        let found = databases.by_name("from-ldap", &getent).unwrap().unwrap();
        assert_eq!(found.uid, 70001);
        assert_eq!(databases.groups_of(&found, &getent).unwrap(), [70001, 70044]);
        assert!(databases.by_name("nobody-of-this-name", &getent).unwrap().is_none());
        assert_eq!(databases.by_uid(0, &getent).unwrap().unwrap().name, "root");
    }
}
