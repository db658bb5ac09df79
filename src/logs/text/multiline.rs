//! Lines that belong together: an event goes on until a line begins the next one, or nothing more is written for a moment.

use std::time::{Duration, Instant};

use regex::bytes::{Regex, RegexBuilder};

use crate::logs::limits::LONGEST_EVENT;

/// An event that no line was added to for so long is whole.
const SILENCE: Duration = Duration::from_secs(1);
/// An event has no more lines than this.
const MOST_LINES: usize = 500;

/// How a source says that a line begins an event.
#[derive(Debug, Clone)]
pub(super) enum Begins {
    /// It matches.
    With(Regex),
    /// It is neither empty nor indented.
    Unindented,
}

impl Begins {
    pub(super) fn with(pattern: &str) -> Result<Self, String> {
        // Without Unicode's tables, which beginnings of lines do not need.
        let built = RegexBuilder::new(pattern).unicode(false).build();
        built.map(Self::With).map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))
    }

    pub(super) fn is_met(&self, line: &str) -> bool {
        match self {
            Self::With(pattern) => pattern.is_match(line.as_bytes()),
            Self::Unindented => !line.is_empty() && !line.starts_with([' ', '\t']),
        }
    }
}

/// An event that may go on.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) at: i64,
    text: String,
    lines: usize,
    /// The offset before its first line.
    pub(super) start: u64,
    /// The offset behind its last line.
    pub(super) mark: u64,
    last: Instant,
}

impl Pending {
    pub(super) fn new(at: i64, line: &str, start: u64, mark: u64, now: Instant) -> Self {
        Self { at, text: line.to_owned(), lines: 1, start, mark, last: now }
    }

    /// Whether the line still fits.
    pub(super) fn takes(&self, line: &str) -> bool {
        self.lines < MOST_LINES && self.text.len() + 1 + line.len() <= LONGEST_EVENT
    }

    pub(super) fn add(&mut self, line: &str, mark: u64, now: Instant) {
        self.text.push('\n');
        self.text += line;
        self.lines += 1;
        self.mark = mark;
        self.last = now;
    }

    /// Whether it has been silent for long enough.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= SILENCE
    }

    /// What it says, without the empty lines that only came before the next event.
    pub(super) fn text(&self) -> &str {
        self.text.trim_end_matches('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_begins_as_its_source_says() {
        let dated = Begins::with(r"^\d{4}-").unwrap();
        assert!(dated.is_met("2026-11-21 x") && !dated.is_met("Traceback:"));
        for (line, begins) in [("Traceback", true), ("  File", false), ("\tat x", false), ("", false)] {
            assert_eq!(Begins::Unindented.is_met(line), begins, "{line:?}");
        }
        assert!(Begins::with("(").unwrap_err().starts_with("`(` is not a regular expression"));
    }

    #[test]
    fn an_event_ends_by_lines_by_bytes_and_by_silence() {
        let start = Instant::now();
        let mut pending = Pending::new(0, "a", 0, 2, start);
        for _ in 1..MOST_LINES {
            assert!(pending.takes("b"));
            pending.add("b", 4, start);
        }
        assert!(!pending.takes("b"));
        let big = Pending::new(0, &"x".repeat(LONGEST_EVENT - 3), 0, 9, start);
        assert!(big.takes("ab") && !big.takes("abc"));
        assert!(!big.is_over(start + Duration::from_millis(999)) && big.is_over(start + SILENCE));
    }
}
