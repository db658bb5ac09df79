//! Making, changing and removing users and groups, through the system's own `useradd` and its kin, which know about subordinate
//! ids, skeletons and locks.

use std::path::PathBuf;

use super::Host;
use super::programs::Invocation;
use crate::error::Result;

/// A user to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewUser {
    /// Login name.
    pub name: String,
    /// User id; the next free one unless told.
    pub uid: Option<u32>,
    /// Primary group; one of the user's own name unless told.
    pub group: Option<String>,
    /// Groups besides the primary one.
    pub groups: Vec<String>,
    /// Home directory, which is not made.
    pub home: PathBuf,
    /// Login shell.
    pub shell: String,
    /// Full name or purpose.
    pub comment: Option<String>,
    /// Whether it is for a service: an id of the system's range, no ageing.
    pub system: bool,
}

/// One thing to change about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChange {
    /// Another login shell.
    Shell(String),
    /// Another home directory; what is in the old one stays there.
    Home(PathBuf),
    /// Another comment.
    Comment(String),
    /// Another primary group.
    Group(String),
    /// Also in these groups.
    AddGroups(Vec<String>),
}

impl Host {
    /// Makes the user.
    ///
    /// # Errors
    /// Whatever `useradd` says.
    pub fn add_user(&self, user: &NewUser) -> Result<()> {
        let uid = user.uid.map(|uid| uid.to_string());
        let home = user.home.to_string_lossy();
        let groups = user.groups.join(",");
        let mut words = vec!["--shell", &user.shell, "--no-create-home", "--home-dir", &home];
        match &user.group {
            Some(group) => words.extend(["--gid", group.as_str()]),
            None => words.push("--user-group"),
        }
        let options = [("--uid", &uid), ("--comment", &user.comment)];
        for (option, value) in options {
            words.extend(value.iter().flat_map(|value| [option, value.as_str()]));
        }
        if !groups.is_empty() {
            words.extend(["--groups", &groups]);
        }
        if user.system {
            words.push("--system");
        }
        words.extend(["--", &user.name]);
        self.change_accounts("useradd", &words)
    }

    /// Changes one thing about the user.
    ///
    /// # Errors
    /// Whatever `usermod` says.
    pub fn change_user(&self, name: &str, change: &UserChange) -> Result<()> {
        let (options, value): (&[&str], String) = match change {
            UserChange::Shell(shell) => (&["--shell"], shell.clone()),
            UserChange::Home(home) => (&["--home"], home.to_string_lossy().into_owned()),
            UserChange::Comment(comment) => (&["--comment"], comment.clone()),
            UserChange::Group(group) => (&["--gid"], group.clone()),
            UserChange::AddGroups(groups) => (&["--append", "--groups"], groups.join(",")),
        };
        let mut words = options.to_vec();
        words.extend([value.as_str(), "--", name]);
        self.change_accounts("usermod", &words)
    }

    /// Removes the user; the home directory stays.
    ///
    /// # Errors
    /// Whatever `userdel` says.
    pub fn remove_user(&self, name: &str) -> Result<()> {
        self.change_accounts("userdel", &["--", name])
    }

    /// Makes the group.
    ///
    /// # Errors
    /// Whatever `groupadd` says.
    pub fn add_group(&self, name: &str, gid: Option<u32>, system: bool) -> Result<()> {
        let gid = gid.map(|gid| gid.to_string());
        let mut words: Vec<&str> = gid.iter().flat_map(|gid| ["--gid", gid.as_str()]).collect();
        if system {
            words.push("--system");
        }
        words.extend(["--", name]);
        self.change_accounts("groupadd", &words)
    }

    /// Removes the group.
    ///
    /// # Errors
    /// Whatever `groupdel` says.
    pub fn remove_group(&self, name: &str) -> Result<()> {
        self.change_accounts("groupdel", &["--", name])
    }

    /// Killed half-way, these programs leave their own lock files in `/etc`.
    fn change_accounts(&self, program: &str, words: &[&str]) -> Result<()> {
        self.execute(&Invocation::new(program, words).outliving()).map(drop)
    }
}
