//! Which bytes are which characters. Lines are found in the bytes of the source: in every encoding that we read but UTF-16, the
//! byte of a line end is part of nothing else.

use std::borrow::Cow;

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How a file's characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charset(&'static Encoding);

impl Charset {
    /// What everything is in until told otherwise.
    pub(super) const UTF8: Self = Self(UTF_8);

    /// By one of its usual names.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        // The "replacement" encoding stands for what must not be decoded at all.
        let known = Encoding::for_label_no_replacement(name.as_bytes());
        known.map(Self).ok_or_else(|| format!("`{name}` is not an encoding such as `utf-8`, `utf-16`, `latin1` or `shift_jis`"))
    }

    /// By the mark that a file begins with, and how long that is.
    pub(super) fn by_mark(head: &[u8]) -> Option<(Self, usize)> {
        Encoding::for_bom(head).map(|(encoding, length)| (Self(encoding), length))
    }

    /// Whether text is what its bytes are, so that it needs no decoding.
    pub(super) fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }

    /// Where the first line ends: the offset behind its line end.
    pub(super) fn line_end(self, bytes: &[u8]) -> Option<usize> {
        match self.unit() {
            None => memchr::memchr(b'\n', bytes).map(|at| at + 1),
            Some(end) => bytes.chunks_exact(2).position(|unit| unit == end).map(|at| 2 * at + 2),
        }
    }

    /// Where the last whole line ends.
    pub(super) fn last_line_end(self, bytes: &[u8]) -> Option<usize> {
        match self.unit() {
            None => memchr::memrchr(b'\n', bytes).map(|at| at + 1),
            Some(end) => bytes.chunks_exact(2).rposition(|unit| unit == end).map(|at| 2 * at + 2),
        }
    }

    /// The characters; what is none becomes U+FFFD.
    pub(super) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        self.0.decode_without_bom_handling(bytes).0
    }

    /// For a text that comes in pieces, which may end within a character.
    pub(super) fn decoder(self) -> Decoder {
        self.0.new_decoder_without_bom_handling()
    }

    /// A line end, where it is not one byte.
    fn unit(self) -> Option<&'static [u8]> {
        if self.0 == UTF_16LE {
            Some(b"\n\0")
        } else if self.0 == UTF_16BE {
            Some(b"\0\n")
        } else {
            None
        }
    }
}

/// A line without its end.
pub(super) fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_known_by_name_and_by_mark() {
        assert_eq!(Charset::named("latin1").unwrap().decode(b"caf\xe9"), "café");
        assert_eq!(Charset::named("Shift_JIS").unwrap().decode(b"\x83\x65"), "テ");
        assert_eq!(Charset::by_mark(b"\xff\xfea\0"), Some((Charset(UTF_16LE), 2)));
        assert_eq!(Charset::by_mark(b"\xef\xbb\xbfx"), Some((Charset::UTF8, 3)));
        assert_eq!(Charset::by_mark(b"plain"), None);
        assert!(Charset::named("iso-2022-kr").is_err(), "what browsers refuse to decode");
        assert!(Charset::named("klingon").unwrap_err().contains("`klingon`"));
    }

    #[test]
    fn a_line_end_of_two_bytes_is_not_found_across_two_characters() {
        let big = Charset::named("utf-16be").unwrap();
        // U+0A00 and U+0100 hold the bytes of a line end at the wrong place; only the last unit is one.
        let bytes = [0x0a, 0x00, 0x01, 0x00, 0x0a, 0x00, 0x00, 0x0a, 0x00];
        assert_eq!(big.line_end(&bytes), Some(8));
        assert_eq!(big.last_line_end(&bytes), Some(8));
        assert_eq!(Charset::named("utf-16").unwrap().line_end(b"\0\n\n\0"), Some(4), "little-endian unless told");
    }

    #[test]
    fn only_the_line_end_is_taken_off() {
        assert_eq!(without_end("a\r\n"), "a");
        assert_eq!(without_end("a\r\r\n"), "a\r");
        assert_eq!(without_end("\0\u{1}"), "\0\u{1}");
    }
}
