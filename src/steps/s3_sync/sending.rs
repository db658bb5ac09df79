//! From a folder of this machine to S3.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{S3Sync, S3SyncChange, content_type};
use crate::error::{Error, Kind, Result};
use crate::host::aws::{Headers, ListedObject};
use crate::host::digest::Sha256;
use crate::host::files::FileKind;
use crate::host::object_folder::{ObjectFolder, Upload};
use crate::host::{Answer, Facts};
use crate::step::{Finding, Fingerprint};

/// A file that is to be in S3.
struct Local {
    upload: Upload,
    size: u64,
    sha256: Sha256,
}

impl S3Sync {
    /// What is missing in S3 and what is there too much.
    pub(super) fn check_sending(&self, from: &Path, to: &ObjectFolder, facts: &Facts) -> Result<Finding<S3SyncChange>> {
        let local = self.local(from, to, facts)?;
        if local.is_empty() && self.delete {
            return Err(Error::new(
                Kind::Failed,
                format!("there is no file in `{}`, and `delete: true` would empty `{to}`", from.display()),
            )
            .hint("the step that fills the folder comes first; to empty the prefix, do it by hand"));
        }
        let mut finding = Finding::done();
        finding.fingerprint = Some(fingerprint(&local, to));
        let objects = match facts.objects_in(to)? {
            Answer::Known(objects) => objects,
            Answer::Unknown(why) => {
                finding.unknown = Some(why);
                return Ok(finding);
            }
        };
        let there: BTreeMap<&str, &ListedObject> = objects.iter().map(|object| (object.key.as_str(), object)).collect();
        let mut send = Vec::new();
        for file in &local {
            let same = match there.get(file.upload.key.as_str()) {
                Some(object) if object.size == file.size => facts.is_uploaded(&file.upload, file.sha256, to, object)?,
                _ => false,
            };
            if !same {
                send.push(file.upload.clone());
            }
        }
        if !send.is_empty() {
            finding.change(S3SyncChange::Send(send, to.clone()));
        }
        if self.delete {
            let too_many = self.too_many(&local, &objects, to);
            if !too_many.is_empty() {
                finding.change(S3SyncChange::RemoveObjects(too_many, to.clone()));
            }
        }
        Ok(finding)
    }

    fn local(&self, from: &Path, to: &ObjectFolder, facts: &Facts) -> Result<Vec<Local>> {
        let missing = || Error::new(Kind::Missing, format!("there is no folder `{}`", from.display()));
        let folder = facts.folder(from)?.ok_or_else(missing)?;
        let mut local = Vec::new();
        for (below, there) in facts.list(&folder)?.ok_or_else(missing)? {
            if self.is_excluded(&below) {
                continue;
            }
            let path = folder.join(&below);
            match there.kind {
                FileKind::Directory => {}
                FileKind::File(size) => {
                    let content_type = content_type::of(&below, &self.content_types);
                    let headers = Headers { content_type, cache_control: self.cache_control.clone() };
                    let sha256 = facts.file_digest(&path)?.ok_or_else(|| gone(&path))?;
                    local.push(Local { upload: Upload { key: to.key(&below)?, path, headers }, size, sha256 });
                }
                FileKind::Link(_) => {
                    return Err(Error::new(Kind::Failed, format!("`{}` is a link, and S3 has none", path.display()))
                        .hint("exclude it, or put the file itself there"));
                }
                FileKind::Other => {
                    return Err(Error::new(Kind::Failed, format!("`{}` is no ordinary file", path.display())).hint("exclude it"));
                }
            }
        }
        Ok(local)
    }

    /// The objects that no file stands for.
    fn too_many(&self, local: &[Local], objects: &[ListedObject], to: &ObjectFolder) -> Vec<String> {
        let wanted: BTreeSet<&str> = local.iter().map(|file| file.upload.key.as_str()).collect();
        let below = |object: &ListedObject| to.place_of(object).ok().flatten().unwrap_or_else(|| PathBuf::from(&object.key));
        objects
            .iter()
            .filter(|object| !wanted.contains(object.key.as_str()) && !self.is_excluded(&below(object)))
            .map(|object| object.key.clone())
            .collect()
    }
}

fn gone(path: &Path) -> Error {
    Error::new(Kind::Failed, format!("`{}` vanished meanwhile", path.display()))
}

fn fingerprint(local: &[Local], to: &ObjectFolder) -> Fingerprint {
    let target = to.to_string();
    let mut parts: Vec<&[u8]> = vec![target.as_bytes()];
    for file in local {
        parts.extend([file.upload.key.as_bytes(), file.sha256.bytes()]);
    }
    Fingerprint::of(&parts)
}
