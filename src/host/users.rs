//! Users and groups. `/etc/passwd` and `/etc/group` first, then `getent`, because a static binary has no NSS.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Facts;
use super::accounts::Databases;
use super::programs::Invocation;
use crate::error::Result;

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Comment (GECOS) field.
    pub comment: String,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Members that are listed, without those whose primary group it is.
    pub members: Vec<String>,
}

/// The home directories of this machine's own accounts, by name; none where their database cannot be read.
#[must_use]
pub fn homes() -> HashMap<String, PathBuf> {
    let accounts = Databases::of_machine().accounts().unwrap_or_default();
    accounts.into_iter().map(|account| (account.name, account.home)).collect()
}

impl Facts {
    /// The account of this name, if there is one.
    ///
    /// # Errors
    /// When the account database cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<UserFacts>> {
        self.world.accounts.by_name(name, &|words| self.getent(words))
    }

    /// The account with this id, if there is one.
    ///
    /// # Errors
    /// When the account database cannot be read.
    pub fn user_by_id(&self, uid: u32) -> Result<Option<UserFacts>> {
        self.world.accounts.by_uid(uid, &|words| self.getent(words))
    }

    /// The group of this name, if there is one.
    ///
    /// # Errors
    /// When the group database cannot be read.
    pub fn group(&self, name: &str) -> Result<Option<GroupFacts>> {
        self.world.accounts.group_by_name(name, &|words| self.getent(words))
    }

    /// The group with this id, if there is one.
    ///
    /// # Errors
    /// When the group database cannot be read.
    pub fn group_by_id(&self, gid: u32) -> Result<Option<GroupFacts>> {
        self.world.accounts.group_by_gid(gid, &|words| self.getent(words))
    }

    /// The groups that list this account as a member, by name.
    ///
    /// # Errors
    /// When the group database cannot be read.
    pub fn groups_listing(&self, user: &str) -> Result<Vec<GroupFacts>> {
        self.world.accounts.groups_listing(user)
    }

    /// The name of the account that runs the agent.
    ///
    /// # Errors
    /// `Missing` when it has none.
    pub fn own_name(&self) -> Result<String> {
        self.name_of(nix::unistd::geteuid().as_raw())
    }

    fn getent(&self, words: &[&str]) -> Result<Option<String>> {
        let output = self.ask(&Invocation::new("getent", words))?;
        Ok(output.success().then(|| output.text()))
    }
}
