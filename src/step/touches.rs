//! What a step reads and writes, in the few kinds of things that steps share.

use std::path::{Path, PathBuf};

/// Something that one step writes and another reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A path; it overlaps with its parents and children.
    Path(PathBuf),
    /// A path in the home of this user, wherever that is: the engine finds out and makes a path of it.
    InHome(String, PathBuf),
    /// A user account.
    User(String),
    /// A group.
    Group(String),
    /// A systemd unit, with its suffix.
    Unit(String),
    /// The installed programs as a whole: written by `packages`, read by whatever starts programs.
    Programs,
    /// What the package manager knows that could be installed: written by `package_source` and refreshed by `packages`.
    PackageLists,
}

impl Thing {
    /// Whether writing one can change what reading the other gives.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(a), Self::Path(b)) => a.starts_with(b) || b.starts_with(a),
            _ => self == other,
        }
    }
}

/// As `agent check --order` and error messages name it.
impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "`{}`", path.display()),
            Self::InHome(user, below) => write!(f, "`~{user}/{}`", below.display()),
            Self::User(name) => write!(f, "user `{name}`"),
            Self::Group(name) => write!(f, "group `{name}`"),
            Self::Unit(name) => write!(f, "unit `{name}`"),
            Self::Programs => f.write_str("the installed programs"),
            Self::PackageLists => f.write_str("the package lists"),
        }
    }
}

/// What a step reads and writes, and the named locks it holds meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touches {
    /// Things whose state its check or apply depends on.
    pub reads: Vec<Thing>,
    /// Things it changes.
    pub writes: Vec<Thing>,
    /// Locks that let one holder through at a time: `packages`, `systemd`, `accounts`.
    pub locks: Vec<&'static str>,
    /// Steps it names (`restart_on`, `on_change`): it comes after them.
    pub after: Vec<String>,
    /// Where it puts homes, by user.
    pub homes: Vec<(String, PathBuf)>,
    /// Whether it stands alone: everything above it is over, and nothing below it begins before it is.
    pub alone: bool,
}

impl Touches {
    /// Touches nothing yet.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Also reads this.
    #[must_use]
    pub fn read(mut self, thing: Thing) -> Self {
        self.reads.push(thing);
        self
    }

    /// Also writes this.
    #[must_use]
    pub fn write(mut self, thing: Thing) -> Self {
        self.writes.push(thing);
        self
    }

    /// Also reads this path.
    #[must_use]
    pub fn read_path(self, path: impl AsRef<Path>) -> Self {
        self.read(Thing::Path(path.as_ref().to_owned()))
    }

    /// Writes this path, which means reading the folder it is in.
    #[must_use]
    pub fn write_path(self, path: impl AsRef<Path>) -> Self {
        self.write(Thing::Path(path.as_ref().to_owned()))
    }

    /// Also writes this path in the home of this user.
    #[must_use]
    pub fn write_in_home(self, user: &str, below: impl AsRef<Path>) -> Self {
        self.write(Thing::InHome(user.to_owned(), below.as_ref().to_owned()))
    }

    /// Also says that this is the home of this user.
    #[must_use]
    pub fn home(mut self, user: &str, path: impl AsRef<Path>) -> Self {
        self.homes.push((user.to_owned(), path.as_ref().to_owned()));
        self
    }

    /// Also depends on this account, when one is given.
    #[must_use]
    pub fn read_user(self, user: Option<&str>) -> Self {
        match user {
            Some(user) => self.read(Thing::User(user.to_owned())),
            None => self,
        }
    }

    /// Also holds this lock while it is at work.
    #[must_use]
    pub fn lock(mut self, name: &'static str) -> Self {
        self.locks.push(name);
        self
    }

    /// Also stands alone.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Also comes after these steps.
    #[must_use]
    pub fn after(mut self, steps: &[String]) -> Self {
        self.after.extend_from_slice(steps);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_overlaps_with_its_parents_and_children_only() {
        let app = Thing::Path("/home/ubuntu/tcc".into());
        assert!(app.overlaps(&Thing::Path("/home/ubuntu/tcc/.env".into())));
        assert!(app.overlaps(&Thing::Path("/home/ubuntu".into())));
        assert!(!app.overlaps(&Thing::Path("/home/ubuntu/tcc-old".into())));
        assert!(!app.overlaps(&Thing::Unit("tcc.service".into())));
    }
}
