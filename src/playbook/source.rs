//! A file's text and name, kept so that a problem found much later can still show the line it is about.

use std::sync::Arc;

use super::{Position, Problem};

/// A place within one file; [`Source`] turns it into a [`Position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A file's text and name.
#[derive(Debug)]
pub struct Source {
    /// The file, as the user named it.
    pub label: Arc<str>,
    lines: Vec<String>,
}

impl Source {
    /// Keeps the lines of a text.
    pub fn new(label: &str, text: &str) -> Self {
        Self { label: label.into(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// The position of a place in this file.
    pub fn position(&self, mark: Mark) -> Position {
        Position { file: Arc::clone(&self.label), line: mark.line, column: mark.column }
    }

    /// A problem at a place in this file.
    pub fn problem(&self, mark: Mark, message: impl Into<String>) -> Problem {
        Problem {
            position: Some(self.position(mark)),
            excerpt: Some(self.line(mark.line).to_owned()),
            message: message.into(),
            hint: None,
        }
    }

    /// A line, from 1; empty past the end.
    pub fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).map_or("", String::as_str)
    }

    /// The line from this place on.
    pub fn rest(&self, mark: Mark) -> &str {
        let line = self.line(mark.line);
        let start = line.char_indices().nth(mark.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        line.get(start..).unwrap_or_default()
    }

    /// Where this piece of a scalar's text stands: searched from the scalar's own place on, because quoting, folding and block
    /// indentation move text about. The scalar's place itself when it cannot be found.
    pub fn find(&self, from: Mark, piece: &str) -> Mark {
        let first = piece.lines().next().unwrap_or_default().trim_end();
        if first.is_empty() {
            return from;
        }
        let mut at = from;
        while at.line <= self.lines.len() {
            let rest = self.rest(at);
            if let Some(found) = rest.find(first) {
                let skipped = rest.get(..found).unwrap_or_default().chars().count();
                return Mark { line: at.line, column: at.column + skipped };
            }
            at = Mark { line: at.line + 1, column: 1 };
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_text_is_found_from_its_scalar_on() {
        let source = Source::new("p", "a: x\nb: |\n  one\n  ü {{ x }}\n");
        assert_eq!(source.find(Mark { line: 2, column: 4 }, "{{ x }}"), Mark { line: 4, column: 5 });
        assert_eq!(source.find(Mark { line: 1, column: 4 }, "x"), Mark { line: 1, column: 4 });
        let here = Mark { line: 2, column: 4 };
        assert_eq!(source.find(here, "not there"), here);
    }
}
