//! The journal's export format: `KEY=value` lines, or for values that are no line `KEY`, their length in eight bytes and the bytes;
//! an empty line ends an entry. Only what we need of an entry is kept, in one piece of memory that the next one takes over.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};
use std::ops::Range;

/// Of one entry, no more is kept.
const LARGEST_ENTRY: usize = 8 << 20;
/// Of a field behind that much, this is still kept: where the entry stands must be known.
const LARGEST_SMALL: usize = 4096;
/// What the memory for entries shrinks to after a large one.
const USUAL: usize = 64 * 1024;

/// Declares the fields that are kept, each with its name in the journal.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)+) => {
        /// A field of an entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $field,)+
        }

        impl Field {
            const ALL: &[(Self, &str)] = &[$((Self::$field, $name),)+];
        }
    };
}

fields! {
    /// What it says.
    Message = "MESSAGE",
    /// The unit whose process wrote it.
    SystemdUnit = "_SYSTEMD_UNIT",
    /// The slice of that unit.
    SystemdSlice = "_SYSTEMD_SLICE",
    /// What the program calls itself.
    Identifier = "SYSLOG_IDENTIFIER",
    /// How important it is.
    Priority = "PRIORITY",
    /// Who wrote it: the kernel, for one.
    Transport = "_TRANSPORT",
    /// The process that wrote it.
    Pid = "_PID",
    /// The user whose process wrote it.
    Uid = "_UID",
    /// What kind of message it is.
    MessageId = "MESSAGE_ID",
    /// The unit that systemd writes about.
    Unit = "UNIT",
    /// The unit that another service of root's writes about.
    ObjectUnit = "OBJECT_SYSTEMD_UNIT",
    /// The unit whose core was dumped.
    CoredumpUnit = "COREDUMP_UNIT",
    /// Where it stands in the journal.
    Cursor = "__CURSOR",
    /// When the journal took it in, in microseconds since 1970.
    Realtime = "__REALTIME_TIMESTAMP",
}

/// The fields that `journalctl` is asked for; those with two underscores come anyway.
#[must_use]
pub fn asked_for() -> String {
    let names = Field::ALL.iter().map(|(_, name)| *name).filter(|name| !name.starts_with("__"));
    names.collect::<Vec<_>>().join(",")
}

/// One entry.
#[derive(Debug, Default)]
pub struct Entry {
    values: Vec<u8>,
    fields: Vec<(Field, Range<usize>)>,
    cut: u64,
    line: Vec<u8>,
}

impl Entry {
    /// Reads the next entry over this one. `false` at the end; what is only a part of an entry then is none.
    ///
    /// # Errors
    /// When reading fails, or what is read cannot be the export format.
    pub fn read(&mut self, from: &mut impl BufRead) -> io::Result<bool> {
        self.clear();
        loop {
            let room = LARGEST_ENTRY.saturating_sub(self.values.len()).max(LARGEST_SMALL);
            self.line.clear();
            let (is_whole, cut) = read_line(from, &mut self.line, room)?;
            if !is_whole {
                return Ok(false);
            }
            if self.line.is_empty() {
                if self.fields.is_empty() {
                    continue;
                }
                return Ok(true);
            }
            if let Some(at) = memchr::memchr(b'=', &self.line) {
                self.cut += cut;
                if let Some(field) = known(self.line.get(..at)) {
                    let start = self.values.len();
                    self.values.extend_from_slice(self.line.get(at + 1..).unwrap_or_default());
                    self.fields.push((field, start..self.values.len()));
                }
            } else if !self.read_binary(from)? {
                return Ok(false);
            }
        }
    }

    /// The first value of a field.
    #[must_use]
    pub fn first(&self, field: Field) -> Option<&[u8]> {
        self.all(field).next()
    }

    /// Whether one of the field's values is this.
    #[must_use]
    pub fn has(&self, field: Field, value: &str) -> bool {
        self.all(field).any(|known| known == value.as_bytes())
    }

    /// All values of a field: an entry may repeat it.
    pub fn all(&self, field: Field) -> impl Iterator<Item = &[u8]> {
        let own = self.fields.iter().filter(move |(known, _)| *known == field);
        own.filter_map(|(_, range)| self.values.get(range.clone()))
    }

    /// The number that a field holds.
    #[must_use]
    pub fn number(&self, field: Field) -> Option<u64> {
        std::str::from_utf8(self.first(field)?).ok()?.parse().ok()
    }

    /// Where it stands in the journal.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        std::str::from_utf8(self.first(Field::Cursor)?).ok()
    }

    /// What it says, all of it; if it was too large to be kept whole, that is said too.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        let mut all = self.all(Field::Message).map(String::from_utf8_lossy);
        let mut message = all.next().unwrap_or_default();
        for more in all {
            message = Cow::Owned(format!("{message}\n{more}"));
        }
        if self.cut > 0 {
            message = Cow::Owned(format!("{message} [{} more bytes of this entry of the journal were left out]", self.cut));
        }
        message
    }

    fn clear(&mut self) {
        self.values.clear();
        self.values.shrink_to(USUAL);
        self.line.shrink_to(USUAL);
        self.fields.clear();
        self.cut = 0;
    }

    /// A value that is no line, behind the line with its name. `false` if the end comes before.
    fn read_binary(&mut self, from: &mut impl BufRead) -> io::Result<bool> {
        let mut length = [0; 8];
        if !is_whole(from.read_exact(&mut length))? {
            return Ok(false);
        }
        let length = u64::from_le_bytes(length);
        let field = known(Some(&self.line));
        let start = self.values.len();
        let room = if field.is_some() { LARGEST_ENTRY.saturating_sub(start) } else { 0 };
        let kept = from.by_ref().take(length.min(u64::try_from(room).unwrap_or(0))).read_to_end(&mut self.values)?;
        let rest = length - u64::try_from(kept).unwrap_or(length);
        let skipped = io::copy(&mut from.by_ref().take(rest), &mut io::sink())?;
        if let Some(field) = field {
            self.fields.push((field, start..self.values.len()));
            self.cut += rest;
        }
        let mut end = [0];
        if skipped < rest || !is_whole(from.read_exact(&mut end))? {
            return Ok(false);
        }
        if end == *b"\n" { Ok(true) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

fn known(name: Option<&[u8]>) -> Option<Field> {
    let name = name?;
    Field::ALL.iter().find(|(_, known)| known.as_bytes() == name).map(|(field, _)| *field)
}

/// Whether it was there; the end is no error.
fn is_whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

/// Reads up to the end of a line, which is not kept: whether it was there, and how many bytes found no room.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>, room: usize) -> io::Result<(bool, u64)> {
    let mut cut = 0;
    loop {
        let bytes = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if bytes.is_empty() {
            return Ok((false, cut));
        }
        let end = memchr::memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let kept = part.len().min(room.saturating_sub(line.len()));
        line.extend_from_slice(part.get(..kept).unwrap_or_default());
        cut += u64::try_from(part.len() - kept).unwrap_or(0);
        let taken = part.len() + usize::from(end.is_some());
        from.consume(taken);
        if end.is_some() {
            return Ok((true, cut));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let length = u64::try_from(value.len()).unwrap().to_le_bytes();
        [name.as_bytes(), b"\n", &length, value, b"\n"].concat()
    }

    /// Reads byte by byte, so that every value crosses the edge of what is buffered.
    fn entries(bytes: &[u8]) -> Vec<(String, String)> {
        let mut from = io::BufReader::with_capacity(1, bytes);
        let (mut entry, mut all) = (Entry::default(), Vec::new());
        while entry.read(&mut from).unwrap() {
            all.push((entry.cursor().unwrap_or_default().to_owned(), entry.message().into_owned()));
        }
        all
    }

    #[test]
    fn values_are_lines_or_bytes_and_fields_repeat() {
        let mut bytes = b"__CURSOR=a\nMESSAGE=x=y\nPRIORITY=4\nOTHER=1\n\n".to_vec();
        bytes.extend(b"__CURSOR=b\n");
        bytes.extend(binary("MESSAGE", b"two\n\nlines\xff"));
        bytes.extend(binary("UNKNOWN", b"\n\nMESSAGE=no\n\n"));
        bytes.extend(b"MESSAGE=and\nMESSAGE=more\n\n\n__CURSOR=c\nMESSAGE=\n\n__CURSOR=partial\nMESS");
        let expected = [("a", "x=y"), ("b", "two\n\nlines\u{fffd}\nand\nmore"), ("c", "")];
        assert_eq!(entries(&bytes), expected.map(|(cursor, message)| (cursor.to_owned(), message.to_owned())));
    }

    #[test]
    fn an_entry_is_kept_up_to_its_largest_size_and_says_what_is_missing() {
        for form in [binary("MESSAGE", &vec![b'x'; LARGEST_ENTRY + 100]), {
            let mut text = b"MESSAGE=".to_vec();
            text.resize(8 + LARGEST_ENTRY + 100, b'x');
            text.push(b'\n');
            text
        }] {
            let mut bytes = form;
            bytes.extend(b"__CURSOR=a\n\n__CURSOR=b\nMESSAGE=next\n\n");
            let (mut entry, mut from) = (Entry::default(), bytes.as_slice());
            assert!(entry.read(&mut from).unwrap());
            let message = entry.message();
            assert!(
                message.len() > LARGEST_ENTRY - 100 && message.ends_with("bytes of this entry of the journal were left out]")
            );
            assert!(entry.read(&mut from).unwrap());
            assert_eq!((entry.cursor(), &*entry.message()), (Some("b"), "next"));
            assert!(entry.values.capacity() <= USUAL, "the memory of a large one is given back");
        }
    }

    #[test]
    fn what_is_not_the_format_is_an_error_and_not_a_wrong_entry() {
        let mut bytes = binary("MESSAGE", b"abc");
        *bytes.last_mut().unwrap() = b'x';
        assert!(Entry::default().read(&mut bytes.as_slice()).is_err());
        assert!(!Entry::default().read(&mut &b"MESSAGE\n\x05\0\0\0\0\0\0\0ab"[..]).unwrap(), "cut off within a value");
    }

    #[test]
    fn journalctl_is_asked_for_what_is_kept() {
        let asked = asked_for();
        assert!(asked.contains("MESSAGE,_SYSTEMD_UNIT,") && !asked.contains("__"), "{asked}");
    }
}
