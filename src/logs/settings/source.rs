//! One entry of `sources:`: what is followed, how its text is read, and where it goes if not where the block says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{group_problem, is_expression, retention_problem, stream_problem};
use crate::logs::text::{self, Outside};
use crate::step::fields::Span;

/// The keys that say what is followed.
pub const KINDS: [&str; 4] = ["file", "unit", "identifier", "kernel"];
/// What is wrong with a source that has none of them, or several.
pub const ONE_KIND: &str = "a log source has exactly one of `file`, `unit`, `identifier` and `kernel`";

/// One source: exactly one of `file`, `unit`, `identifier` and `kernel`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A path or glob.
    #[serde(default)]
    pub file: Option<String>,
    /// A systemd unit whose journal is shipped, with what systemd says about it.
    #[serde(default)]
    pub unit: Option<String>,
    /// What a program calls itself in the journal, such as `sshd`.
    #[serde(default)]
    pub identifier: Option<String>,
    /// `true`: what the kernel writes into the journal.
    #[serde(default)]
    pub kernel: Option<bool>,
    /// Of a journal, only what is at least so important: `emerg`, `alert`, `crit`, `err`, `warning`, `notice`, `info`, `debug`.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// How a file's characters are written, such as `utf-16` or `latin1`; UTF-8 unless the file begins with another's mark.
    #[serde(default)]
    pub encoding: Option<String>,
    /// Which lines of a file are one event.
    #[serde(default)]
    pub multiline: Option<Multiline>,
    /// Where a line of a file says its time; without it, that is when it is read.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
    /// This source's own group.
    #[serde(default)]
    pub group: Option<String>,
    /// This source's own stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// This source's own retention.
    #[serde(default)]
    pub retention: Option<Span>,
}

/// Which lines are one event: those up to the next that begins one, within a second, 500 lines and 1 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Multiline {
    /// A regular expression: a line that matches begins an event.
    #[serde(default)]
    pub start: Option<String>,
    /// `true`: a line that is indented or empty goes on with the event before it.
    #[serde(default)]
    pub indented: bool,
}

/// How a line states its time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// `rfc3339`, `syslog`, `epoch` (seconds to nanoseconds), or in the letters of strptime: `%d/%b/%Y:%H:%M:%S %z`.
    pub format: String,
    /// The time begins behind the first of these texts, as behind `[`; at the beginning of the line without it.
    #[serde(default)]
    pub after: Option<String>,
    /// The zone of times that do not say their own: `UTC`, `+02:00`, `Europe/Berlin`; the machine's unless told.
    #[serde(default)]
    pub zone: Option<String>,
    /// What happens to an event that is too old or too far ahead for the service: `restamp` or `drop`.
    #[serde(default)]
    pub outside: Outside,
}

/// How important an entry of the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The system is unusable.
    Emerg,
    /// Somebody must act at once.
    Alert,
    /// Critical.
    Crit,
    /// An error.
    Err,
    /// A warning.
    Warning,
    /// Normal, but significant.
    Notice,
    /// Informational.
    Info,
    /// For those who look for defects.
    Debug,
}

impl Source {
    /// What is wrong with the values, one sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let kinds = [self.file.is_some(), self.unit.is_some(), self.identifier.is_some(), self.kernel.is_some()];
        if kinds.iter().filter(|named| **named).count() != 1 {
            problems.push(ONE_KIND.to_owned());
        }
        if self.kernel == Some(false) {
            problems.push("`kernel` is `true`, or not there".to_owned());
        }
        let of_files = self.encoding.is_some() || self.multiline.is_some() || self.timestamp.is_some();
        if self.file.is_none() && of_files {
            problems.push("`encoding`, `multiline` and `timestamp` are for files: a journal has them already".to_owned());
        }
        if self.file.is_some() && self.priority.is_some() {
            problems.push("`priority` is for journals: a line of a file has none".to_owned());
        }
        if self.multiline.as_ref().is_some_and(|multiline| multiline.start.is_some() == multiline.indented) {
            problems.push("`multiline` has exactly one of `start` and `indented: true`".to_owned());
        }
        let pattern = self.multiline.as_ref().and_then(|multiline| multiline.start.as_ref());
        let format = self.timestamp.as_ref().map(|timestamp| &timestamp.format);
        let zone = self.timestamp.as_ref().and_then(|timestamp| timestamp.zone.as_ref());
        let texts = [
            ("file", self.file.as_ref()),
            ("unit", self.unit.as_ref()),
            ("identifier", self.identifier.as_ref()),
            ("encoding", self.encoding.as_ref()),
            ("start", pattern),
            ("format", format),
            ("zone", zone),
        ];
        for (key, text) in texts {
            problems.extend(text.filter(|text| !is_expression(text)).and_then(|text| problem(key, text)));
        }
        problems.extend(self.group.as_deref().and_then(group_problem));
        problems.extend(self.stream.as_deref().and_then(stream_problem));
        problems.extend(self.retention.and_then(retention_problem));
        problems
    }
}

/// What is wrong with a value of a source, by its key.
pub(super) fn problem(key: &str, text: &str) -> Option<String> {
    match key {
        "file" => file_problem(text),
        "unit" => (text.is_empty() || text.contains(['/', ' '])).then(|| format!("`{text}` is not the name of a unit")),
        "identifier" => text.is_empty().then(|| "an identifier is what a program calls itself, such as `sshd`".to_owned()),
        _ => text::problem(key, text),
    }
}

fn file_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("the log file `{path}` must be an absolute path"));
    }
    glob::Pattern::new(path).err().map(|error| format!("`{path}` is not a path pattern: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(yaml: &str) -> Vec<String> {
        serde_yaml::from_str::<Source>(yaml).unwrap().problems()
    }

    #[test]
    fn every_kind_of_source_is_accepted() {
        for yaml in [
            "{ file: /var/log/app.log, encoding: latin1, multiline: { start: '^\\d' } }",
            "{ file: /a, multiline: { indented: true }, timestamp: { format: rfc3339, zone: Europe/Berlin, outside: drop } }",
            "{ file: /a, timestamp: { format: '%d/%b/%Y:%H:%M:%S %z', after: '[' } }",
            "{ unit: app.service, priority: warning }",
            "{ identifier: sshd }",
            "{ kernel: true, priority: err }",
            "{ file: '{{ path }}', encoding: '{{ encoding }}' }",
        ] {
            assert_eq!(problems(yaml), Vec::<String>::new(), "{yaml}");
        }
    }

    #[test]
    fn every_mistake_is_told_once() {
        for (yaml, word) in [
            ("{}", ONE_KIND),
            ("{ file: /a, unit: b }", ONE_KIND),
            ("{ unit: a, identifier: b, kernel: true }", ONE_KIND),
            ("{ kernel: false }", "`kernel` is `true`"),
            ("{ unit: a, encoding: latin1 }", "are for files"),
            ("{ kernel: true, multiline: { indented: true } }", "are for files"),
            ("{ file: /a, priority: err }", "is for journals"),
            ("{ file: /a, multiline: {} }", "exactly one of `start`"),
            ("{ file: /a, multiline: { start: x, indented: true } }", "exactly one of `start`"),
            ("{ file: /a, multiline: { start: '(' } }", "`(` is not a regular expression"),
            ("{ file: /a, encoding: klingon }", "`klingon` is not an encoding"),
            ("{ file: /a, timestamp: { format: '%H:%M' } }", "`%H:%M` is not a form of time"),
            ("{ file: /a, timestamp: { format: epoch, zone: ../x } }", "`../x` is not a time zone"),
            ("{ identifier: '' }", "an identifier is"),
            ("{ unit: a b }", "`a b` is not the name of a unit"),
        ] {
            let problems = problems(yaml);
            assert!(problems.len() == 1 && problems[0].contains(word), "{yaml}: {problems:?}");
        }
    }
}
