//! Where the bytes of a followed file come from by now: the file itself, what it was compressed to, or the rescue spool. Offsets
//! are always those of the file that was written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::identity::ReadAt;
use super::unpacking::Unpacking;

/// Something whose bytes can be asked for by their offset in the log.
pub(super) enum Content {
    /// The file itself, or a copy of it.
    Plain(File),
    /// Compressed. Reads on from where it is, and begins again for what lies before.
    Packed(Box<Unpacking>),
    /// Its bytes from this offset on, in a file of ours.
    Spooled(File, u64),
}

impl Content {
    /// A compressed file.
    pub(super) fn packed(file: File) -> io::Result<Self> {
        Ok(Self::Packed(Box::new(Unpacking::new(file)?)))
    }

    /// The file that the bytes come from.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Plain(file) | Self::Spooled(file, _) => file,
            Self::Packed(unpacking) => unpacking.file(),
        }
    }

    /// Whether it is our own copy.
    pub(super) fn is_spooled(&self) -> bool {
        matches!(self, Self::Spooled(..))
    }

    /// Whether it can still grow.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl ReadAt for Content {
    fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Plain(file) => fill_from(file, buffer, offset),
            Self::Packed(unpacking) => unpacking.fill(buffer, offset),
            Self::Spooled(file, base) => match offset.checked_sub(*base) {
                Some(offset) => fill_from(file, buffer, offset),
                None => Ok(0),
            },
        }
    }
}

impl ReadAt for &File {
    fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        fill_from(self, buffer, offset)
    }
}

fn fill_from(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(room) = buffer.get_mut(done..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset + u64::try_from(done).unwrap_or(0)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spool_knows_offsets_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        std::fs::write(&path, "tail").unwrap();
        let mut content = Content::Spooled(File::open(&path).unwrap(), 100);
        let mut buffer = [0; 10];
        assert_eq!(content.fill(&mut buffer, 102).unwrap(), 2);
        assert_eq!(&buffer[..2], b"il");
        assert_eq!(content.fill(&mut buffer, 50).unwrap(), 0, "what was not spooled is not there");
    }
}
