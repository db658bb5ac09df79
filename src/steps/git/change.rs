//! What differs between a checkout, or the releases beside each other, and the wish.

use std::fmt;

pub use crate::host::rollback::short;

/// One difference between the checkout and the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitChange {
    /// There is none yet.
    Clone {
        /// From where.
        url: String,
        /// Which revision.
        revision: String,
    },
    /// An earlier run was cut short while it wrote the files.
    Finish {
        /// Of this commit.
        commit: String,
    },
    /// `origin` is somewhere else.
    Origin {
        /// Where it is.
        from: String,
        /// Where it shall be.
        to: String,
    },
    /// It belongs to another group.
    Group {
        /// The one it is of.
        from: String,
        /// The one it shall be of.
        to: String,
    },
    /// Local changes are in the way.
    PutAside,
    /// Another commit or branch is checked out.
    Move {
        /// The one that is.
        from: String,
        /// The one that shall be.
        to: String,
        /// Its name.
        revision: String,
    },
    /// Submodules are missing, or at other commits.
    Submodules(Vec<String>),
    /// There is no release of this commit yet.
    Release {
        /// The commit; of the first release of all a plan need not know it.
        commit: Option<String>,
        /// From where.
        url: String,
        /// The revision in words.
        revision: String,
    },
    /// A release is not as it was made.
    In {
        /// Its commit.
        commit: String,
        /// What differs.
        change: Box<GitChange>,
    },
    /// A link leads to another release.
    Link {
        /// Its name, below the place.
        name: String,
        /// The release it leads to.
        from: Option<String>,
        /// The one it shall lead to; nothing for the first one of all.
        to: Option<String>,
    },
    /// Releases and leftovers that nobody needs any more.
    Remove(Vec<String>),
}

impl fmt::Display for GitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clone { url, revision } => write!(f, "clone `{url}` at {revision}"),
            Self::Finish { commit } => write!(f, "finish the checkout of `{}` that was cut short", short(commit)),
            Self::Origin { from, to } => write!(f, "change origin from `{from}` to `{to}`"),
            Self::Group { from, to } => write!(f, "change the group of all files from {from} to {to}"),
            Self::PutAside => f.write_str("put local changes aside"),
            Self::Move { from, to, revision } => write!(f, "move from `{}` to `{}` ({revision})", short(from), short(to)),
            Self::Submodules(paths) => write!(f, "update submodules: {}", paths.join(", ")),
            Self::Release { commit: Some(commit), revision, .. } => write!(f, "make release `{}` ({revision})", short(commit)),
            Self::Release { commit: None, url, revision } => write!(f, "make the first release, of {revision} from `{url}`"),
            Self::In { commit, change } => write!(f, "release `{}`: {change}", short(commit)),
            Self::Link { name, to: None, .. } => write!(f, "link `{name}` to it"),
            Self::Link { name, from: Some(from), to: Some(to) } => {
                write!(f, "link `{name}` to release `{}` (was `{}`)", short(to), short(from))
            }
            Self::Link { name, from: None, to: Some(to) } => write!(f, "link `{name}` to release `{}`", short(to)),
            Self::Remove(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{}`", short(name))).collect();
                write!(f, "remove old releases: {}", names.join(", "))
            }
        }
    }
}
