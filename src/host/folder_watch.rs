//! Hints that something happened in a folder, from inotify. Hints only: the queue overflows, watches run out, network file
//! systems stay silent; whoever asks here also looks for himself now and then.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Names that came, went or changed hands.
const COMINGS: ReadFlags = ReadFlags::CREATE.union(ReadFlags::MOVED_FROM).union(ReadFlags::MOVED_TO).union(ReadFlags::DELETE);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A file in this folder was written to or closed by its writer.
    Written(PathBuf, OsString),
    /// Names in a folder came or went.
    Moved,
    /// Hints were lost: anything may have happened.
    Anything,
}

/// The folders that are watched.
pub struct FolderWatch {
    queue: OwnedFd,
    folders: HashMap<i32, PathBuf>,
    by_path: HashMap<PathBuf, i32>,
}

impl FolderWatch {
    /// No folder yet.
    ///
    /// # Errors
    /// The user has used up all queues.
    pub fn new() -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { queue, folders: HashMap::new(), by_path: HashMap::new() })
    }

    /// Watches a folder, if it is not watched yet.
    ///
    /// # Errors
    /// There is no such folder, or the machine has run out of watches.
    pub fn add(&mut self, folder: &Path) -> io::Result<()> {
        if self.by_path.contains_key(folder) {
            return Ok(());
        }
        let wanted = WatchFlags::from_bits_retain(COMINGS.bits())
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let number = inotify::add_watch(&self.queue, folder, wanted)?;
        if let Some(other) = self.folders.insert(number, folder.to_owned()) {
            // The same folder by another path: hints come under the newer name.
            self.by_path.remove(&other);
        }
        self.by_path.insert(folder.to_owned(), number);
        Ok(())
    }

    /// Stops watching all folders but these.
    pub fn keep(&mut self, wanted: impl Fn(&Path) -> bool) {
        let gone: Vec<i32> = self.folders.iter().filter(|(_, path)| !wanted(path)).map(|(number, _)| *number).collect();
        for number in gone {
            self.forget(number);
            // An error means that the kernel has forgotten it before us.
            inotify::remove_watch(&self.queue, number).ok();
        }
    }

    /// What has happened since the last time; each hint once.
    pub fn drain(&mut self) -> Vec<Hint> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let (mut hints, mut gone) = (std::collections::HashSet::new(), Vec::new());
        let mut last: Option<(i32, OsString)> = None;
        let mut reader = Reader::new(&self.queue, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let what = event.events();
            if what.intersects(ReadFlags::QUEUE_OVERFLOW) {
                hints.insert(Hint::Anything);
            } else if what.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT) {
                gone.push(event.wd());
                hints.insert(Hint::Moved);
            } else if what.intersects(COMINGS) {
                hints.insert(Hint::Moved);
            } else if let Some(name) = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes())) {
                // Two writers in turn fill the queue with the same two names.
                if last.as_ref().is_none_or(|(number, known)| (*number, known.as_os_str()) != (event.wd(), name)) {
                    if let Some(folder) = self.folders.get(&event.wd()) {
                        hints.insert(Hint::Written(folder.clone(), name.to_owned()));
                    }
                    last = Some((event.wd(), name.to_owned()));
                }
            }
        }
        for number in gone {
            self.forget(number);
        }
        hints.into_iter().collect()
    }

    fn forget(&mut self, number: i32) {
        if let Some(path) = self.folders.remove(&number) {
            self.by_path.remove(&path);
        }
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_told_by_name_and_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        let mut watch = FolderWatch::new().unwrap();
        watch.add(folder.path()).unwrap();
        watch.add(folder.path()).unwrap();
        assert_eq!(watch.drain(), []);
        for _ in 0..3 {
            std::fs::write(folder.path().join("a"), "x").unwrap();
        }
        assert_eq!(watch.drain(), [Hint::Written(folder.path().to_owned(), "a".into())]);
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        assert_eq!(watch.drain(), [Hint::Moved]);
    }

    #[test]
    fn a_folder_that_was_replaced_can_be_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("logs");
        std::fs::create_dir(&folder).unwrap();
        let mut watch = FolderWatch::new().unwrap();
        watch.add(&folder).unwrap();
        std::fs::rename(&folder, parent.path().join("old")).unwrap();
        assert_eq!(watch.drain(), [Hint::Moved]);
        std::fs::create_dir(&folder).unwrap();
        watch.add(&folder).unwrap();
        std::fs::write(folder.join("a"), "x").unwrap();
        assert!(watch.drain().contains(&Hint::Written(folder.clone(), "a".into())));
        watch.keep(|_| false);
        drop(watch.drain());
        std::fs::write(folder.join("a"), "y").unwrap();
        assert_eq!(watch.drain(), []);
    }

    #[test]
    fn more_than_the_queue_holds_is_anything() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = FolderWatch::new().unwrap();
        watch.add(folder.path()).unwrap();
        let most: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
        for name in 0..most {
            std::fs::write(folder.path().join((name % 50).to_string()), "x").unwrap();
        }
        assert!(watch.drain().contains(&Hint::Anything));
    }
}
