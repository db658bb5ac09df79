//! What a check found: one line for a person, one object for a program.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::cli::terminal::words;
use crate::error::{Error, Kind};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As a run needs it.
    Ok,
    /// A run works, but somebody should look.
    Warning,
    /// It could not be found out.
    Unknown,
    /// A run will fail.
    Problem,
}

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: String,
    /// How bad it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// Without a hint.
    pub fn new(check: &str, state: State, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state, found: found.into(), hint: None }
    }

    /// All is well.
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found)
    }

    /// A run will fail, and this is to be done about it.
    pub fn problem(check: &str, found: impl Into<String>, hint: &str) -> Self {
        Self::new(check, State::Problem, found).with_hint(hint)
    }

    /// A run will fail for this error, unless it is only that nobody answered in time.
    pub fn failed(check: &str, error: &Error) -> Self {
        let state = if error.kind() == Kind::TimedOut { State::Unknown } else { State::Problem };
        Self { hint: error.advice().map(str::to_owned), ..Self::new(check, state, error.to_string()) }
    }

    /// Nobody answered in time.
    pub fn unanswered(check: &str, within: Duration) -> Self {
        Self::new(check, State::Unknown, format!("no answer within {} s", within.as_secs_f32()))
            .with_hint("the machine or the network is slow; give it more time with `--within`")
    }

    /// What to do about it.
    pub fn with_hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    /// For a person.
    pub fn line(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Unknown => "unknown",
            State::Problem => "PROBLEM",
        };
        let mut text = format!("{state:<8} {:<22} {}\n", self.check, words::tame(&self.found));
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{:<31} {}", "", words::tame(hint));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_advice() {
        let finding =
            Finding::failed("logs", &Error::new(Kind::Denied, "`AccessDenied`").hint("the role needs `logs:PutLogEvents`"));
        assert_eq!(
            finding.line(),
            "PROBLEM  logs                   `AccessDenied`\n                                the role needs `logs:PutLogEvents`\n"
        );
        assert_eq!(Finding::failed("logs", &Error::new(Kind::TimedOut, "AWS did not answer")).state, State::Unknown);
        let json = serde_json::to_value(Finding::ok("disk", "room")).unwrap();
        assert_eq!(json, serde_json::json!({ "check": "disk", "state": "ok", "found": "room" }));
        assert!(State::Problem > State::Unknown && State::Unknown > State::Warning);
    }
}
