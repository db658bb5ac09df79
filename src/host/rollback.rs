//! The way back to the last healthy release of an application: what a health step proves of a release, and what is done when it
//! proves the contrary.
//!
//! The link `current` says which release is live; only what no link can say is recorded: which one was last healthy, and which
//! revisions failed. Whether to go back follows from both, so a run that was cut short in between loses nothing.

mod record;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use record::{Failed, Healthy, Record, Standing};

use super::files::FileKind;
use super::git::{RELEASES, is_commit};
use super::state::StateFolder;
use super::systemd::Verb;
use super::write::Attributes;
use super::{Facts, Host};
use crate::error::{Context as _, Result};
use crate::step::{Outputs, Value};

/// The link to the live release.
pub const CURRENT: &str = "current";

/// Steps run side by side and share the record: reading, changing and writing it is one act.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A release that is on trial, as the `git` step that made it says in its outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The directory that holds all releases.
    pub place: PathBuf,
    /// The commit.
    pub commit: String,
    /// The slot it runs in beside the live one; without slots it is live at once.
    pub slot: Option<String>,
    /// Whether it is what the revision means by now.
    pub is_latest: bool,
}

impl Release {
    /// The release that these outputs speak of; `None` when they speak of none.
    #[must_use]
    pub fn of(outputs: &Outputs) -> Option<Self> {
        let text = |name: &str| match outputs.get(name) {
            Some(Value::Known(value)) => value.as_str().map(ToOwned::to_owned),
            _ => None,
        };
        let (release, commit) = (PathBuf::from(text("release")?), text("commit")?);
        let place = release.parent()?.parent()?.to_owned();
        Some(Self { place, is_latest: text("latest").as_ref() == Some(&commit), slot: text("slot"), commit })
    }
}

/// What was done about a release that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WentBack {
    /// The last healthy one is live again, and its unit was restarted if the other one had been started.
    Relinked {
        /// The place of the application.
        place: PathBuf,
        /// The release that failed.
        from: String,
        /// The last healthy one.
        to: String,
        /// Whether the unit was restarted.
        restarted: bool,
    },
    /// It was never live: its unit was stopped.
    Stopped {
        /// The place of the application.
        place: PathBuf,
        /// The release that failed.
        from: String,
        /// The one that is live.
        live: String,
    },
}

impl fmt::Display for WentBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relinked { place, from, to, .. } => {
                write!(f, "`{}` went back from `{}` to `{}`, its last healthy release", place.display(), short(from), short(to))
            }
            Self::Stopped { place, from, live } => {
                write!(f, "`{}` in `{}` was stopped, and `{}` stays live", short(from), place.display(), short(live))
            }
        }
    }
}

/// How a commit is shown.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

impl Facts {
    /// What is recorded of the application at this place.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn standing(&self, place: &Path) -> Result<Standing> {
        let record = Record::read(&StateFolder::new(&self.world.options.state))?;
        Ok(record.places.get(place).cloned().unwrap_or_default())
    }

    /// Why this revision is not tried again, unless the user asked for another try.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn failed_before(&self, place: &Path, commit: &str) -> Result<Option<Failed>> {
        if self.world.options.retry_revision {
            return Ok(None);
        }
        Ok(self.standing(place)?.failed.get(commit).cloned())
    }

    /// The release that this link at the place of an application leads to; `None` when it leads to none.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn linked_release(&self, place: &Path, link: &str) -> Result<Option<String>> {
        let Some(FileKind::Link(to)) = self.look(&place.join(link))?.map(|there| there.kind) else { return Ok(None) };
        let inside = to.parent().is_some_and(|folder| folder.ends_with(RELEASES));
        Ok(to.file_name().and_then(|name| name.to_str()).filter(|name| inside && is_commit(name)).map(ToOwned::to_owned))
    }
}

impl Host {
    /// The release was seen healthy: it is the one to go back to from now on, and the live one, if it ran in a slot of its own.
    /// Says what was changed.
    ///
    /// # Errors
    /// When the link or the record cannot be written.
    pub fn prove(&self, release: &Release, unit: &str) -> Result<Option<String>> {
        let live = self.linked_release(&release.place, CURRENT)?;
        let moves = release.slot.is_some() && live.as_ref() != Some(&release.commit);
        if moves {
            self.link_release(&release.place, &release.commit)?;
        }
        let starts = self.starts_of(unit)?;
        self.change_standing(&release.place, |standing| {
            standing.healthy = Some(Healthy { commit: release.commit.clone(), starts });
            if release.is_latest {
                standing.failed.clear();
            } else {
                standing.failed.remove(&release.commit);
            }
        })?;
        let link = release.place.join(CURRENT);
        Ok(moves.then(|| format!("link {} -> {RELEASES}/{} (it is healthy)", link.display(), release.commit)))
    }

    /// The release failed, for this reason: records it, unless it was not to `blame`, and goes back to the last healthy one, whose
    /// unit is restarted if the failed one had been `started`. Nothing is done where there is none to go back to.
    ///
    /// # Errors
    /// When it cannot go back.
    pub fn go_back(&self, release: &Release, unit: &str, because: &str, blame: bool, started: bool) -> Result<Option<WentBack>> {
        let (place, from) = (release.place.clone(), release.commit.clone());
        let standing = self.standing(&place)?;
        if standing.healthy.as_ref().is_some_and(|healthy| healthy.commit == from) {
            // It was healthy before: whatever is wrong now is not the revision.
            return Ok(None);
        }
        if blame {
            let failed = Failed { at: jiff::Timestamp::now().as_millisecond(), because: because.to_owned() };
            self.change_standing(&place, |standing| standing.blame(&from, failed))?;
        }
        let Some(healthy) = standing.healthy else { return Ok(None) };
        if release.slot.is_some() {
            if started {
                self.act_on_unit(unit, Verb::Stop)?;
            }
            return Ok(Some(WentBack::Stopped { place, from, live: healthy.commit }));
        }
        if self.look(&place.join(RELEASES).join(&healthy.commit))?.is_none() {
            return Ok(None);
        }
        self.link_release(&place, &healthy.commit)?;
        if started {
            self.act_on_unit(unit, Verb::Restart)?;
            self.restore_starts(&healthy.starts)?;
        }
        Ok(Some(WentBack::Relinked { place, from, to: healthy.commit, restarted: started }))
    }

    fn link_release(&self, place: &Path, commit: &str) -> Result<()> {
        self.make_link(&place.join(CURRENT), &Path::new(RELEASES).join(commit), &Attributes::default())
    }

    fn change_standing(&self, place: &Path, change: impl FnOnce(&mut Standing)) -> Result<()> {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let state = StateFolder::new(&self.world.options.state);
        let mut record = Record::read(&state)?;
        let standing = record.places.entry(place.to_owned()).or_default();
        let before = standing.clone();
        change(standing);
        if *standing == before {
            return Ok(());
        }
        record.write(&state).doing(|| format!("recording how the releases in `{}` stand", place.display()))
    }
}

#[cfg(test)]
mod tests;
