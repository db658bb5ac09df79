//! The built-in patterns: what credentials look like, whoever owns them. Each rule has literals without which it cannot match, so
//! that ordinary text costs one search for all of them at once.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::assignment;
use crate::error::{Error, Kind, Result};

/// One rule.
pub(super) struct Rule {
    /// The mask says it, and the counters.
    pub(super) name: &'static str,
    /// One of these is in whatever matches.
    pub(super) literals: &'static [&'static str],
    pattern: &'static str,
    look: Look,
}

/// What of a match is hidden.
#[derive(Clone, Copy)]
enum Look {
    /// Its first group that took part, or all of it.
    Group,
    /// The same, if it does not look like words.
    Random,
    /// The value behind it.
    Value,
}

/// All of them. Literals are few and rare, and written in the cases that occur: a search without case is a slow one.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "aws-access-key", literals: &["AKIA", "ASIA"], pattern: r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", look: Look::Group },
    Rule {
        name: "authorization",
        literals: &["uthorization", "UTHORIZATION"],
        pattern: r#"(?i)authorization\\*["']?[ \t]*[:=,][ \t]*\\*["']?(?:(?:bearer|basic|digest|negotiate|token|apikey)[ \t]+([^\s"',\\]{4,})|([^\s"',\\]{20,}))"#,
        look: Look::Group,
    },
    Rule {
        name: "bearer",
        literals: &["earer ", "EARER "],
        pattern: r"(?i)\bbearer[ \t]+([a-z0-9._~+/-]{16,}=*)",
        look: Look::Random,
    },
    Rule {
        name: "jwt",
        literals: &[".eyJ", "eyJhbGci", "eyJ0eXAi", "eyJlbmMi"],
        pattern: r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){2,4}",
        look: Look::Group,
    },
    Rule {
        name: "github-token",
        literals: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        pattern: r"\b(?:gh[opsru]_[A-Za-z0-9_.-]{30,}|github_pat_[A-Za-z0-9_]{22,})",
        look: Look::Group,
    },
    Rule {
        name: "slack-token",
        literals: &["xoxa-", "xoxb-", "xoxe", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-", "ooks.slack.com/"],
        pattern: r"\bxox[abeoprs][-.][A-Za-z0-9.-]{10,}|\bxapp-[A-Za-z0-9-]{10,}|\bhooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{10,})",
        look: Look::Group,
    },
    Rule {
        name: "stripe-key",
        literals: &["k_live_", "k_test_", "whsec_"],
        pattern: r"\b(?:[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,})",
        look: Look::Group,
    },
    Rule { name: "assignment", literals: assignment::LITERALS, pattern: assignment::ASSIGNED, look: Look::Value },
    Rule { name: "option", literals: assignment::LITERALS, pattern: assignment::OPTION, look: Look::Value },
];

/// A rule with its pattern compiled.
pub(super) struct Compiled {
    pattern: Regex,
    look: Look,
}

impl Rule {
    pub(super) fn compile(&self) -> Result<Compiled> {
        let pattern = compile(self.pattern).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        Ok(Compiled { pattern, look: self.look })
    }
}

impl Compiled {
    /// What is to be hidden.
    pub(super) fn find(&self, text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
        if matches!(self.look, Look::Value) {
            return assignment::find(&self.pattern, text, found);
        }
        for captures in self.pattern.captures_iter(text) {
            let part = captures.iter().skip(1).flatten().next().or(captures.get(0));
            let Some(part) = part.filter(|part| !part.as_bytes().starts_with(b"***")) else { continue };
            if matches!(self.look, Look::Group) || is_random(part.as_bytes()) {
                found(part.range());
            }
        }
    }
}

/// Words have neither digits nor capitals in their middle.
fn is_random(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) || text.iter().skip(1).any(u8::is_ascii_uppercase)
}

/// A pattern as all of ours are: over bytes, line by line, in linear time and little memory.
pub(super) fn compile(pattern: &str) -> std::result::Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).multi_line(true).size_limit(1 << 20).dfa_size_limit(1 << 18).build()
}
