//! The questions and acts of the step: each is an errand for the owner of the tree.

use std::path::Path;
use std::time::{Duration, Instant};

use super::address::Address;
use super::bring::Wish;
use super::errand::{GitErrand, GitReply, Server};
use super::look::{Place, look};
use super::pins::Pins;
use super::releases::Releases;
use super::resolve::{Resolved, is_commit};
use crate::error::{Context, Error, Kind, Result};
use crate::host::as_user::Errand;
use crate::host::{Answer, Facts, Host};
use crate::secret::{Secret, Sensitive};

/// What is left of a step's time after the helper's own limit, for it to say why it failed.
const TO_SAY_WHY: Duration = Duration::from_secs(2);

/// Where a repository comes from, as a step knows it.
#[derive(Debug, Clone)]
pub struct Source<'s> {
    /// The address, as written.
    pub url: &'s str,
    /// The private key for SSH.
    pub ssh_key: Option<&'s Sensitive>,
    /// The token for HTTPS.
    pub token: Option<&'s Sensitive>,
    /// The name that goes with the token.
    pub token_user: &'s str,
    /// Lines of `known_hosts` that replace the built-in ones.
    pub host_keys: &'s [String],
}

impl Source<'_> {
    fn server(&self, deadline: Instant) -> Result<Server> {
        let address: Address = self.url.parse().map_err(|why: String| Error::new(Kind::Playbook, why))?;
        let pins = match &address {
            Address::Ssh { host, port, .. } => Pins::find(host, *port, self.host_keys)?,
            _ => Pins::default(),
        };
        Ok(Server {
            url: self.url.to_owned(),
            ssh_key: self.ssh_key.map(|key| Secret::new(key.expose())),
            // A line break at the end is the editor's; no token has one.
            token: self.token.map(|token| Secret::new(token.expose().trim_ascii())),
            token_user: self.token_user.to_owned(),
            pins,
            limit: deadline.saturating_duration_since(Instant::now()).saturating_sub(TO_SAY_WHY),
        })
    }
}

impl Facts {
    /// What stands at this path, as its owner sees it.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn checkout(&self, owner: &str, path: &Path, submodules: bool) -> Result<Place> {
        let Some(account) = self.user(owner)? else {
            // In a plan the owner may be missing, and then so is what they own.
            return match path.symlink_metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Place::NoRepository),
                _ => Err(no_such_user(owner)),
            };
        };
        let ourselves = nix::unistd::geteuid();
        if !ourselves.is_root() && ourselves.as_raw() != account.uid {
            // An ordinary user's plan: nobody to become, but looking harms nobody.
            return look(path, submodules).doing(|| format!("looking at `{}`", path.display()));
        }
        match self.errand(owner, &Errand::Git(GitErrand::Look { path: path.to_owned(), submodules }))? {
            GitReply::Place(place) => Ok(place),
            _ => Err(wrong_answer()),
        }
    }

    /// Which releases stand at the place of an application, as its owner sees it.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn releases(&self, owner: &str, place: &Path) -> Result<Releases> {
        let ourselves = nix::unistd::geteuid();
        match self.user(owner)? {
            // What nobody has can own nothing yet.
            None => Ok(Releases::default()),
            Some(account) if !ourselves.is_root() && ourselves.as_raw() != account.uid => Releases::look(place),
            Some(_) => match self.errand(owner, &Errand::Git(GitErrand::Releases { path: place.to_owned() }))? {
                GitReply::Releases(releases) => Ok(releases),
                _ => Err(wrong_answer()),
            },
        }
    }

    /// What this revision means: asked of the server once per run, so that everybody in the run means the same.
    ///
    /// # Errors
    /// `Missing` when there is no such branch or tag; whatever keeps the server from being asked.
    pub fn revision(&self, owner: &str, source: &Source<'_>, revision: Option<&str>) -> Result<Answer<Resolved>> {
        if let Some(known) = self.known_revision(source, revision) {
            return Ok(Answer::Known(known));
        }
        if !self.world.options.online {
            return Ok(Answer::Unknown("the server is asked in a run, or with `--online`".to_owned()));
        }
        let server = source.server(self.deadline())?;
        let errand = Errand::Git(GitErrand::Resolve { server, revision: revision.map(ToOwned::to_owned) });
        self.learn_revision(owner, None, &errand, source, revision).map(Answer::Known)
    }

    /// Whether a deployed revision stays where it is, whatever the server says.
    #[must_use]
    pub fn stays_on_revision(&self) -> bool {
        self.world.options.stay_on_revision
    }

    fn known_revision(&self, source: &Source<'_>, revision: Option<&str>) -> Option<Resolved> {
        match revision {
            Some(commit) if is_commit(commit) => Some(Resolved { commit: commit.to_ascii_lowercase(), reference: None }),
            _ => self.world.revisions.get(source.url, revision),
        }
    }

    fn learn_revision(
        &self,
        owner: &str,
        group: Option<&str>,
        errand: &Errand,
        source: &Source<'_>,
        revision: Option<&str>,
    ) -> Result<Resolved> {
        match self.errand_in(owner, group, errand)? {
            GitReply::Resolved(resolved) => {
                self.world.revisions.set(source.url, revision, &resolved);
                Ok(resolved)
            }
            _ => Err(wrong_answer()),
        }
    }
}

impl Host {
    /// Brings the checkout to where the wish says, cloning it when there is none. Its directory must be there. New files are of
    /// the owner's own group unless told.
    ///
    /// # Errors
    /// Whatever keeps it from getting there; the next try goes on from what is there.
    pub fn bring_checkout(&self, owner: &str, group: Option<&str>, source: &Source<'_>, mut wish: Wish) -> Result<()> {
        if self.user(owner)?.is_none() {
            return Err(no_such_user(owner));
        }
        let revision = wish.revision.clone();
        if wish.resolved.is_none() {
            wish.resolved = self.known_revision(source, revision.as_deref());
        }
        // A revision that the wish names otherwise than the server would is nobody else's.
        let is_asked = wish.resolved == self.known_revision(source, revision.as_deref());
        let errand = Errand::Git(GitErrand::Bring { server: source.server(self.deadline())?, wish });
        if is_asked {
            self.learn_revision(owner, group, &errand, source, revision.as_deref())?;
        } else {
            let _: GitReply = self.errand_in(owner, group, &errand)?;
        }
        Ok(())
    }

    /// Removes these releases, and these leftovers of runs that were cut short.
    ///
    /// # Errors
    /// Where something in one belongs to somebody else.
    pub fn remove_releases(&self, owner: &str, place: &Path, names: &[String]) -> Result<()> {
        let errand = GitErrand::RemoveReleases { path: place.to_owned(), names: names.to_vec() };
        self.errand::<GitReply>(owner, &Errand::Git(errand)).map(drop)
    }

    /// Gives the whole checkout to this group.
    ///
    /// # Errors
    /// `Missing` when there is no such group; where somebody else's file is in the way.
    pub fn give_checkout_to(&self, owner: &str, group: &str, path: &Path) -> Result<()> {
        let errand = Errand::Git(GitErrand::HandOver { path: path.to_owned() });
        self.errand_in::<GitReply>(owner, Some(group), &errand).map(drop)
    }
}

fn no_such_user(owner: &str) -> Error {
    Error::new(Kind::Missing, format!("there is no user `{owner}`")).hint("a `user` step before this one can make it")
}

fn wrong_answer() -> Error {
    Error::new(Kind::Bug, "the helper answered another question")
}
