//! What is wrong with a playbook, and where: drawn with the offending line and, where there is one, "did you mean".

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Kind};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` for what has no place, such as a command line override.
    pub position: Option<Position>,
    /// The offending line, without its end.
    pub excerpt: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A problem without a place, which somebody else has found.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { hint: error.advice().map(str::to_owned), ..Self::nowhere(error.to_string()) }
    }
}

impl Problem {
    /// A problem without a place in a file.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self { position: None, excerpt: None, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The long form, under a word such as `error` or `warning`: the place, the line with a caret, and the hint.
    #[must_use]
    pub fn draw(&self, severity: &str) -> String {
        let Some(position) = &self.position else {
            return format!("{severity}: {}\n{}", self.message, self.drawn_hint(""));
        };
        let mut drawn = format!("{severity}: {position}: {}\n", self.message);
        let number = position.line.to_string();
        let margin = " ".repeat(number.len());
        if let Some(line) = self.excerpt.as_deref().map(tame) {
            // Tabs keep their width, so the caret stands below the character in every terminal.
            let indent: String =
                line.chars().take(position.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            drawn = format!("{drawn} {margin} |\n {number} | {line}\n {margin} | {indent}^\n");
        }
        drawn + &self.drawn_hint(&format!(" {margin} "))
    }

    fn drawn_hint(&self, margin: &str) -> String {
        self.hint.as_ref().map(|hint| format!("{margin}hint: {hint}\n")).unwrap_or_default()
    }
}

/// A line of somebody's file, for a terminal: what would move the cursor is shown as a mark.
fn tame(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// All problems of a playbook, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn: Vec<String> = self.0.iter().map(|problem| problem.draw("error")).collect();
        f.write_str(drawn.join("\n").trim_end())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// For whoever can only pass on one error: the first problem, and how many more there are.
impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        let more = problems.0.len().saturating_sub(1);
        let Some(first) = problems.0.into_iter().next() else {
            return Self::new(Kind::Bug, "a playbook was refused without a problem");
        };
        let because = match (&first.position, more) {
            (Some(position), 0) => format!("{position}: {}", first.message),
            (Some(position), _) => format!("{position}: {} (and {more} more)", first.message),
            (None, _) => first.message.clone(),
        };
        let error = Self::new(Kind::Playbook, because);
        match first.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_drawn_with_its_line_and_a_caret() {
        let problem = Problem {
            position: Some(Position { file: "p.yaml".into(), line: 12, column: 5 }),
            excerpt: Some("    reviison: main".into()),
            message: "unknown key `reviison`".into(),
            hint: Some("did you mean `revision`?".into()),
        };
        assert_eq!(
            problem.draw("error"),
            "error: p.yaml:12:5: unknown key `reviison`\n    |\n 12 |     reviison: main\n    |     ^\n    hint: did you mean `revision`?\n"
        );
        let hostile = Problem { excerpt: Some("\u{1b}[2Jgone".into()), ..problem };
        assert!(!hostile.draw("error").contains('\u{1b}'));
        assert_eq!(Problem::nowhere("no").hint("yes").draw("error"), "error: no\nhint: yes\n");
    }

    #[test]
    fn as_one_error_it_says_how_many_more_there_are() {
        let one =
            Problem { position: Some(Position { file: "p".into(), line: 1, column: 2 }), ..Problem::nowhere("wrong").hint("h") };
        let error = Error::from(Problems(vec![one.clone(), one]));
        assert_eq!(error.to_string(), "p:1:2: wrong (and 1 more)");
        assert_eq!((error.kind(), error.advice()), (Kind::Playbook, Some("h")));
    }
}
