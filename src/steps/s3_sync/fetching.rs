//! From S3 to a folder of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{S3Sync, S3SyncChange};
use crate::error::{Error, Kind, Result};
use crate::host::aws::ListedObject;
use crate::host::fetched::{FetchedFile, Lacking};
use crate::host::files::FileKind;
use crate::host::object_folder::ObjectFolder;
use crate::host::origin::Origin;
use crate::host::write::Attributes;
use crate::host::{Answer, Facts, Host};
use crate::step::{Finding, Fingerprint};

/// What S3 holds may be anybody's key.
const OWNER_ONLY: u32 = 0o600;

impl S3Sync {
    /// What is missing here and what is here too much.
    pub(super) fn check_fetching(&self, from: &ObjectFolder, to: &Path, facts: &Facts) -> Result<Finding<S3SyncChange>> {
        let objects = match facts.objects_to_fetch(from)? {
            Answer::Known(objects) => objects,
            Answer::Unknown(why) => return Ok(Finding::unknown(why)),
        };
        let wanted = self.wanted(from, &objects)?;
        if wanted.is_empty() && self.delete {
            return Err(Error::new(
                Kind::Failed,
                format!("there is no object in `{from}`, and `delete: true` would empty `{}`", to.display()),
            )
            .hint("is the prefix the right one?"));
        }
        let mut finding = Finding::done();
        finding.fingerprint = Some(self.fingerprint(to, &wanted));
        let mut fetch = Vec::new();
        for (below, object) in &wanted {
            let file = self.file(below, to, from, object, facts);
            match facts.compare_fetched(&file)? {
                None => {}
                Some(Lacking::Content) => fetch.push(below.clone()),
                Some(Lacking::Attributes { from, to }) => finding.change(S3SyncChange::Attributes(file.path, from, to)),
            }
        }
        if !fetch.is_empty() {
            finding.change(S3SyncChange::Fetch(fetch, to.to_owned()));
        }
        if self.delete {
            let too_many = self.files_too_many(to, &wanted, facts)?;
            if !too_many.is_empty() {
                finding.change(S3SyncChange::RemoveFiles(too_many, to.to_owned()));
            }
        }
        Ok(finding)
    }

    /// Brings these files, and makes the folders they are in.
    pub(super) fn fetch(&self, below: &[PathBuf], to: &Path, host: &Host) -> Result<()> {
        let (from, objects) = self.known(host)?;
        let wanted = self.wanted(&from, &objects)?;
        let files: Vec<FetchedFile> = wanted
            .iter()
            .filter(|(path, _)| below.contains(path))
            .map(|(path, object)| self.file(path, to, &from, object, host))
            .collect();
        // A folder comes before what is in it in the order of paths.
        let folders: BTreeSet<PathBuf> =
            below.iter().flat_map(|path| path.ancestors().skip(1)).map(|folder| to.join(folder)).collect();
        for folder in folders {
            if host.look(&folder)?.is_none() {
                host.make_directory(&folder, &self.attributes_of_folders())?;
            }
        }
        host.side_by_side(&files, |file| host.write_fetched(file, &[]))
    }

    /// Sets owner and mode of one of them.
    pub(super) fn set_attributes(&self, path: &Path, host: &Host) -> Result<()> {
        let attributes = Attributes { owner: self.owner.clone(), group: self.group.clone(), mode: Some(self.mode()) };
        host.set_attributes(path, &attributes)
    }

    /// What the check has seen.
    fn known(&self, facts: &Facts) -> Result<(ObjectFolder, Arc<Vec<ListedObject>>)> {
        let from = ObjectFolder::of(&self.from).map_err(|why| Error::new(Kind::Playbook, why))?;
        match facts.objects_to_fetch(&from)? {
            Answer::Known(objects) => Ok((from, objects)),
            Answer::Unknown(why) => Err(Error::new(Kind::Failed, why)),
        }
    }

    /// The objects and where they belong; two that would be each other's folder are told by the file system.
    fn wanted<'o>(&self, from: &ObjectFolder, objects: &'o [ListedObject]) -> Result<Vec<(PathBuf, &'o ListedObject)>> {
        let mut wanted = Vec::new();
        for object in objects {
            if let Some(below) = from.place_of(object)?
                && !self.is_excluded(&below)
            {
                wanted.push((below, object));
            }
        }
        Ok(wanted)
    }

    fn file(&self, below: &Path, to: &Path, from: &ObjectFolder, object: &ListedObject, facts: &Facts) -> FetchedFile {
        let origin = Origin::Object { bucket: from.bucket().to_owned(), key: object.key.clone() };
        let sha256 = facts.digest_of_listed(&origin, object);
        let (owner, group) = (self.owner.clone(), self.group.clone());
        FetchedFile { path: to.join(below), origin, sha256, owner, group, mode: self.mode() }
    }

    fn mode(&self) -> u32 {
        self.mode.map_or(OWNER_ONLY, |mode| mode.0)
    }

    /// Whoever may read the files may enter their folders.
    fn attributes_of_folders(&self) -> Attributes {
        let readable = self.mode() & 0o444;
        Attributes { owner: self.owner.clone(), group: self.group.clone(), mode: Some(0o700 | readable | (readable >> 2)) }
    }

    fn files_too_many(&self, to: &Path, wanted: &[(PathBuf, &ListedObject)], facts: &Facts) -> Result<Vec<PathBuf>> {
        let Some(folder) = facts.folder(to)? else { return Ok(Vec::new()) };
        let there = facts.list(&folder)?.unwrap_or_default();
        let wanted: BTreeSet<&Path> = wanted.iter().map(|(path, _)| path.as_path()).collect();
        let too_many = there.into_iter().filter(|(path, there)| {
            there.kind != FileKind::Directory && !wanted.contains(path.as_path()) && !self.is_excluded(path)
        });
        Ok(too_many.map(|(path, _)| path).collect())
    }

    fn fingerprint(&self, to: &Path, wanted: &[(PathBuf, &ListedObject)]) -> Fingerprint {
        let mode = self.mode().to_le_bytes();
        let (owner, group) = (self.owner.as_deref().unwrap_or_default(), self.group.as_deref().unwrap_or_default());
        let mut parts: Vec<&[u8]> = vec![to.as_os_str().as_encoded_bytes(), &mode, owner.as_bytes(), group.as_bytes()];
        for (below, object) in wanted {
            let tag = object.tag.as_deref().unwrap_or_default();
            parts.extend([below.as_os_str().as_encoded_bytes(), tag.as_bytes()]);
        }
        Fingerprint::of(&parts)
    }
}
