//! Users and groups. `/etc/passwd` and `/etc/group` first, then `getent`, because a static binary has no NSS.

use std::path::PathBuf;

use super::Facts;
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

impl Facts {
    /// The account of this name, if there is one.
    ///
    /// # Errors
    /// When the account database cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<UserFacts>> {
        let _ = name;
        todo!()
    }

    /// The account with this id, if there is one.
    ///
    /// # Errors
    /// When the account database cannot be read.
    pub fn user_by_id(&self, uid: u32) -> Result<Option<UserFacts>> {
        let _ = uid;
        todo!()
    }

    /// The group of this name, if there is one.
    ///
    /// # Errors
    /// When the group database cannot be read.
    pub fn group(&self, name: &str) -> Result<Option<GroupFacts>> {
        let _ = name;
        todo!()
    }
}
