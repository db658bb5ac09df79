//! A compressed file as the bytes that it was made of, at any of their offsets: gzip or zstd, as its first bytes say.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// So much is unpacked at once on the way to an offset.
const STEP: usize = 16 * 1024;
/// As much as is kept for looking back: an unfinished line and an anchor.
const KEPT: usize = 512 * 1024;
/// What unpacking needs is held in memory: as much as zstd's highest ordinary level wants, and no more.
const WIDEST: u64 = 8 << 20;
/// What a zstd file begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A compressed stream, and how far it was read. Reads on from where it is, and begins again for what lies before.
pub(super) struct Unpacking {
    file: File,
    stream: Stream,
    at: u64,
    /// What was unpacked last: an offset a little before the present one is asked for again and again.
    last: Vec<u8>,
}

enum Stream {
    Gzip(Box<MultiGzDecoder<Cursor>>),
    Zstd(Box<Frames>),
}

/// The compressed bytes, from a position of its own.
struct Cursor(File, u64);

/// One zstd frame after the other, as `cat a.zst b.zst` makes them.
struct Frames {
    bytes: Cursor,
    frame: FrameDecoder,
    is_open: bool,
}

impl Unpacking {
    pub(super) fn new(file: File) -> io::Result<Self> {
        Ok(Self { stream: Stream::of(&file)?, file, at: 0, last: Vec::new() })
    }

    /// What is compressed.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// As many of the original's bytes as there are from this offset on, up to the length of the buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.at - u64::try_from(self.last.len()).unwrap_or(0) {
            self.stream = Stream::of(&self.file)?;
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

impl Stream {
    /// From its beginning.
    fn of(file: &File) -> io::Result<Self> {
        let mut first = [0; ZSTD.len()];
        let read = file.read_at(&mut first, 0)?;
        let bytes = Cursor(file.try_clone()?, 0);
        if read == first.len() && first == ZSTD {
            let mut frame = FrameDecoder::new();
            frame.set_max_window_size(WIDEST);
            return Ok(Self::Zstd(Box::new(Frames { bytes, frame, is_open: false })));
        }
        Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bytes))))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(stream) => stream.read(buffer),
            Self::Zstd(frames) => frames.read(buffer),
        }
    }
}

impl io::Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(buffer, self.1)?;
        self.1 += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

impl Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_open && !self.open_next()? {
                return Ok(0);
            }
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let step = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.bytes, step).map_err(io::Error::other)?;
            }
            let read = self.frame.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.is_open = false;
        }
    }

    /// Whether there is another frame.
    fn open_next(&mut self) -> io::Result<bool> {
        while self.bytes.0.read_at(&mut [0], self.bytes.1)? > 0 {
            match self.frame.reset(&mut self.bytes) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                // Made for other readers.
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    self.bytes.1 += u64::from(length);
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    fn unpacking(bytes: &[u8]) -> Unpacking {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Unpacking::new(file).unwrap()
    }

    #[test]
    fn compressed_content_is_read_at_any_offset_of_the_original() {
        let text: Vec<u8> = (0..400_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        for pack in [gzip, zstd] {
            // Two members, as `cat a.gz b.gz` makes them.
            let mut packed: Vec<u8> = text.chunks(text.len() / 2 + 1).flat_map(pack).collect();
            if pack(b"")[..4] == ZSTD {
                // And a frame that is skipped, of three bytes.
                packed.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
            }
            let mut content = unpacking(&packed);
            let mut buffer = vec![0; 70_000];
            let far = [text.len() - 10, text.len(), text.len() + 5];
            for offset in [0, 200_000, 199_000, 2_000_000, 5, 1_000_000, 1_060_000].into_iter().chain(far) {
                let read = content.fill(&mut buffer, offset as u64).unwrap();
                let wanted = text.get(offset..).unwrap_or_default();
                assert_eq!(buffer[..read], wanted[..wanted.len().min(70_000)], "{offset}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_not_an_end() {
        for pack in [gzip, zstd] {
            let packed = pack(b"some text");
            let mut content = unpacking(&packed[..packed.len() - 4]);
            let first = content.fill(&mut [0; 100], 0).unwrap_or(0);
            assert!(content.fill(&mut [0; 100], first as u64).is_err());
        }
    }
}
