//! By what a file is known again: the kernel's handle while it is the same file, its content when it was copied or compressed.
//!
//! Never the path alone, which rotation gives to another; never the inode alone, which is given out again; never the content
//! alone, since empty files are alike, and so are the first lines of many.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The head is no longer than this; it grows with the file until then.
pub(super) const HEAD: usize = 1024;
/// So much before an offset tells whether the file is still what was read there.
pub(super) const ANCHOR: usize = 256;
/// A head of this length is evidence by itself; a shorter one needs more.
pub(super) const TELLING: u64 = 256;

/// What some bytes of a file come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Print {
    /// The offset behind them.
    pub(super) end: u64,
    /// How many they are.
    pub(super) length: u64,
    sum: u64,
}

impl Print {
    /// Of bytes that end at this offset.
    pub(super) fn of(bytes: &[u8], end: u64) -> Self {
        let digest = Sha256::digest(bytes);
        let sum = digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Self { end, length: length(bytes), sum }
    }

    /// Where the bytes begin.
    pub(super) fn start(&self) -> u64 {
        self.end.saturating_sub(self.length)
    }

    /// Whether the bytes, which begin where ours did, are the same.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        let own = usize::try_from(self.length).ok().and_then(|length| bytes.get(..length));
        self.length == 0 || own.is_some_and(|bytes| Self::of(bytes, self.end).sum == self.sum)
    }
}

/// What can be read at an offset.
pub(super) trait ReadAt {
    /// As many bytes as there are, up to the length of the buffer.
    fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// The print of a file's first bytes, `most` of them at the most.
pub(super) fn head_of(file: &mut impl ReadAt, most: u64) -> io::Result<Print> {
    let mut buffer = [0; HEAD];
    let most = usize::try_from(most).unwrap_or(HEAD).min(HEAD);
    let read = file.fill(buffer.get_mut(..most).unwrap_or_default(), 0)?;
    let bytes = buffer.get(..read).unwrap_or_default();
    Ok(Print::of(bytes, length(bytes)))
}

/// The print of what stands before an offset. `None` where the file does not reach so far.
pub(super) fn anchor_of(file: &mut impl ReadAt, offset: u64) -> io::Result<Option<Print>> {
    let mut buffer = [0; ANCHOR];
    let wanted = usize::try_from(offset).unwrap_or(ANCHOR).min(ANCHOR);
    let room = buffer.get_mut(..wanted).unwrap_or_default();
    let read = file.fill(room, offset - length(room))?;
    Ok((read == wanted).then(|| Print::of(room, offset)))
}

/// Whether the file still has the bytes of a print where they were.
pub(super) fn still_has(file: &mut impl ReadAt, print: &Print) -> io::Result<bool> {
    let mut buffer = [0; HEAD];
    let wanted = usize::try_from(print.length).unwrap_or(HEAD).min(HEAD);
    let room = buffer.get_mut(..wanted).unwrap_or_default();
    let read = file.fill(room, print.start())?;
    Ok(read == wanted && print.matches(room))
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ReadAt for &[u8] {
        fn fill(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }
    }

    #[test]
    fn a_head_is_known_in_a_file_that_has_grown_and_in_no_other() {
        let text = b"one\ntwo\n".repeat(300);
        let mut short: &[u8] = &text[..10];
        let head = head_of(&mut short, 1024).unwrap();
        assert_eq!((head.length, head.start()), (10, 0));
        assert!(still_has(&mut text.as_slice(), &head).unwrap());
        assert!(!still_has(&mut &text[1..], &head).unwrap());
        assert!(!still_has(&mut &text[..9], &head).unwrap(), "it does not reach so far");
        assert!(still_has(&mut &text[..0], &head_of(&mut short, 0).unwrap()).unwrap(), "of nothing, everything has it");
        assert!(still_has(&mut text.as_slice(), &Print::default()).unwrap());
    }

    #[test]
    fn an_anchor_is_what_stands_before_the_offset() {
        let mut text: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let anchor = anchor_of(&mut text.as_slice(), 5000).unwrap().unwrap();
        assert_eq!((anchor.start(), anchor.end), (5000 - 256, 5000));
        assert!(still_has(&mut text.as_slice(), &anchor).unwrap());
        text[4999] ^= 1;
        assert!(!still_has(&mut text.as_slice(), &anchor).unwrap());
        assert_eq!(anchor_of(&mut text.as_slice(), 9000).unwrap(), None);
        assert_eq!(anchor_of(&mut text.as_slice(), 0).unwrap().unwrap().length, 0);
    }
}
