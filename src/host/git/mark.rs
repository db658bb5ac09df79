//! A mark in the repository says that a run of ours is changing it, so that the next run can tell a run that was cut short from
//! somebody's modifications.

use std::fs;
use std::path::PathBuf;

use git2::Repository;

use crate::error::{Context, Result};

/// The mark's file in the repository's own directory.
const NAME: &str = "bootstrap-agent-at-work";

/// What an earlier run was doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The commit it was checking out; nothing while it was still fetching, when no file of the tree is touched.
    pub target: Option<String>,
    /// The branch it was checking out.
    pub branch: Option<String>,
}

impl Mark {
    /// The mark that an earlier run left.
    #[must_use]
    pub fn read(repository: &Repository) -> Option<Self> {
        let text = fs::read_to_string(place(repository)).ok()?;
        let mut words = text.lines().map(ToOwned::to_owned);
        Some(Self { target: words.next().filter(|word| !word.is_empty()), branch: words.next().filter(|word| !word.is_empty()) })
    }

    /// Leaves it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, repository: &Repository) -> Result<()> {
        let text = format!("{}\n{}\n", self.target.as_deref().unwrap_or_default(), self.branch.as_deref().unwrap_or_default());
        let place = place(repository);
        let fresh = place.with_extension("new");
        // By renaming, so that a mark is whole or not there.
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &place)).doing(|| format!("writing `{}`", place.display()))
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(repository: &Repository) -> Result<()> {
        match fs::remove_file(place(repository)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn place(repository: &Repository) -> PathBuf {
    repository.path().join(NAME)
}
