//! Gives a whole checkout to another group.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;

use crate::error::{Context as _, Result};

/// Gives everything in the tree to the helper's own group, the top last: as long as that one is wrong, all of it is done again.
///
/// # Errors
/// Where somebody else's file is in the way.
pub fn hand_over(path: &Path) -> Result<()> {
    let gid = nix::unistd::getegid().as_raw();
    let there = path.symlink_metadata().doing(|| format!("looking at `{}`", path.display()))?;
    if there.is_dir() {
        for entry in fs::read_dir(path).doing(|| format!("reading `{}`", path.display()))? {
            hand_over(&entry?.path())?;
        }
    }
    if there.gid() != gid {
        lchown(path, None, Some(gid)).doing(|| format!("giving `{}` to the group", path.display()))?;
    }
    Ok(())
}
