//! Releases side by side: which one is wished, in which slot, and which are no longer needed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Git, GitChange, short};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::files::FileKind;
use crate::host::git::{RELEASES, Releases as Found, Resolved, Wish};
use crate::host::rollback::{CURRENT, Failed};
use crate::host::write::Attributes;
use crate::host::{Answer, Facts, Host};
use crate::step::{Finding, Value};

/// Where the links of slots are.
const SLOTS: &str = "slots";

/// How releases are kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// How many stay, the newest ones; the live one and the last healthy one stay in any case.
    #[serde(default = "three")]
    keep: usize,
    /// Names, ports for instance (`["3001", "3002"]`): a new release gets one that the live one does not have.
    #[serde(default)]
    slots: Vec<String>,
}

fn three() -> usize {
    3
}

/// The release that is wished.
struct Wanted {
    /// Its commit; `None` while nobody may ask what the revision means.
    commit: Option<String>,
    branch: Option<String>,
    /// What the server has.
    latest: Option<String>,
    /// Why the commit is not known.
    unknown: Option<String>,
    notice: Option<String>,
}

impl Releases {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.keep == 0 {
            problems.push("`keep` must be at least 1".to_owned());
        }
        let distinct: BTreeSet<&String> = self.slots.iter().collect();
        if self.slots.len() == 1 || distinct.len() < self.slots.len() {
            problems.push("`slots` needs two names or more, each another one".to_owned());
        }
        let is_name = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        problems.extend(
            self.slots
                .iter()
                .filter(|name| name.is_empty() || !is_name(name))
                .map(|name| format!("`{name}` is no name for a slot: letters, digits, `-` and `_`")),
        );
        problems
    }

    /// The slot for this release, and another one. `linked` is what each slot leads to.
    fn slot(&self, linked: &[Option<String>], live: Option<&str>, wanted: Option<&str>) -> Option<(&str, &str)> {
        let leads = |commit: Option<&str>| {
            let at = commit.and_then(|commit| linked.iter().position(|to| to.as_deref() == Some(commit)));
            at.and_then(|at| self.slots.get(at))
        };
        let lives = leads(live);
        let own = match leads(wanted) {
            Some(own) => own,
            None => self.slots.iter().find(|slot| Some(*slot) != lives)?,
        };
        // Not the live one's if that can be: the spare one is free to be stopped once traffic has moved.
        let spare = self.slots.iter().find(|slot| *slot != own)?;
        Some((own, spare))
    }
}

impl Git {
    /// The differences where releases are kept.
    pub(super) fn compare_releases(&self, releases: &Releases, owner: &str, facts: &Facts) -> Result<Finding<GitChange>> {
        let found = facts.releases(owner, &self.path)?;
        let live = self.linked(CURRENT, facts)?;
        let wanted = self.wanted(owner, &found, live.as_deref(), facts)?;
        let mut finding = Finding::done();
        finding.unknown.clone_from(&wanted.unknown);
        finding.notice.clone_from(&wanted.notice);
        if let (Some(stays), Some(latest)) = (&wanted.commit, &wanted.latest) {
            // It stays because it may not move, or because the newer one failed: drift in either case.
            finding.behind = self.behind(stays, latest);
        }
        let mut links =
            releases.slots.iter().map(|slot| self.linked(&format!("{SLOTS}/{slot}"), facts)).collect::<Result<Vec<_>>>()?;
        let slots = releases.slot(&links, live.as_deref(), wanted.commit.as_deref());
        let link = slots.map_or(CURRENT.to_owned(), |(slot, _)| format!("{SLOTS}/{slot}"));
        let is_first = found.commits.is_empty() && live.is_none();
        if is_first {
            // The same words whether or not anybody may ask which commit it will be.
            finding.change(GitChange::Release { commit: None, url: self.url.clone(), revision: self.revision() });
            finding.change(GitChange::Link { name: link.clone(), from: None, to: None });
            finding.unknown = None;
        } else if let Some(commit) = &wanted.commit {
            self.compare_release(commit, owner, &found, facts, &mut finding)?;
            let at = slots.and_then(|(slot, _)| releases.slots.iter().position(|known| known == slot));
            let mut current = live.clone();
            let from = at.and_then(|at| links.get_mut(at)).unwrap_or(&mut current).replace(commit.clone());
            if from.as_ref() != Some(commit) {
                finding.change(GitChange::Link { name: link.clone(), from, to: Some(commit.clone()) });
            }
            links.push(current);
            let old = self.no_longer_needed(releases.keep, &found, commit, &links, facts)?;
            if !old.is_empty() {
                finding.change(GitChange::Remove(old));
            }
        }
        finding.outputs = self.outputs(wanted.commit.as_deref(), wanted.branch.as_deref());
        let known = |text: Option<String>| text.map_or(Value::Unknown, Value::from);
        let release = wanted.commit.as_deref().map(|commit| self.release(commit).display().to_string());
        finding.outputs.insert("release".to_owned(), known(release));
        finding.outputs.insert("latest".to_owned(), known(wanted.latest));
        if !releases.slots.is_empty() {
            // Which slot it is depends on whether the revision has moved.
            let is_known = wanted.commit.is_some() || is_first;
            let of = |slot: &str| if is_known { Value::from(slot) } else { Value::Unknown };
            let (slot, spare) = slots.map_or((Value::Unknown, Value::Unknown), |(slot, spare)| (of(slot), of(spare)));
            finding.outputs.insert("slot".to_owned(), slot);
            finding.outputs.insert("spare".to_owned(), spare);
        }
        finding.outputs.insert("path".to_owned(), Value::from(self.path.join(link).display().to_string()));
        let (commit, path) = (wanted.commit.unwrap_or_default(), self.path.to_string());
        Ok(finding.with_fingerprint(&[commit.as_bytes(), path.as_bytes()]))
    }

    fn release(&self, commit: &str) -> PathBuf {
        self.path.join(RELEASES).join(commit)
    }

    /// The release that a link of ours leads to.
    fn linked(&self, name: &str, facts: &Facts) -> Result<Option<String>> {
        let path = self.path.join(name);
        match facts.look(&path)? {
            Some(there) if !matches!(there.kind, FileKind::Link(_)) => {
                Err(Error::new(Kind::Failed, format!("`{}` is there and no link", path.display()))
                    .hint("remove it first, if nothing needs it any more"))
            }
            _ => facts.linked_release(&self.path, name),
        }
    }

    /// What the revision means, unless a run that only repairs stays, or that revision has failed before.
    fn wanted(&self, owner: &str, found: &Found, live: Option<&str>, facts: &Facts) -> Result<Wanted> {
        let asked = facts.revision(owner, &self.source(), self.revision.as_deref());
        let stay = |commit: &str, latest: Option<String>| Wanted {
            commit: Some(commit.to_owned()),
            branch: None,
            latest,
            unknown: None,
            notice: None,
        };
        if let (true, Some(live)) = (facts.stays_on_revision(), live) {
            // Only to be told: that the server is out of reach keeps nobody from repairing what is here.
            let latest = if let Ok(Answer::Known(newest)) = asked { Some(newest.commit) } else { None };
            return Ok(stay(live, latest));
        }
        let newest = match asked.doing(|| format!("finding out what {} is", self.revision()))? {
            Answer::Known(newest) => newest,
            Answer::Unknown(why) => {
                let unknown = Some(format!("whether {} has moved: {why}", self.revision()));
                return Ok(Wanted { commit: None, branch: None, latest: None, unknown, notice: None });
            }
        };
        if let Some(failed) = facts.failed_before(&self.path, &newest.commit)? {
            let healthy = facts.standing(&self.path)?.healthy.map(|healthy| healthy.commit);
            if let Some(healthy) = healthy.filter(|commit| *commit != newest.commit && found.commits.contains(commit)) {
                let notice = Some(self.held_back(&newest, &failed, &healthy));
                return Ok(Wanted { notice, ..stay(&healthy, Some(newest.commit)) });
            }
        }
        let branch = newest.branch().map(ToOwned::to_owned);
        Ok(Wanted { commit: Some(newest.commit.clone()), branch, latest: Some(newest.commit), unknown: None, notice: None })
    }

    fn held_back(&self, newest: &Resolved, failed: &Failed, healthy: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(failed.at).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        format!(
            "{} of `{}` is `{}`, which failed on {} and is not deployed again until it moves or `--retry-revision` is given; \
             `{}` stays on `{}`",
            self.revision(),
            self.url,
            short(&newest.commit),
            at.unwrap_or_default(),
            self.path,
            short(healthy)
        )
    }

    /// Whether the release is there and as it was made.
    fn compare_release(
        &self,
        commit: &str,
        owner: &str,
        found: &Found,
        facts: &Facts,
        finding: &mut Finding<GitChange>,
    ) -> Result<()> {
        if !found.commits.iter().any(|known| known == commit) {
            let (commit, url) = (Some(commit.to_owned()), self.url.clone());
            finding.change(GitChange::Release { commit, url, revision: self.revision() });
            return Ok(());
        }
        let path = self.release(commit);
        let Some(checkout) = self.checkout(owner, &path, facts)? else {
            return Err(Error::new(Kind::Failed, format!("`{}` is there and no checkout", path.display()))
                .hint("move it away, and the next run makes the release anew"));
        };
        let mut changes = self.untidy(&path, &checkout, facts)?;
        if checkout.commit != commit {
            let revision = self.revision();
            changes.push(GitChange::Move { from: checkout.commit.clone(), to: commit.to_owned(), revision });
        }
        if !checkout.stale_submodules.is_empty() {
            changes.push(GitChange::Submodules(checkout.stale_submodules));
        }
        for change in changes {
            finding.change(GitChange::In { commit: commit.to_owned(), change: Box::new(change) });
        }
        Ok(())
    }

    /// Releases beyond the newest ones that no link will lead to and nobody would go back to, and what runs left that were cut short.
    fn no_longer_needed(
        &self,
        keep: usize,
        found: &Found,
        wanted: &String,
        links: &[Option<String>],
        facts: &Facts,
    ) -> Result<Vec<String>> {
        let healthy = facts.standing(&self.path)?.healthy.map(|healthy| healthy.commit);
        // One that is still to be made will be the newest.
        let is_new = !found.commits.contains(wanted);
        let needed: BTreeSet<&String> = links.iter().chain([&healthy]).flatten().collect();
        let old = (found.commits.len() + usize::from(is_new)).saturating_sub(keep);
        let releases = found.commits.iter().take(old).filter(|commit| !needed.contains(commit));
        Ok(releases.chain(&found.leftovers).cloned().collect())
    }

    /// What the revision means, as this run has found out.
    fn newest(&self, owner: &str, facts: &Facts) -> Result<String> {
        match facts.revision(owner, &self.source(), self.revision.as_deref())? {
            Answer::Known(newest) => Ok(newest.commit),
            Answer::Unknown(why) => Err(Error::new(Kind::Bug, why)),
        }
    }

    /// Makes one of the changes of [`Git::compare_releases`].
    pub(super) fn apply_to_releases(&self, change: &GitChange, owner: &str, host: &Host) -> Result<()> {
        match change {
            GitChange::Release { .. } => {
                self.make_directory(owner, host)?;
                let wish = Wish { release: true, ..self.wish(&self.path) };
                host.bring_checkout(owner, self.group.as_deref(), &self.source(), wish)
            }
            GitChange::In { commit, change } => {
                let path = self.release(commit);
                if let GitChange::Group { to, .. } = &**change {
                    return host.give_checkout_to(owner, to, &path);
                }
                let resolved = Some(Resolved { commit: commit.clone(), reference: None });
                let wish = Wish { resolved, ..self.wish(&path) };
                host.bring_checkout(owner, self.group.as_deref(), &self.source(), wish)
            }
            GitChange::Link { name, to, .. } => {
                let to = match to {
                    Some(commit) => commit.clone(),
                    None => self.newest(owner, host)?,
                };
                let path = self.path.join(name);
                let attributes = Attributes { owner: Some(owner.to_owned()), group: self.group.clone(), mode: None };
                // Seen from the folder of the link.
                let up = if name == CURRENT { PathBuf::new() } else { PathBuf::from("..") };
                if let (Some(folder), false) = (path.parent(), name == CURRENT) {
                    host.make_directory(folder, &Attributes { mode: Some(0o755), ..attributes.clone() })?;
                }
                host.make_link(&path, &up.join(Path::new(RELEASES)).join(to), &attributes)
            }
            GitChange::Remove(names) => host.remove_releases(owner, &self.path, names),
            other => Err(Error::new(Kind::Bug, format!("`{other}` is no change of releases"))),
        }
    }
}

#[cfg(test)]
mod tests;
