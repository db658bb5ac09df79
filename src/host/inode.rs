//! Which file this is, and who still writes to it: what whoever follows a log file through its rotations asks the kernel.
//!
//! A path says nothing (rotation puts another file there), a number of an inode little (it is given out again). The kernel's
//! handle of a file has the inode's generation in it, and outlives renames and reboots.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags};

/// The kernel gives no longer ones.
const LONGEST_HANDLE: usize = 128;
/// The type of a handle that is only the inode's number: what is left where the file system has none of its own.
const BY_NUMBER: i32 = -1;
/// Chooses the signal of a lease; the crates do not name it.
const F_SETSIG: libc::c_int = 10;

/// What the kernel says about a file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Device and inode: enough to recognise it while it is there, and no longer.
    pub place: (u64, u64),
    /// Nanoseconds since 1970; 0 where the file system does not know.
    pub born: i64,
    /// Bytes.
    pub size: u64,
    /// The last write, in nanoseconds since 1970.
    pub written: i64,
    /// The last change of any kind, in nanoseconds since 1970; nobody can set it back.
    pub changed: i64,
    /// How many names it has.
    pub names: u32,
    /// The user it belongs to.
    pub owner: u32,
    /// What it is.
    kind: FileType,
}

impl Seen {
    /// The file at a path, behind all links.
    ///
    /// # Errors
    /// There is none, or we may not look.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(rustix::fs::statx(CWD, path, AtFlags::empty(), wanted())?))
    }

    /// An open file.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted())?))
    }

    /// Whether it is one that has content.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it leads elsewhere.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.kind == FileType::Symlink
    }
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

impl From<Statx> for Seen {
    fn from(found: Statx) -> Self {
        let nanos = |seconds: i64, nanos: u32| seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos));
        let knows_birth = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        Self {
            place: (rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino),
            born: if knows_birth { nanos(found.stx_btime.tv_sec, found.stx_btime.tv_nsec) } else { 0 },
            size: found.stx_size,
            written: nanos(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            changed: nanos(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
            names: found.stx_nlink,
            owner: found.stx_uid,
            kind: FileType::from_raw_mode(u32::from(found.stx_mode)),
        }
    }
}

/// The kernel's own name of a file: its inode with the generation of that inode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    kind: i32,
    bytes: Vec<u8>,
}

/// As the kernel lays it out, with room for the longest.
#[repr(C)]
struct RawHandle {
    length: libc::c_uint,
    kind: libc::c_int,
    bytes: [u8; LONGEST_HANDLE],
}

impl Handle {
    /// Of an open file; only the number of its inode where the file system gives no handles.
    ///
    /// # Errors
    /// The file system does not answer at all.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        let mut raw = RawHandle { length: u32::try_from(LONGEST_HANDLE).unwrap_or(0), kind: 0, bytes: [0; LONGEST_HANDLE] };
        let mut mount: libc::c_int = 0;
        #[allow(unsafe_code, reason = "no crate of ours has this call")]
        // SAFETY: the kernel writes no more than `length` bytes behind the two numbers, and the path is empty and terminated.
        let answer = unsafe {
            libc::name_to_handle_at(
                file.as_fd().as_raw_fd(),
                c"".as_ptr(),
                (&raw mut raw).cast(),
                &raw mut mount,
                libc::AT_EMPTY_PATH,
            )
        };
        let length = usize::try_from(raw.length).unwrap_or(0);
        match raw.bytes.get(..length) {
            Some(bytes) if answer == 0 => Ok(Self { kind: raw.kind, bytes: bytes.to_vec() }),
            _ => Ok(Self { kind: BY_NUMBER, bytes: Seen::of(file)?.place.1.to_le_bytes().to_vec() }),
        }
    }

    /// Opens the file wherever it is by now on the file system that `beside` is on. Needs root's right to pass by directories.
    ///
    /// # Errors
    /// It is gone, or we lack that right.
    pub fn open(&self, beside: impl AsFd) -> io::Result<File> {
        let mut raw =
            RawHandle { length: u32::try_from(self.bytes.len()).unwrap_or(0), kind: self.kind, bytes: [0; LONGEST_HANDLE] };
        let room = raw.bytes.get_mut(..self.bytes.len()).filter(|_| self.kind != BY_NUMBER);
        room.ok_or(io::ErrorKind::Unsupported)?.copy_from_slice(&self.bytes);
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        #[allow(unsafe_code, reason = "no crate of ours has this call")]
        // SAFETY: the handle is as long as it says; the descriptor that comes back is new and ours alone.
        let file = unsafe {
            match libc::open_by_handle_at(beside.as_fd().as_raw_fd(), (&raw mut raw).cast(), flags) {
                fd if fd >= 0 => OwnedFd::from_raw_fd(fd),
                _ => return Err(io::Error::last_os_error()),
            }
        };
        Ok(File::from(file))
    }

    /// As it is written into a record.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.bytes.iter().fold(format!("{}:", self.kind), |text, byte| text + &format!("{byte:02x}"))
    }

    /// As [`Handle::to_text`] wrote it.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (kind, bytes) = text.split_once(':')?;
        let digits = bytes.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Vec<u8> = digits.map(byte).collect::<Option<_>>()?;
        (bytes.len() <= LONGEST_HANDLE).then_some(Self { kind: kind.parse().ok()?, bytes })
    }
}

/// Who writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Somebody has it open for writing.
    Present,
    /// Nobody has.
    Gone,
    /// The file system or our rights do not let us know.
    Unknown,
}

impl Writer {
    /// Asks by a lease, which the kernel grants only when nobody has the file open for writing; it is given back at once.
    pub fn of(file: &File) -> Self {
        #[allow(unsafe_code, reason = "no crate of ours has leases")]
        // SAFETY: plain calls with numbers. Should somebody open the file while we hold the lease, the kernel would tell us by
        // SIGIO, which ends a process; SIGURG is ignored by default.
        unsafe {
            let fd = file.as_raw_fd();
            if libc::fcntl(fd, F_SETSIG, libc::SIGURG) != 0 {
                return Self::Unknown;
            }
            if libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) == 0 {
                libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK);
                return Self::Gone;
            }
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN) => Self::Present,
            _ => Self::Unknown,
        }
    }
}

/// What is at an offset of a file that may have holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Bytes that were written; so it is called where the file system does not know of holes.
    Data,
    /// A hole up to this offset.
    Hole(u64),
    /// A hole up to the end of the file.
    Nothing,
}

impl Ground {
    /// Asks the file system.
    pub fn at(file: &File, offset: u64) -> Self {
        match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(next) if next > offset => Self::Hole(next),
            Err(rustix::io::Errno::NXIO) => Self::Nothing,
            _ => Self::Data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_outlives_a_rename_and_not_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "x").unwrap();
        let handle = Handle::of(File::open(&old).unwrap()).unwrap();
        assert_eq!(Handle::from_text(&handle.to_text()), Some(handle.clone()));
        std::fs::rename(&old, &new).unwrap();
        assert_eq!(Handle::of(File::open(&new).unwrap()).unwrap(), handle);
        let beside = File::open(folder.path()).unwrap();
        match handle.open(&beside) {
            Ok(found) => assert_eq!(Seen::of(&found).unwrap().place, Seen::at(&new).unwrap().place),
            Err(error) => assert!(!nix::unistd::geteuid().is_root(), "{error}"),
        }
        std::fs::remove_file(&new).unwrap();
        assert!(handle.open(&beside).is_err());
        std::fs::write(&new, "y").unwrap();
        assert_ne!(Handle::of(File::open(&new).unwrap()).unwrap(), handle, "also when it got the same inode");
    }

    #[test]
    fn handles_that_were_tampered_with_are_none() {
        for text in ["", "1", "x:00", "1:0x", "1:é", &format!("1:{}", "00".repeat(LONGEST_HANDLE + 1))] {
            assert_eq!(Handle::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_writer_is_noticed_until_it_closes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(Writer::of(&reader), Writer::Present);
        drop(writer);
        // A program that another test starts just now holds every file of ours until it has become itself.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while Writer::of(&reader) != Writer::Gone {
            assert!(std::time::Instant::now() < until, "the writer is noticed for ever");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn a_hole_is_known_from_what_was_written() {
        use std::os::unix::fs::FileExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = File::create(&path).unwrap();
        file.write_all_at(b"x", 1 << 20).unwrap();
        file.set_len(3 << 20).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(Ground::at(&reader, 0), Ground::Hole(1 << 20));
        assert_eq!(Ground::at(&reader, 1 << 20), Ground::Data);
        assert_eq!(Ground::at(&reader, 2 << 20), Ground::Nothing);
    }
}
