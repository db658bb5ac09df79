//! Where the bytes of a followed file come from by now: the file itself, what it was compressed to, or the rescue spool. Offsets
//! are always those of the file that was written.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use flate2::read::MultiGzDecoder;

use super::identity::ReadAt;

/// So much is unpacked at once on the way to an offset.
const STEP: usize = 16 * 1024;

/// Something whose bytes can be asked for by their offset in the log.
pub(super) enum Content {
    /// The file itself, or a copy of it.
    Plain(File),
    /// Compressed. Reads on from where it is, and begins again for what lies before.
    Packed(Box<Unpacking>),
    /// Its bytes from this offset on, in a file of ours.
    Spooled(File, u64),
}

/// A gzip stream, and how far it was read.
pub(super) struct Unpacking {
    file: File,
    stream: MultiGzDecoder<Cursor>,
    at: u64,
    /// What was unpacked last: an offset a little before the present one is asked for again and again.
    last: Vec<u8>,
}

/// The compressed bytes, from a position of its own.
struct Cursor(File, u64);

impl io::Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(buffer, self.1)?;
        self.1 += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

/// As much as is kept for looking back: an unfinished line and an anchor.
const KEPT: usize = 512 * 1024;

impl Content {
    /// A compressed file.
    pub(super) fn packed(file: File) -> io::Result<Self> {
        let stream = MultiGzDecoder::new(Cursor(file.try_clone()?, 0));
        Ok(Self::Packed(Box::new(Unpacking { file, stream, at: 0, last: Vec::new() })))
    }

    /// The file that the bytes come from.
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Plain(file) | Self::Spooled(file, _) => file,
            Self::Packed(unpacking) => &unpacking.file,
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

impl Unpacking {
    fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.at - u64::try_from(self.last.len()).unwrap_or(0) {
            self.stream = MultiGzDecoder::new(Cursor(self.file.try_clone()?, 0));
            self.at = 0;
            self.last.clear();
        }
        let wanted = offset + u64::try_from(buffer.len()).unwrap_or(0);
        let mut step = vec![0; STEP];
        let mut failure = None;
        while self.at < wanted {
            match self.stream.read(&mut step) {
                Ok(0) => break,
                Ok(read) => {
                    self.at += u64::try_from(read).unwrap_or(0);
                    self.last.extend_from_slice(step.get(..read).unwrap_or_default());
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            if self.last.len() > 2 * KEPT {
                self.last.drain(..self.last.len() - KEPT);
            }
        }
        let start = self.at - u64::try_from(self.last.len()).unwrap_or(0);
        let known = offset.checked_sub(start).and_then(|skip| usize::try_from(skip).ok());
        let known = known.and_then(|skip| self.last.get(skip..)).unwrap_or_default();
        let count = known.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), known.get(..count)) {
            to.copy_from_slice(from);
        }
        // What could be unpacked before something was wrong is worth having.
        failure.filter(|_| count == 0).map_or(Ok(count), Err)
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
    use std::io::Write as _;

    use super::*;

    #[test]
    fn compressed_content_is_read_at_any_offset_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gz");
        let text: Vec<u8> = (0..400_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        // Two members, as `cat a.gz b.gz` makes them.
        let mut packed = Vec::new();
        for half in text.chunks(text.len() / 2 + 1) {
            let mut packer = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            packer.write_all(half).unwrap();
            packer.finish().unwrap();
        }
        std::fs::write(&path, packed).unwrap();
        let mut content = Content::packed(File::open(&path).unwrap()).unwrap();
        let mut buffer = vec![0; 70_000];
        for offset in [0_usize, 200_000, 199_000, 2_000_000, 5, 1_000_000, 1_060_000, text.len() - 10, text.len(), text.len() + 5]
        {
            let read = content.fill(&mut buffer, offset as u64).unwrap();
            let wanted = text.get(offset..).unwrap_or_default();
            assert_eq!(buffer[..read], wanted[..wanted.len().min(70_000)], "{offset}");
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_not_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gz");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"some text").unwrap();
        let packed = packer.finish().unwrap();
        std::fs::write(&path, &packed[..packed.len() - 4]).unwrap();
        let mut content = Content::packed(File::open(&path).unwrap()).unwrap();
        assert_eq!(content.fill(&mut [0; 100], 0).unwrap(), 9);
        assert!(content.fill(&mut [0; 100], 9).is_err());
    }

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
