//! How much room there is on the disk below a path.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::error::{Context as _, Result};

/// The room of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that may still be written.
    pub bytes: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub files: Option<u64>,
    /// Nothing can be written at all.
    pub read_only: bool,
}

/// The room where this path is, or its nearest parent that exists.
///
/// # Errors
/// When the file system does not say.
pub fn room_at(path: &Path) -> Result<Room> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let told =
        statvfs(there).map_err(std::io::Error::from).doing(|| format!("looking at the disk below `{}`", there.display()))?;
    Ok(Room {
        bytes: told.blocks_available().saturating_mul(told.fragment_size()),
        files: (told.files() > 0).then(|| told.files_available()),
        read_only: told.flags().contains(FsFlags::ST_RDONLY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_yet_would_be_where_its_parent_is() {
        let folder = tempfile::tempdir().unwrap();
        let room = room_at(&folder.path().join("not/there/yet")).unwrap();
        assert!(room.bytes > 0 && !room.read_only);
        assert_eq!(room_at(Path::new("/proc")).unwrap().files, None);
    }
}
