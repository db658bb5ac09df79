//! `git`: a repository is checked out at a branch, a tag or a commit.

mod change;
mod releases;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::change::GitChange;
use self::change::short;
use self::releases::Releases;
use crate::error::{Context, Error, Kind, Result};
use crate::host::git::{Address, Checkout, Place, Resolved, Source, Wish, is_commit, modified_error, own_commits_error};
use crate::host::write::Attributes;
use crate::host::{Answer, Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::{AbsolutePath, account_name_problem};
use crate::step::{Finding, Outputs, Step, Thing, Touches, Value};

/// Checks a repository out and keeps it at a revision.
///
/// git itself need not be installed. The key is used from memory and written nowhere; the server's host key must be known. Files
/// that are not tracked stay; hooks and filters of the repository never run. Outputs: `commit`, `short`, `branch`,
/// `path`, and `latest`: the commit the server has, which is another one where a timer run stays (`converge: config`).
///
/// With `releases`, each revision is checked out afresh into `releases/<commit>` below `path`, whole or not at all, and the link
/// `current` is switched to it atomically. `steps.<id>.release` is that directory, `steps.<id>.path` the link. A `health` step
/// with `rollback: <id>` goes back to the last healthy release when a new one fails; a revision that failed stays away until the
/// branch moves. What belongs to a revision, such as a virtual environment, goes into its release, so that it goes back with it.
///
/// ```yaml
/// - id: code
///   git: { url: git@bitbucket.org:team/app.git, path: /srv/app, owner: app, ssh_key: "{{ secrets.key }}", releases: { keep: 3 } }
/// ```
///
/// With `slots` besides, a new release is a candidate: it gets a slot that the live one does not have, and `current` follows once
/// a `health` step with `rollback` has seen it healthy. `slots/<slot>` links to the release, so that a template unit runs it with
/// `WorkingDirectory=/srv/app/slots/%i`; `steps.<id>.slot` is the slot of the release that is wished, `steps.<id>.spare` another one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// Address of the repository: `git@host:team/project.git`, `ssh://…`, `https://…` or a path on this machine.
    url: String,
    /// Branch, tag or whole commit; the server's default branch unless told.
    revision: Option<String>,
    /// The directory to check out into.
    path: AbsolutePath,
    /// Who owns the checkout and does all the work in it; whoever runs the agent unless told.
    owner: Option<String>,
    /// Group that all of the checkout belongs to; the owner's own unless told, and what is there stays as it is.
    group: Option<String>,
    /// Private key for an address over SSH, without passphrase.
    ssh_key: Option<Sensitive>,
    /// Access token for an address over HTTPS.
    token: Option<Sensitive>,
    /// Name that goes with the token: GitLab wants `oauth2`, Bitbucket `x-token-auth`. A server that takes bearer tokens only gets
    /// it as one, without the name.
    #[serde(default = "token_user")]
    token_user: String,
    /// Lines as in `known_hosts`, with or without the host's name, in place of the built-in keys of GitHub, GitLab and Bitbucket.
    #[serde(default)]
    host_keys: Vec<String>,
    /// How many commits of history to fetch; 0 for all. A history that is there as a whole stays whole.
    #[serde(default = "one")]
    depth: u32,
    /// Whether submodules are checked out too, with the same key where they are on the same host.
    #[serde(default)]
    submodules: bool,
    /// What happens to tracked files that were modified here, and to commits made here.
    #[serde(default)]
    local_changes: LocalChanges,
    /// Keeps releases side by side in place of one checkout that moves.
    #[serde(default)]
    releases: Option<Releases>,
}

/// What happens to local changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LocalChanges {
    /// The step fails and shows them.
    #[default]
    Fail,
    /// They are put aside, in git's stash.
    Stash,
}

fn token_user() -> String {
    "x-access-token".to_owned()
}

fn one() -> u32 {
    1
}

impl Step for Git {
    const KIND: &'static str = "git";
    const EXAMPLE: &'static str = r#"secrets:
  deploy_key: ssm:/app/deploy-key
steps:
  - id: code
    git:
      url: git@github.com:team/app.git
      revision: main
      path: /srv/app
      owner: www-data
      ssh_key: "{{ secrets.deploy_key }}"
"#;
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[
        ("commit", "The whole id of the commit that is checked out, or shall be."),
        ("branch", "The branch it is on, where it is on one."),
        ("path", "The directory to run it from: the checkout, or the link to the live release."),
        ("short", "The beginning of that id."),
        ("latest", "The commit that the revision stands for now, also where this run stays on another."),
        ("release", "With `releases`: the directory of the release that is wished."),
        ("slot", "With `slots`: the slot of that release."),
        ("spare", "With `slots`: another one."),
    ];

    type Change = GitChange;

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read_user(self.owner.as_deref()).write_path(self.path.as_path());
        self.group.iter().fold(touches, |touches, group| touches.read(Thing::Group(group.clone())))
    }

    fn problems(&self) -> Vec<String> {
        let names = self.owner.iter().chain(&self.group);
        let mut problems: Vec<String> = names.filter_map(|name| account_name_problem(name)).collect();
        match self.url.parse::<Address>() {
            Err(why) => problems.push(why),
            Ok(Address::Ssh { .. }) if self.ssh_key.is_none() => {
                problems.push("an address over SSH needs a key: give it under `ssh_key`".to_owned());
            }
            Ok(address) => {
                if self.ssh_key.is_some() && !matches!(address, Address::Ssh { .. }) {
                    problems.push("`ssh_key` is of no use for an address that is not over SSH".to_owned());
                }
                if self.token.is_some() && !matches!(address, Address::Https { .. }) {
                    problems.push("`token` is of no use for an address that is not over HTTPS".to_owned());
                }
            }
        }
        if let Some(revision) = &self.revision {
            let is_name = |letter: char| !letter.is_whitespace() && !letter.is_control() && !"~^:?*[\\".contains(letter);
            if revision.is_empty() || revision.starts_with('-') || revision.contains("..") || !revision.chars().all(is_name) {
                problems.push(format!("`{revision}` is no branch, tag or whole commit"));
            }
        }
        problems.extend(self.releases.iter().flat_map(Releases::problems));
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<GitChange>> {
        let owner = self.owner(facts)?;
        if let Some(releases) = &self.releases {
            return self.compare_releases(releases, &owner, facts);
        }
        match self.checkout(&owner, &self.path, facts)? {
            Some(checkout) => self.compare(&owner, &checkout, facts),
            None => Ok(self.missing()),
        }
    }

    fn apply(&self, change: &GitChange, host: &Host) -> Result<()> {
        let owner = self.owner(host)?;
        match change {
            GitChange::Group { to, .. } => return host.give_checkout_to(&owner, to, &self.path),
            GitChange::Release { .. } | GitChange::In { .. } | GitChange::Link { .. } | GitChange::Remove(_) => {
                return self.apply_to_releases(change, &owner, host);
            }
            GitChange::Clone { .. } => self.make_directory(&owner, host)?,
            _ => {}
        }
        let stays = !matches!(change, GitChange::Clone { .. } | GitChange::Move { .. });
        let resolved = if stays { self.where_it_is(&owner, host)? } else { None };
        let wish = Wish { resolved, ..self.wish(&self.path) };
        host.bring_checkout(&owner, self.group.as_deref(), &self.source(), wish)
    }
}

impl Git {
    fn source(&self) -> Source<'_> {
        Source {
            url: &self.url,
            ssh_key: self.ssh_key.as_ref(),
            token: self.token.as_ref(),
            token_user: &self.token_user,
            host_keys: &self.host_keys,
        }
    }

    /// A checkout there, at whatever the revision means.
    fn wish(&self, path: &Path) -> Wish {
        Wish {
            path: path.to_owned(),
            url: self.url.clone(),
            revision: self.revision.clone(),
            resolved: None,
            depth: self.depth,
            submodules: self.submodules,
            stash: self.local_changes == LocalChanges::Stash,
            release: false,
        }
    }

    /// The checkout that stands there, if any.
    fn checkout(&self, owner: &str, path: &Path, facts: &Facts) -> Result<Option<Checkout>> {
        match facts.checkout(owner, path, self.submodules)? {
            Place::NoRepository => Ok(None),
            Place::Repository(checkout) => Ok(Some(*checkout)),
            Place::Occupied => Err(Error::new(Kind::Failed, format!("`{}` is not a directory", path.display()))),
            Place::Broken(why) => {
                let because = format!("the repository at `{}` cannot be read: {why}", path.display());
                Err(Error::new(Kind::Failed, because).hint("move it away, and the next run clones it anew"))
            }
        }
    }

    fn owner(&self, facts: &Facts) -> Result<String> {
        match &self.owner {
            Some(owner) => Ok(owner.clone()),
            None => facts.own_name(),
        }
    }

    /// The revision in words.
    fn revision(&self) -> String {
        self.revision.as_ref().map_or_else(|| "its default branch".to_owned(), |revision| format!("`{revision}`"))
    }

    fn missing(&self) -> Finding<GitChange> {
        let mut finding = Finding::done();
        finding.change(GitChange::Clone { url: self.url.clone(), revision: self.revision() });
        // A whole commit is known before anybody has asked; what a branch means, the clone itself will ask.
        let commit = self.revision.as_deref().filter(|revision| is_commit(revision));
        finding.outputs = self.outputs(commit.map(str::to_ascii_lowercase).as_deref(), None);
        finding
    }

    fn compare(&self, owner: &str, checkout: &Checkout, facts: &Facts) -> Result<Finding<GitChange>> {
        let mut finding = Finding::done();
        for change in self.untidy(&self.path, checkout, facts)? {
            finding.change(change);
        }
        let mut commit = Some(checkout.commit.clone());
        let mut branch = checkout.branch.clone();
        let mut latest = None;
        if facts.stays_on_revision() {
            // Only to be told: that the server is out of reach keeps nobody from repairing what is here.
            if let Ok(Answer::Known(wanted)) = facts.revision(owner, &self.source(), self.revision.as_deref()) {
                finding.behind = self.behind(&checkout.commit, &wanted.commit);
                latest = Some(wanted.commit);
            }
        } else {
            match facts.revision(owner, &self.source(), self.revision.as_deref()) {
                Ok(Answer::Known(wanted)) => {
                    if wanted.commit != checkout.commit || is_other_branch(&wanted, checkout) {
                        finding.change(GitChange::Move {
                            from: checkout.commit.clone(),
                            to: wanted.commit.clone(),
                            revision: self.revision(),
                        });
                    }
                    branch = wanted.branch().map(ToOwned::to_owned);
                    commit = Some(wanted.commit);
                }
                Ok(Answer::Unknown(why)) => {
                    commit = None;
                    finding.unknown = Some(format!("whether {} has moved: {why}", self.revision()));
                }
                Err(error) => return Err(error).doing(|| format!("finding out what {} is", self.revision())),
            }
        }
        if !checkout.stale_submodules.is_empty() {
            finding.change(GitChange::Submodules(checkout.stale_submodules.clone()));
        }
        finding.outputs = self.outputs(commit.as_deref(), branch.as_deref());
        if let Some(latest) = latest {
            finding.outputs.insert("latest".to_owned(), Value::from(latest));
        }
        let path = self.path.to_string();
        Ok(finding.with_fingerprint(&[checkout.commit.as_bytes(), path.as_bytes()]))
    }

    /// What a run that may move would do.
    fn behind(&self, there: &str, newest: &str) -> Option<String> {
        let moved = GitChange::Move { from: there.to_owned(), to: newest.to_owned(), revision: self.revision() };
        (there != newest).then(|| moved.to_string())
    }

    /// What is to be put right in a checkout, whatever commit it shall be at.
    fn untidy(&self, path: &Path, checkout: &Checkout, facts: &Facts) -> Result<Vec<GitChange>> {
        let mut changes = Vec::new();
        if let Some((from, to)) = self.other_group(path, facts)? {
            changes.push(GitChange::Group { from, to });
        }
        let refuses = self.local_changes == LocalChanges::Fail;
        if let Some(commit) = &checkout.unfinished {
            changes.push(GitChange::Finish { commit: commit.clone() });
        } else if refuses && !checkout.modified.is_empty() {
            return Err(modified_error(&checkout.modified));
        } else if refuses && checkout.has_own_commits {
            return Err(own_commits_error(&checkout.commit));
        } else if !checkout.modified.is_empty() || checkout.has_own_commits {
            changes.push(GitChange::PutAside);
        }
        if checkout.origin.as_deref() != Some(&self.url) {
            let from = checkout.origin.clone().unwrap_or_else(|| "nowhere".to_owned());
            changes.push(GitChange::Origin { from, to: self.url.clone() });
        }
        Ok(changes)
    }

    /// The group of what is there and the one it shall have, where they differ.
    fn other_group(&self, path: &Path, facts: &Facts) -> Result<Option<(String, String)>> {
        let (Some(name), Some(there)) = (&self.group, facts.look(path)?) else { return Ok(None) };
        let group = facts.group(name)?.ok_or_else(|| {
            Error::new(Kind::Missing, format!("there is no group `{name}`")).hint("make it with a `group` step before this one")
        })?;
        if group.gid == there.gid {
            return Ok(None);
        }
        let from = facts.group_by_id(there.gid)?.map_or_else(|| there.gid.to_string(), |group| group.name);
        Ok(Some((from, name.clone())))
    }

    fn outputs(&self, commit: Option<&str>, branch: Option<&str>) -> Outputs {
        let known = |text: Option<&str>| text.map_or(Value::Unknown, Value::from);
        let branch = match (commit, branch) {
            (Some(_), None) => Value::Known(serde_json::Value::Null),
            (_, branch) => known(branch),
        };
        Outputs::from_iter([
            ("commit".to_owned(), known(commit)),
            ("short".to_owned(), known(commit.map(short))),
            ("latest".to_owned(), known(commit)),
            ("branch".to_owned(), branch),
            ("path".to_owned(), Value::from(self.path.to_string())),
        ])
    }

    /// The revision that is checked out, as a wish to stay there.
    fn where_it_is(&self, owner: &str, host: &Host) -> Result<Option<Resolved>> {
        Ok(match host.checkout(owner, &self.path, false)? {
            Place::Repository(checkout) => Some(Resolved {
                commit: checkout.unfinished.unwrap_or(checkout.commit),
                reference: checkout.branch.map(|branch| format!("refs/heads/{branch}")),
            }),
            _ => None,
        })
    }

    /// The directory is made by root where only root can, and belongs to the owner.
    fn make_directory(&self, owner: &str, host: &Host) -> Result<()> {
        match (host.look(&self.path)?, host.user(owner)?) {
            (None, _) => {
                let attributes = Attributes { owner: Some(owner.to_owned()), group: self.group.clone(), mode: Some(0o755) };
                host.make_directory(&self.path, &attributes)
            }
            (Some(there), Some(account)) if there.uid != account.uid => {
                Err(Error::new(Kind::Denied, format!("`{}` does not belong to `{owner}`", self.path))
                    .hint("a `directory` step before this one can give it to them"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the wish names a branch, and another one is checked out. A tag or commit says nothing of branches.
fn is_other_branch(wanted: &Resolved, checkout: &Checkout) -> bool {
    match wanted.branch() {
        Some(branch) => checkout.branch.as_deref() != Some(branch),
        None => checkout.branch.is_some(),
    }
}

#[cfg(test)]
mod tests;
