//! Where unread bytes are kept whose file was deleted: while we live, our descriptor keeps them; when we end, nothing does. What
//! is spooled is shipped by the next start. Bounded, and readable by root only: nothing in it was masked yet.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::identity::ReadAt as _;

/// No more than this, nor than the share of the free disk.
const MOST: u64 = 256 << 20;
const SHARE: u64 = 10;
const STEP: usize = 256 * 1024;

/// The folder of spooled bytes.
pub(super) struct Spool {
    folder: PathBuf,
    most: u64,
}

/// The bytes of one file that were saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rescue {
    /// The name of our file.
    pub(super) name: String,
    /// The offset of its first byte.
    pub(super) base: u64,
    /// The offset behind its last one.
    pub(super) end: u64,
}

impl Spool {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), most: MOST }
    }

    /// Holds no more than this.
    #[cfg(test)]
    pub(super) fn limit(&mut self, most: u64) {
        self.most = most;
    }

    /// Saves the bytes of a file between two offsets, behind those that were saved before; returns how many were new.
    pub(super) fn save(&self, rescue: &mut Option<Rescue>, file: &File, from: u64, to: u64) -> io::Result<u64> {
        if rescue.is_none() && from < to {
            *rescue = Some(self.begin(from)?);
        }
        let Some(rescue) = rescue else { return Ok(0) };
        let target = OpenOptions::new().write(true).open(self.folder.join(&rescue.name))?;
        let mut room = self.room();
        let mut buffer = vec![0; STEP];
        let mut saved = 0;
        let mut source = file;
        while rescue.end < to && room > 0 {
            let wanted = usize::try_from((to - rescue.end).min(room)).unwrap_or(STEP).min(STEP);
            let read = source.fill(buffer.get_mut(..wanted).unwrap_or_default(), rescue.end)?;
            if read == 0 {
                break;
            }
            target.write_all_at(buffer.get(..read).unwrap_or_default(), rescue.end - rescue.base)?;
            let read = u64::try_from(read).unwrap_or(0);
            rescue.end += read;
            saved += read;
            room = room.saturating_sub(read);
        }
        if saved > 0 {
            target.sync_data()?;
        }
        Ok(saved)
    }

    /// Bytes that were saved by an earlier process.
    pub(super) fn open(&self, name: &str, base: u64) -> io::Result<(File, Rescue)> {
        if name.contains('/') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = File::open(self.folder.join(name))?;
        let end = base + file.metadata()?.len();
        Ok((file, Rescue { name: name.to_owned(), base, end }))
    }

    /// They have been shipped.
    pub(super) fn remove(&self, rescue: &Rescue) {
        std::fs::remove_file(self.folder.join(&rescue.name)).ok();
    }

    /// Removes what no record knows of: a process that was killed before it could write its record left it.
    pub(super) fn keep(&self, known: impl Fn(&str) -> bool) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(&known) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }

    fn begin(&self, base: u64) -> io::Result<Rescue> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        for number in 0_u32.. {
            let name = format!("{number}.tail");
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.folder.join(&name)) {
                Ok(_) => return Ok(Rescue { name, base, end: base }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// How much more may be saved.
    fn room(&self) -> u64 {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let used: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        let free = rustix::fs::statvfs(&self.folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        self.most.saturating_sub(used).min(free / SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_found_again_by_its_offsets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let spool = Spool::new(&folder.path().join("spool"));
        let mut rescue = None;
        assert_eq!(spool.save(&mut rescue, &file, 4, 4).unwrap(), 0);
        assert_eq!(rescue, None, "nothing to save makes no file");
        assert_eq!(spool.save(&mut rescue, &file, 4, 7).unwrap(), 3);
        assert_eq!(spool.save(&mut rescue, &file, 5, 10).unwrap(), 3, "only what is new");
        let rescue = rescue.unwrap();
        let (saved, again) = spool.open(&rescue.name, rescue.base).unwrap();
        assert_eq!(again, rescue);
        let mut buffer = [0; 20];
        assert_eq!((&saved).fill(&mut buffer, 0).unwrap(), 6);
        assert_eq!(&buffer[..6], b"456789");
        spool.keep(|name| name == rescue.name);
        assert!(spool.open(&rescue.name, 0).is_ok());
        spool.keep(|_| false);
        assert!(spool.open(&rescue.name, 0).is_err());
        assert!(spool.open("../log", 0).is_err(), "a record names no file elsewhere");
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, vec![b'x'; 1000]).unwrap();
        let file = File::open(&path).unwrap();
        let mut spool = Spool::new(&folder.path().join("spool"));
        spool.limit(700);
        let (mut first, mut second) = (None, None);
        assert_eq!(spool.save(&mut first, &file, 0, 500).unwrap(), 500);
        assert_eq!(spool.save(&mut second, &file, 0, 500).unwrap(), 200);
        spool.remove(&first.unwrap());
        assert_eq!(spool.save(&mut second, &file, 0, 500).unwrap(), 300);
    }
}
