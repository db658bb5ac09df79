//! What stands at a path where a checkout shall be. Only looks.

use std::path::Path;

use git2::{Diff, DiffOptions, DiffStatsFormat, Oid, Repository};
use serde::{Deserialize, Serialize};

use super::mark::Mark;
use super::transport;
use crate::error::{Error, Kind, Result};

/// The most lines of a diffstat that an error carries.
const MOST_LINES: usize = 20;

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Nothing, or a directory without a repository.
    NoRepository,
    /// A file, a link, a device.
    Occupied,
    /// A repository that cannot be read, for this reason.
    Broken(String),
    /// A repository.
    Repository(Box<Checkout>),
}

/// A checkout as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The commit that is checked out.
    pub commit: String,
    /// The branch that is checked out, if it is one.
    pub branch: Option<String>,
    /// Where `origin` is.
    pub origin: Option<String>,
    /// The commit an earlier run was about to check out when it was cut short.
    pub unfinished: Option<String>,
    /// The lines of a diffstat of tracked files that somebody modified.
    pub modified: Vec<String>,
    /// Whether there are commits here that did not come from the server.
    pub has_own_commits: bool,
    /// Submodules, by path, that are not at the commit they should be at.
    pub stale_submodules: Vec<String>,
}

/// Looks.
///
/// # Errors
/// `Denied` where we may not look.
pub fn look(path: &Path, submodules: bool) -> Result<Place> {
    transport::register()?;
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Place::NoRepository),
        Err(error) => return Err(error.into()),
        Ok(facts) if !facts.is_dir() => return Ok(Place::Occupied),
        Ok(_) => {}
    }
    // Listing tells "may not look" from "nothing there".
    std::fs::read_dir(path)?;
    if path.join(".git").symlink_metadata().is_err() {
        return Ok(Place::NoRepository);
    }
    let repository = match Repository::open(path) {
        Ok(repository) => repository,
        Err(error) => return Ok(Place::Broken(Error::from(error).to_string())),
    };
    match checkout(&repository, submodules) {
        Ok(checkout) => Ok(Place::Repository(Box::new(checkout))),
        Err(error) if error.kind() == Kind::Denied => Err(error),
        Err(error) => Ok(Place::Broken(error.to_string())),
    }
}

fn checkout(repository: &Repository, submodules: bool) -> Result<Checkout> {
    let head = repository.head()?;
    let commit = head.peel_to_commit()?;
    let unfinished = Mark::read(repository).and_then(|mark| mark.target);
    // Files in the middle of a checkout of ours are nobody's modification.
    let modified = if unfinished.is_some() { Vec::new() } else { modified(repository)? };
    Ok(Checkout {
        commit: commit.id().to_string(),
        branch: head.is_branch().then(|| head.shorthand().ok().map(ToOwned::to_owned)).flatten(),
        origin: repository.find_remote("origin").ok().and_then(|origin| origin.url().ok().map(ToOwned::to_owned)),
        unfinished,
        modified,
        has_own_commits: !came_from_the_server(repository, commit.id()),
        stale_submodules: if submodules { stale_submodules(repository)? } else { Vec::new() },
    })
}

/// A diffstat of tracked files that differ from what is checked out; empty when none does.
///
/// # Errors
/// When the tree cannot be read.
pub fn modified(repository: &Repository) -> Result<Vec<String>> {
    let tree = repository.head()?.peel_to_tree()?;
    let mut options = DiffOptions::new();
    options.ignore_submodules(true).skip_binary_check(true);
    let diff = repository.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))?;
    if diff.deltas().len() == 0 {
        return Ok(Vec::new());
    }
    stat_lines(&diff)
}

fn stat_lines(diff: &Diff<'_>) -> Result<Vec<String>> {
    let text = diff.stats()?.to_buf(DiffStatsFormat::FULL | DiffStatsFormat::INCLUDE_SUMMARY, 100)?;
    let text = text.as_str().unwrap_or_default();
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let hidden = lines.len().saturating_sub(MOST_LINES);
    let more = (hidden > 0).then(|| format!("and {hidden} more lines"));
    Ok(lines.into_iter().take(MOST_LINES).chain(more).collect())
}

/// Whether this commit was fetched rather than made here.
pub fn came_from_the_server(repository: &Repository, commit: Oid) -> bool {
    if repository.refname_to_id(super::checkout::DEPLOYED).is_ok_and(|deployed| deployed == commit) {
        return true;
    }
    let Ok(references) = repository.references() else { return false };
    references.flatten().any(|reference| {
        let is_fetched = reference.is_remote() || reference.is_tag();
        let Some(tip) = is_fetched.then(|| reference.peel_to_commit().ok()).flatten() else { return false };
        // Where history was cut off, descent cannot be told and counts as none.
        tip.id() == commit || repository.graph_descendant_of(tip.id(), commit).unwrap_or(false)
    })
}

fn stale_submodules(repository: &Repository) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for submodule in repository.submodules()? {
        if submodule.head_id().is_some() && submodule.workdir_id() != submodule.head_id() {
            stale.push(submodule.path().display().to_string());
            continue;
        }
        if let Ok(inner) = submodule.open() {
            let below = stale_submodules(&inner)?;
            stale.extend(below.into_iter().map(|path| submodule.path().join(path).display().to_string()));
        }
    }
    Ok(stale)
}
