//! Whether a file is still the one whose digest is known: what git's index does, so that a large file that nobody touched is not
//! read again.
//!
//! The kernel sets a file's change time at each write, and nobody can set it back; device, inode and size stand beside it. What
//! this cannot see is a write in the same tick of the clock as the reading, so a file that changed just now is read once its
//! tick is over; and only file systems are trusted that keep this kernel's time, finer than a second.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::{FileStat, fstat};
use nix::sys::statfs::{self, FsType, fstatfs};
use serde::{Deserialize, Serialize};

use super::Stop;
use super::look::find_file;
use crate::error::{Error, Result};
use crate::host::digest::Sha256;

/// Smaller files are read each time: that takes no longer than remembering them.
const WORTH_REMEMBERING: i64 = 1024 * 1024;
/// Longer than a tick of any kernel's clock.
const TICK: Duration = Duration::from_millis(20);
/// File systems that stamp each write with this kernel's own time, finely.
const KEEP_OUR_TIME: [FsType; 6] = [
    statfs::EXT4_SUPER_MAGIC,
    // XFS; not every C library has a name for it.
    FsType(0x5846_5342),
    statfs::BTRFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
];

/// How a file looks from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What came of asking for a digest.
#[derive(Debug, Serialize, Deserialize)]
pub enum Digested {
    /// It still looks as it did.
    AsKnown,
    /// It was read.
    Now {
        /// What it holds.
        sha256: Sha256,
        /// How it looks; `None` where that proves nothing the next time.
        stamp: Option<Stamp>,
    },
}

impl Stamp {
    fn of(stat: &FileStat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// How long it must rest before reading it proves what it holds for as long as it looks like this; `None` where no reading
    /// does. `now` counts from 1970.
    fn must_rest(&self, now: Duration) -> Option<Duration> {
        if self.size < WORTH_REMEMBERING || self.changed.1 == 0 {
            return None;
        }
        let changed = Duration::new(u64::try_from(self.changed.0).ok()?, u32::try_from(self.changed.1).ok()?);
        Some(TICK.saturating_sub(now.checked_sub(changed)?))
    }
}

/// The digest of the file at this path; `None` where there is none.
pub fn digest(path: &Path, known: Option<&Stamp>) -> Result<Option<Digested>, Stop> {
    let Some(entry) = find_file(path)? else { return Ok(None) };
    let before = Stamp::of(&entry.stat);
    if known == Some(&before) {
        return Ok(Some(Digested::AsKnown));
    }
    let rest = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| before.must_rest(now));
    std::thread::sleep(rest.unwrap_or_default());
    let mut file = entry.open()?;
    let sha256 = Sha256::of_all(&mut file).map_err(Error::from)?;
    let same = Stamp::of(&fstat(&file)?) == before;
    let ours = || fstatfs(&file).is_ok_and(|system| KEEP_OUR_TIME.contains(&system.filesystem_type()));
    let stamp = (rest.is_some() && same && ours()).then_some(before);
    Ok(Some(Digested::Now { sha256, stamp }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_in_this_tick_is_read_in_the_next() {
        let stamp = Stamp { device: 1, inode: 2, size: WORTH_REMEMBERING, modified: (9, 9), changed: (100, 5_000_000) };
        let at = |milliseconds| stamp.must_rest(Duration::from_millis(milliseconds));
        assert_eq!(at(100_005), Some(TICK));
        assert_eq!(at(100_010), Some(Duration::from_millis(15)));
        assert_eq!(at(100_025), Some(Duration::ZERO));
        assert_eq!(at(100_004), None, "a time that has not come yet");
        let whole_seconds = Stamp { changed: (100, 0), ..stamp.clone() };
        assert_eq!(whole_seconds.must_rest(Duration::from_secs(200)), None);
        let small = Stamp { size: 1, ..stamp };
        assert_eq!(small.must_rest(Duration::from_secs(200)), None);
    }
}
