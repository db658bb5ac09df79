//! Finds private keys in PEM form: in one line with its line ends escaped, in one event of many lines, or line by line, with
//! whatever a logger puts before each.

use std::ops::Range;

use regex::bytes::Regex;

/// Every key has this, and hardly anything else.
pub(super) const LITERALS: &[&str] = &["PRIVATE KEY"];
/// The first line of a key and the last one.
pub(super) const BEGIN: &str = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----";
/// The last one.
pub(super) const END: &str = r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----";
/// No key has more lines; a beginning without an end must not hide a log.
const MOST_LINES: u16 = 400;
/// The lines of a key are 64 characters long (the last may be shorter): what is shorter than this may be a word.
const LONG: usize = 24;

/// A key that has begun and not ended, of one source.
#[derive(Debug, Clone, Default)]
pub struct MaskState {
    lines_left: u16,
}

impl MaskState {
    /// Whether the next line may belong to a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lines_left > 0
    }
}

/// What begins and ends a key.
pub(super) struct Marks {
    begin: Regex,
    end: Regex,
}

impl Marks {
    pub(super) fn new(begin: Regex, end: Regex) -> Self {
        Self { begin, end }
    }

    /// What belongs to a key that began before this text; returns where ordinary text begins again.
    pub(super) fn go_on(&self, state: &mut MaskState, text: &[u8], found: &mut dyn FnMut(Range<usize>)) -> usize {
        let mut at = 0;
        while state.is_open() && at < text.len() {
            let rest = text.get(at..).unwrap_or_default();
            let line = rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or_default();
            if let Some(end) = self.end.find(line) {
                state.lines_left = 0;
                found(at + material_before(line, end.start())..at + end.end());
                return at + end.end();
            }
            match kind_of(line) {
                Line::Material(part) => found(at + part.start..at + part.end),
                Line::Last(part) => {
                    found(at + part.start..at + part.end);
                    state.lines_left = 1;
                }
                Line::Between => {}
                Line::Other => {
                    state.lines_left = 0;
                    return at;
                }
            }
            state.lines_left -= 1;
            at += line.len() + 1;
        }
        at.min(text.len())
    }

    /// Keys that begin in this text.
    pub(super) fn find(&self, state: &mut MaskState, text: &[u8], from: usize, found: &mut dyn FnMut(Range<usize>)) {
        let mut at = from;
        while let Some(begin) = self.begin.find_at(text, at) {
            if let Some(end) = self.end.find_at(text, begin.end()) {
                found(begin.start()..end.end());
                at = end.end();
            } else {
                found(begin.start()..text.len());
                state.lines_left = MOST_LINES;
                return;
            }
        }
    }
}

enum Line {
    /// Part of the key.
    Material(Range<usize>),
    /// Perhaps the short last line of one behind what a logger puts before a line; perhaps a word.
    Last(Range<usize>),
    /// Headers and empty lines.
    Between,
    /// Not of a key.
    Other,
}

fn kind_of(line: &[u8]) -> Line {
    let trimmed = line.trim_ascii();
    if trimmed.is_empty() || ["Proc-Type:", "DEK-Info:", "Version:", "Comment:"].iter().any(|h| has(trimmed, h.as_bytes())) {
        return Line::Between;
    }
    let start = line.len() - line.trim_ascii_start().len() + material_before(trimmed, trimmed.len());
    let part = start..line.trim_ascii_end().len();
    match (part.len(), part.len() == trimmed.len()) {
        (0, _) => Line::Other,
        (_, true) => Line::Material(part),
        (length, _) if length >= LONG => Line::Material(part),
        _ => Line::Last(part),
    }
}

fn has(line: &[u8], header: &[u8]) -> bool {
    line.windows(header.len()).any(|window| window == header)
}

/// Where the base64 that ends here begins.
fn material_before(line: &[u8], end: usize) -> usize {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\\".contains(byte);
    let head = line.get(..end).unwrap_or_default();
    head.iter().rposition(|byte| !is_base64(byte)).map_or(0, |other| other + 1)
}
