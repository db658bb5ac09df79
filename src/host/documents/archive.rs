//! A playbook and the files beside it in one `.tar.gz`. It is unpacked into memory and nowhere else: a dry-run writes nothing, and
//! what is on no disk overwrites nothing, leads nowhere and is left behind by nobody.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::PLAYBOOK;
use crate::error::{Context as _, Error, Kind, Result};

/// Bytes of the archive as it comes.
pub const LARGEST: usize = 16 << 20;
/// Bytes that it may become: it is held in memory, and what is large comes from S3 to the disk by a `source:` of its own.
const LARGEST_UNPACKED: u64 = 32 << 20;
/// Files and folders.
const MOST: usize = 1000;

/// An archive's files.
#[derive(Debug)]
pub struct Archive {
    /// How errors name it.
    label: String,
    /// The folder in it that the playbook is in; empty when that is at the top.
    folder: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// Whether these bytes are such an archive, whatever they are called: a text never begins like this.
#[must_use]
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

impl Archive {
    /// Unpacks it. Its `playbook.yaml` is at its top, or in its only folder.
    ///
    /// # Errors
    /// When it is broken, too large, holds anything but files and folders of its own, or no playbook.
    pub fn unpack(label: &str, bytes: &[u8]) -> Result<Self> {
        Self::unpack_within(LARGEST_UNPACKED, label, bytes)
    }

    fn unpack_within(limit: u64, label: &str, bytes: &[u8]) -> Result<Self> {
        let mut stream = MultiGzDecoder::new(bytes).take(limit);
        let unpacked = files_of(&mut stream);
        let unpacked = if stream.limit() == 0 {
            // Whatever came of it: it was cut off there.
            Err(Error::new(Kind::Failed, format!("it unpacks to more than {limit} bytes"))
                .hint("large files do not belong into a playbook's archive; let the step fetch them from `s3://`"))
        } else {
            unpacked
        };
        unpacked
            .and_then(|files| Ok(Self { label: label.to_owned(), folder: folder_of(&files)?, files }))
            .doing(|| format!("unpacking `{label}`"))
    }

    /// The folder the playbook is in; empty when it is at the top.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a file beside the playbook holds.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<&[u8]> {
        // `./` and `a/./b` are ways to write a path.
        let path: PathBuf = self.folder.components().chain(path.components()).filter(|part| *part != Component::CurDir).collect();
        self.files.get(&path).map(Vec::as_slice)
    }

    /// How errors name a file beside the playbook.
    #[must_use]
    pub fn name_of(&self, path: &Path) -> String {
        format!("{}/{}", self.label, self.folder.join(path).display())
    }
}

fn files_of(stream: &mut impl Read) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let broken = |error: std::io::Error| Error::new(Kind::Failed, format!("it is broken: {error}"));
    let mut files = BTreeMap::new();
    let mut tar = tar::Archive::new(&mut *stream);
    for (number, entry) in tar.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if number >= MOST {
            return Err(Error::new(Kind::Failed, format!("it holds more than {MOST} files and folders")));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            // What `git archive` says about all that follows.
            continue;
        }
        let path = path_inside(&entry.path().map_err(broken)?)?;
        match kind {
            EntryType::Directory => {}
            EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(broken)?;
                if files.insert(path.clone(), content).is_some() {
                    return Err(Error::new(Kind::Failed, format!("`{}` is in it twice", path.display())));
                }
            }
            EntryType::Symlink | EntryType::Link => {
                let error = Error::new(Kind::Failed, format!("`{}` in it is a link", path.display()));
                return Err(error.hint("pack what it links to: `tar --dereference --hard-dereference`"));
            }
            _ => return Err(Error::new(Kind::Failed, format!("`{}` in it is neither a file nor a folder", path.display()))),
        }
    }
    // To the end, where the checksum is.
    std::io::copy(stream, &mut std::io::sink()).map_err(broken)?;
    Ok(files)
}

/// A path as the archive means it, which leads nowhere else.
fn path_inside(path: &Path) -> Result<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            _ => return Err(Error::new(Kind::Failed, format!("`{}` in it leads out of it", path.display()))),
        }
    }
    Ok(inside)
}

/// Where the playbook is: at the top, or in the only folder that has one.
fn folder_of(files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<PathBuf> {
    if files.contains_key(Path::new(PLAYBOOK)) {
        return Ok(PathBuf::new());
    }
    let in_folders = files.keys().filter(|path| path.ends_with(PLAYBOOK) && path.components().count() == 2);
    let folders: Vec<&Path> = in_folders.filter_map(|path| path.parent()).collect();
    match folders.as_slice() {
        [one] => Ok(one.to_path_buf()),
        [] => Err(Error::new(Kind::Missing, format!("there is no `{PLAYBOOK}` in it, neither at its top nor in a folder there"))
            .hint("pack the playbook's folder: `tar -czf shop.tar.gz -C shop .`")),
        _ => {
            Err(Error::new(Kind::Failed, format!("several folders in it have a `{PLAYBOOK}`"))
                .hint("one archive is one playbook"))
        }
    }
}

#[cfg(test)]
mod tests;
