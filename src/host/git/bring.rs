//! Brings a checkout to a revision: clones when there is none, fetches when the commit is missing, then checks out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{AutotagOption, Direction, FetchOptions, Oid, Remote, Repository, RepositoryInitOptions};
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::address::Address;
use super::locks::{self, Exclusive};
use super::mark::Mark;
use super::resolve::{Offer, Resolved, resolve};
use super::{checkout, submodules, transport};
use crate::error::{Context, Error, Kind, Result};

/// The whole history, where some of it was left out before.
const UNSHALLOW: i32 = i32::MAX;
/// A repository in the making; it becomes `.git` when all of it has arrived.
const IN_THE_MAKING: &str = ".git.in-the-making";

/// A checkout as it shall be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    /// Where.
    pub path: PathBuf,
    /// Of what, as written: this is what `origin` says.
    pub url: String,
    /// Branch, tag or commit; the server's default branch unless told.
    pub revision: Option<String>,
    /// What the revision means, when this run has asked before.
    pub resolved: Option<Resolved>,
    /// How many commits of history; 0 for all.
    pub depth: u32,
    /// Whether submodules are brought too.
    pub submodules: bool,
    /// Whether local changes are put aside.
    pub stash: bool,
    /// Whether this is the place of releases, and one more is made there.
    pub release: bool,
}

/// Asks the server what the revision means.
///
/// # Errors
/// `Missing` when it has none of that name; whatever keeps the server from being asked.
pub fn ask(access: &Arc<Access>, revision: Option<&str>) -> Result<Resolved> {
    transport::register()?;
    let mut remote = Remote::create_detached(access.address.as_url())?;
    resolve(&offers(&mut remote, access)?, revision)
}

fn offers(remote: &mut Remote<'_>, access: &Arc<Access>) -> Result<Vec<Offer>> {
    access.during(|| {
        remote.connect(Direction::Fetch)?;
        let heads = remote.list()?;
        Ok(heads
            .iter()
            .map(|head| Offer {
                name: head.name().to_owned(),
                id: head.oid().to_string(),
                target: head.symref_target().map(ToOwned::to_owned),
            })
            .collect())
    })
}

/// Brings it there, and says what the revision meant.
///
/// # Errors
/// Whatever kept it from getting there; another try goes on from what is there.
pub fn bring(wish: &Wish, access: &Arc<Access>) -> Result<Resolved> {
    transport::register()?;
    let _exclusive = Exclusive::take(&wish.path, access.deadline)?;
    let resolved = if wish.path.join(".git").symlink_metadata().is_ok() { update(wish, access) } else { clone(wish, access) }?;
    if wish.submodules {
        let repository = Repository::open(&wish.path)?;
        submodules::bring(&repository, access)?;
    }
    Ok(resolved)
}

fn clone(wish: &Wish, access: &Arc<Access>) -> Result<Resolved> {
    let making = wish.path.join(IN_THE_MAKING);
    if making.symlink_metadata().is_ok() {
        fs::remove_dir_all(&making).doing(|| format!("removing the half-made `{}`", making.display()))?;
    }
    let mut options = RepositoryInitOptions::new();
    options.bare(true).no_reinit(true).mkdir(true).external_template(false).initial_head("main");
    let repository = Repository::init_opts(&making, &options).doing(|| format!("creating `{}`", making.display()))?;
    // Packs and branches survive a power cut: otherwise `.git` could be there after one, and what is in it not.
    repository.config()?.set_bool("core.fsyncObjectFiles", true)?;
    repository.remote("origin", &wish.url)?;
    let resolved = fetch(&repository, wish, access, true)?;
    checkout::refuse_untracked(&repository, &resolved, &wish.path)?;
    let mut config = repository.config()?;
    config.set_bool("core.bare", false)?;
    config.set_bool("core.logallrefupdates", true)?;
    checkout::point_at(&repository, &resolved)?;
    checkout::mark(&repository, &resolved)?;
    drop((config, repository));
    // From here on it is a repository whose files are still to be written, and any later run can write them.
    let place = wish.path.join(".git");
    fs::rename(&making, &place).doing(|| format!("renaming to `{}`", place.display()))?;
    checkout::finish(&Repository::open(&wish.path)?)?;
    Ok(resolved)
}

fn update(wish: &Wish, access: &Arc<Access>) -> Result<Resolved> {
    let mut repository = Repository::open(&wish.path)?;
    remove_leftovers(&wish.path);
    locks::remove_stale(repository.path(), Mark::read(&repository).is_some())?;
    checkout::finish(&repository)?;
    checkout::settle_local_changes(&mut repository, wish.stash)?;
    Mark { target: None, branch: None }.write(&repository)?;
    match repository.find_remote("origin") {
        Ok(origin) if origin.url().is_ok_and(|url| url == wish.url) => {}
        Ok(_) => repository.remote_set_url("origin", &wish.url)?,
        Err(_) => drop(repository.remote("origin", &wish.url)?),
    }
    let resolved = fetch(&repository, wish, access, false)?;
    checkout::move_to(&repository, &resolved)?;
    Ok(resolved)
}

/// What a first clone that was cut short leaves where a person has cloned since.
fn remove_leftovers(path: &Path) {
    // Best effort: it is in nobody's way.
    drop(fs::remove_dir_all(path.join(IN_THE_MAKING)));
}

/// Sees to it that the commit is here.
fn fetch(repository: &Repository, wish: &Wish, access: &Arc<Access>, is_new: bool) -> Result<Resolved> {
    if let Some(known) = wish.resolved.as_ref().filter(|known| is_here(repository, &known.commit)) {
        return Ok(known.clone());
    }
    let mut remote = repository.remote_anonymous(&access.address.as_url())?;
    let resolved = match &wish.resolved {
        Some(resolved) => resolved.clone(),
        None => resolve(&offers(&mut remote, access)?, wish.revision.as_deref())?,
    };
    if is_here(repository, &resolved.commit) {
        return Ok(resolved);
    }
    let depth = i32::try_from(wish.depth).unwrap_or(UNSHALLOW);
    // A history that is here as a whole stays whole; a path has no shallow form.
    let whole = (!is_new && !repository.is_shallow()) || matches!(access.address, Address::Local(_));
    let depth = if whole { 0 } else { depth };
    let first = match resolved.reference.as_deref() {
        Some(name) => match name.strip_prefix("refs/heads/") {
            Some(branch) => format!("+{name}:refs/remotes/origin/{branch}"),
            None => format!("+{name}:{name}"),
        },
        None => format!("{}:refs/bootstrap-agent/fetched", resolved.commit),
    };
    let outcome = download(&mut remote, access, &[first], depth);
    if is_here(repository, &resolved.commit) {
        return Ok(resolved);
    }
    if let Err(error) = outcome
        && (resolved.reference.is_some() || error.kind() == Kind::Denied)
    {
        return Err(error);
    }
    // The server does not give away single commits, or the branch has moved on since it was asked: the whole history has it.
    let everything = ["+refs/heads/*:refs/remotes/origin/*".to_owned(), "+refs/tags/*:refs/tags/*".to_owned()];
    let mut remote = repository.remote_anonymous(&access.address.as_url())?;
    let depth = if repository.is_shallow() { UNSHALLOW } else { 0 };
    download(&mut remote, access, &everything, depth)?;
    if is_here(repository, &resolved.commit) {
        return Ok(resolved);
    }
    Err(Error::new(Kind::Missing, format!("the server has no commit `{}`", resolved.commit))
        .hint("was it pushed, and is it on a branch or under a tag?"))
}

fn download(remote: &mut Remote<'_>, access: &Arc<Access>, what: &[String], depth: i32) -> Result<()> {
    let mut options = FetchOptions::new();
    options.depth(depth).download_tags(AutotagOption::None).update_fetchhead(false);
    access.during(|| remote.fetch(what, Some(&mut options), Some("bootstrap-agent: fetch")))
}

/// Whether the commit and its tree are here. Packs appear whole or not at all, so these two stand for the rest.
fn is_here(repository: &Repository, commit: &str) -> bool {
    Oid::from_str(commit).and_then(|id| repository.find_commit(id)).is_ok_and(|commit| commit.tree().is_ok())
}
