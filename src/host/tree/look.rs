//! Looking at what stands at a path, and reading it.

use std::io::Read as _;
use std::path::Path;

use nix::sys::stat::SFlag;
use zeroize::Zeroizing;

use super::Stop;
use super::walk::{Entry, followed, parent_for_look};
use crate::error::{Error, Kind, Result};
use crate::host::files::{FileFacts, FileKind};

/// Larger files are not configuration, and do not fit into a helper's answer; they are compared by their digest.
pub const LARGEST_READ: u64 = 8 * 1024 * 1024;

/// What stands at this path, itself and not what it links to.
pub fn look(path: &Path) -> Result<Option<FileFacts>, Stop> {
    let Some(place) = parent_for_look(path)? else { return Ok(None) };
    Ok(place.entry()?.map(|entry| facts(&entry)).transpose()?)
}

/// What an entry is.
pub fn facts(entry: &Entry) -> Result<FileFacts> {
    let kind = match entry.kind() {
        SFlag::S_IFREG => FileKind::File(u64::try_from(entry.stat.st_size).unwrap_or_default()),
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Link(entry.target()?),
        _ => FileKind::Other,
    };
    Ok(FileFacts { kind, mode: entry.stat.st_mode & 0o7777, uid: entry.stat.st_uid, gid: entry.stat.st_gid })
}

/// What the file at this path holds; links are followed where that is safe.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Stop> {
    Ok(find_file(path)?.map(|entry| content(&entry)).transpose()?)
}

/// The ordinary file at this path; links are followed where that is safe.
pub fn find_file(path: &Path) -> Result<Option<Entry>, Stop> {
    let mut path = path.to_owned();
    for links in 1.. {
        let Some(place) = parent_for_look(&path)? else { return Ok(None) };
        let Some(entry) = place.entry()? else { return Ok(None) };
        match entry.kind() {
            SFlag::S_IFLNK => {
                let target = followed(&place, &entry, links)?;
                let directory = place.full_path();
                path = directory.parent().unwrap_or(Path::new("/")).join(target);
            }
            SFlag::S_IFREG => {
                // A second name for somebody else's file, in a directory of a user: read with that user's rights, not root's.
                if let Some(holder) = place.holder.filter(|_| entry.stat.st_nlink > 1) {
                    return Err(Stop::Foreign(holder));
                }
                return Ok(Some(entry));
            }
            _ => return Err(Error::new(Kind::Failed, "it is no ordinary file").into()),
        }
    }
    Ok(None)
}

fn content(entry: &Entry) -> Result<Zeroizing<Vec<u8>>> {
    let too_large = || Error::new(Kind::Failed, format!("it is larger than {} MiB", LARGEST_READ >> 20));
    let size = u64::try_from(entry.stat.st_size).unwrap_or_default();
    if size > LARGEST_READ {
        return Err(too_large());
    }
    // Room for all of it at once: a growing buffer would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    entry.open()?.take(LARGEST_READ + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_READ { Err(too_large()) } else { Ok(bytes) }
}
