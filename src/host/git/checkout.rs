//! From the commit that is checked out to another one, in an order that a run cut short at any point can be finished from.

use std::path::Path;

use git2::build::CheckoutBuilder;
use git2::{Delta, Oid, Repository, Signature};

use super::look;
use super::mark::Mark;
use super::resolve::Resolved;
use crate::error::{Error, Kind, Result};

/// The commit that was last deployed here.
pub const DEPLOYED: &str = "refs/bootstrap-agent/deployed";
/// Commits that were made here and that `local_changes: stash` put aside, by their first digits.
const KEPT: &str = "refs/bootstrap-agent/kept";
/// The most files an error names.
const MOST_FILES: usize = 10;

/// Finishes what an earlier run left in the middle of a checkout.
///
/// # Errors
/// When it cannot be finished.
pub fn finish(repository: &Repository) -> Result<()> {
    let Some(mark) = Mark::read(repository) else { return Ok(()) };
    if let Some(target) = mark.target {
        let wanted = Resolved { commit: target, reference: mark.branch.map(|branch| format!("refs/heads/{branch}")) };
        write_tree(repository, &wanted)?;
    }
    Mark::clear(repository)
}

/// Puts modified tracked files and commits that were made here aside, or refuses to go on over them.
///
/// # Errors
/// With a diffstat, unless they may be put aside.
pub fn settle_local_changes(repository: &mut Repository, stash: bool) -> Result<()> {
    let head = repository.head()?.peel_to_commit()?.id();
    let modified = look::modified(repository)?;
    if !modified.is_empty() {
        if !stash {
            return Err(modified_error(&modified));
        }
        let by = Signature::now("bootstrap-agent", "bootstrap-agent@localhost")?;
        repository.stash_save(&by, "put aside by the bootstrap agent", None)?;
    }
    if !look::came_from_the_server(repository, head) {
        if !stash {
            return Err(own_commits_error(&head.to_string()));
        }
        keep(repository, head)?;
    }
    Ok(())
}

/// The error for modified tracked files.
#[must_use]
pub fn modified_error(lines: &[String]) -> Error {
    Error::new(Kind::Failed, "tracked files were modified here")
        .hint("commit them elsewhere, or let `local_changes: stash` put them aside; untracked files may stay")
        .tail(lines.iter().cloned())
}

/// The error for commits that did not come from the server.
#[must_use]
pub fn own_commits_error(commit: &str) -> Error {
    let short = commit.get(..10).unwrap_or(commit);
    Error::new(Kind::Failed, format!("commit `{short}` was made here and is not on the server"))
        .hint(format!("push it, or let `local_changes: stash` keep it under `{KEPT}/`"))
}

fn keep(repository: &Repository, commit: Oid) -> Result<()> {
    let id = commit.to_string();
    repository.reference(&format!("{KEPT}/{}", id.get(..10).unwrap_or(&id)), commit, true, "put aside by the bootstrap agent")?;
    Ok(())
}

/// Moves a checkout that has a commit to another one.
///
/// # Errors
/// When an untracked file stands where a tracked one shall be, or a file cannot be written.
pub fn move_to(repository: &Repository, wanted: &Resolved) -> Result<()> {
    let tree = repository.workdir().ok_or_else(|| Error::new(Kind::Failed, "the repository has no working tree"))?;
    refuse_untracked(repository, wanted, tree)?;
    if let Some(branch) = wanted.branch() {
        let local = repository.refname_to_id(&format!("refs/heads/{branch}"));
        if let Some(local) = local.ok().filter(|local| !look::came_from_the_server(repository, *local)) {
            keep(repository, local)?;
        }
    }
    mark(repository, wanted)?;
    write_tree(repository, wanted)?;
    Mark::clear(repository)
}

/// Leaves the mark that makes a later run finish this checkout.
///
/// # Errors
/// When it cannot be written.
pub fn mark(repository: &Repository, wanted: &Resolved) -> Result<()> {
    Mark { target: Some(wanted.commit.clone()), branch: wanted.branch().map(ToOwned::to_owned) }.write(repository)
}

/// Writes the files first and moves `HEAD` last: until then, the old commit tells which files have to go.
///
/// # Errors
/// When a file cannot be written.
pub fn write_tree(repository: &Repository, wanted: &Resolved) -> Result<()> {
    let id = Oid::from_str(&wanted.commit)?;
    let commit = repository.find_commit(id)?;
    repository.checkout_tree(commit.as_object(), Some(CheckoutBuilder::new().force()))?;
    point_at(repository, wanted)
}

/// Moves branch and `HEAD`.
///
/// # Errors
/// When they cannot be written.
pub fn point_at(repository: &Repository, wanted: &Resolved) -> Result<()> {
    const WHY: &str = "bootstrap-agent: deploy";
    let id = Oid::from_str(&wanted.commit)?;
    match wanted.branch() {
        Some(branch) => {
            let name = format!("refs/heads/{branch}");
            repository.reference(&name, id, true, WHY)?;
            repository.reference(&format!("refs/remotes/origin/{branch}"), id, true, WHY)?;
            repository.set_head(&name)?;
            // So that a person's `git pull` works.
            let mut config = repository.config()?;
            config.set_str(&format!("branch.{branch}.remote"), "origin")?;
            config.set_str(&format!("branch.{branch}.merge"), &name)?;
        }
        None => repository.set_head_detached(id)?,
    }
    repository.reference(DEPLOYED, id, true, WHY)?;
    Ok(())
}

/// Untracked files stay, so one that stands where the commit has a file is an error, and nothing is written.
///
/// # Errors
/// With the names of these files.
pub fn refuse_untracked(repository: &Repository, wanted: &Resolved, tree: &Path) -> Result<()> {
    let new = repository.find_commit(Oid::from_str(&wanted.commit)?)?.tree()?;
    // Before the first checkout, nothing is tracked.
    let is_checked_out = repository.workdir().is_some();
    let old = if is_checked_out { Some(repository.head()?.peel_to_tree()?) } else { None };
    let diff = repository.diff_tree_to_tree(old.as_ref(), Some(&new), None)?;
    let is_tracked = |path: &Path| old.as_ref().is_some_and(|old| old.get_path(path).is_ok());
    let mut in_the_way: Vec<String> = diff
        .deltas()
        .filter(|delta| delta.status() == Delta::Added)
        .filter_map(|delta| delta.new_file().path())
        .filter_map(|path| {
            let within = path.ancestors().filter(|part| !part.as_os_str().is_empty());
            // The file itself, or something on the way to it that is no directory.
            let stands = |part: &&Path| match tree.join(part).symlink_metadata() {
                Ok(facts) => (*part == path || !facts.is_dir()) && !is_tracked(part),
                Err(_) => false,
            };
            within.filter(stands).last().map(|part| part.display().to_string())
        })
        .collect();
    in_the_way.dedup();
    if in_the_way.is_empty() { Ok(()) } else { Err(in_the_way_error(&in_the_way)) }
}

fn in_the_way_error(files: &[String]) -> Error {
    let names: Vec<String> = files.iter().take(MOST_FILES).map(|file| format!("`{file}`")).collect();
    let more = files.len().saturating_sub(MOST_FILES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Error::new(Kind::Failed, format!("files that are not tracked stand where tracked ones shall be: {}{more}", names.join(", ")))
        .hint("move them away; the agent does not overwrite files it does not know")
}
