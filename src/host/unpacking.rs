//! Archives that become a directory: fetched to the disk, unpacked beside their place as the user whose tree it is, put there in one
//! rename. A record in the directory says of which archive it was made and what each file was, so the next run need not fetch
//! anything to tell whether all is as it was.

mod entry;
mod record;
mod unpack;

use std::io::Seek as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use record::Record;

use super::as_user::Errand;
use super::digest::Sha256;
use super::files::FileKind;
use super::origin::Origin;
use super::tree::{self, Ids, Reply, Stop};
use super::{Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};

/// A directory as it shall be, made of an archive.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// Where.
    pub path: PathBuf,
    /// Where the archive comes from.
    pub origin: Origin,
    /// Its digest, as far as it is known.
    pub sha256: Option<Sha256>,
    /// How many directories are left out at the top of each name.
    pub strip: u32,
    /// Who owns all of it; unless told, whoever owns the tree it is in.
    pub owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    pub group: Option<String>,
}

/// What has to be done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// There is nothing yet.
    Everything,
    /// It was made of another archive, or in another way.
    Version,
    /// A run that was cut short has left something beside it.
    Cleaning,
    /// These files are not as they were in the archive, or are not the owner's.
    Files(Vec<PathBuf>),
}

/// What the helper is sent for: the archive comes after the errand.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnpackErrand {
    path: PathBuf,
    strip: u32,
    ids: Ids,
}

impl Facts {
    /// What has to be done so that the directory is what the archive holds; `None` when it is. Files that were put there since are
    /// nobody's concern.
    ///
    /// # Errors
    /// `Failed` when something else stands there, or a directory that no archive was unpacked into; as the looking itself.
    pub fn compare_unpacked(&self, wish: &Unpacked) -> Result<Option<Lacking>> {
        let ids = self.ids_of_unpacked(wish)?;
        match self.look(&wish.path)?.map(|there| there.kind) {
            None => return Ok(Some(Lacking::Everything)),
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Error::new(Kind::Failed, format!("`{}` is there and no directory", wish.path.display()))
                    .hint("remove it first, if nothing needs it any more"));
            }
        }
        let Some(record) = Self::record_of(&wish.path)? else {
            let folder = self.list(&wish.path)?;
            return if folder.is_none_or(|inside| inside.is_empty()) {
                Ok(Some(Lacking::Everything))
            } else {
                Err(Error::new(Kind::Failed, format!("`{}` holds what no archive was unpacked to", wish.path.display()))
                    .hint("an archive gets a directory of its own: name one that is not there yet, and link to what is in it"))
            };
        };
        if wish.sha256 != Some(record.sha256) || wish.strip != record.strip {
            return Ok(Some(Lacking::Version));
        }
        if tree::has_leftovers(&wish.path)? {
            return Ok(Some(Lacking::Cleaning));
        }
        let other = self.other_than(&record, &wish.path, ids)?;
        Ok((!other.is_empty()).then_some(Lacking::Files(other)))
    }

    fn record_of(path: &Path) -> Result<Option<Record>> {
        let path = path.join(record::NAME);
        let Some(file) = Self::open(&path)? else { return Ok(None) };
        Record::read(file).doing(|| format!("reading `{}`", path.display()))
    }

    /// Which files are not what the record says.
    fn other_than(&self, record: &Record, folder: &Path, ids: Ids) -> Result<Vec<PathBuf>> {
        let mut other = Vec::new();
        for (below, wanted) in record.entries() {
            let path = folder.join(below);
            let Some(there) = self.look(&path)? else {
                other.push(below.to_owned());
                continue;
            };
            let owned = ids.uid.is_none_or(|uid| uid == there.uid) && ids.gid.is_none_or(|gid| gid == there.gid);
            let same = match (wanted, &there.kind) {
                (record::Entry::File(sha256, mode), FileKind::File(_)) => {
                    *mode == there.mode && self.file_digest(&path)? == Some(*sha256)
                }
                (record::Entry::Link(target), FileKind::Link(leads)) => target == leads,
                (record::Entry::Directory, FileKind::Directory) => true,
                _ => false,
            };
            if !(same && owned) {
                other.push(below.to_owned());
            }
        }
        Ok(other)
    }

    fn ids_of_unpacked(&self, wish: &Unpacked) -> Result<Ids> {
        self.ids_of_file(&wish.path, wish.owner.as_deref(), wish.group.as_deref(), 0o755)
    }
}

impl Host {
    /// Fetches the archive and makes the directory of it. What was there before is gone then.
    ///
    /// # Errors
    /// When it cannot be fetched, differs from its digest, is no archive that may be unpacked, or there is no room; what was there
    /// is then still there, whole.
    pub fn unpack(&self, wish: &Unpacked) -> Result<()> {
        let mut errand = UnpackErrand { path: wish.path.clone(), strip: wish.strip, ids: self.ids_of_unpacked(wish)? };
        let doing = || format!("unpacking `{}`", wish.origin);
        if let Some(holder) = self.holder(&wish.path)? {
            // What a user makes is the user's.
            errand.ids.uid = None;
            let whole = self.fetched_behind(&Errand::Unpack(errand), &wish.origin, wish.sha256)?;
            return match self.errand_from(&self.name_of(holder)?, whole).doing(doing)? {
                Reply::Done => Ok(()),
                _ => Err(super::files::mixed_up()),
            };
        }
        let mut file = self.nameless_file()?;
        self.fetch_into(&wish.origin, wish.sha256, &mut file)?;
        file.rewind().doing(doing)?;
        errand.perform(&mut file).map_err(|stop| match stop {
            Stop::Failed(error) => error.doing(doing()),
            Stop::Foreign(_) => Error::new(Kind::Denied, "the directories on the way have changed hands").doing(doing()),
        })
    }
}

impl UnpackErrand {
    /// Unpacks the archive that comes from `archive`.
    ///
    /// # Errors
    /// As [`Host::unpack`].
    pub(in crate::host) fn perform(&self, archive: &mut dyn std::io::Read) -> Result<(), Stop> {
        unpack::unpack(self, archive)
    }
}

#[cfg(test)]
mod tests;
