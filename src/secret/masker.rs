//! Masks what is shipped: the exact values of the secrets the agent fetched, what looks like a credential, and what the user's own
//! patterns match.
//!
//! Ordinary text is passed over in a few quick searches of a whole chunk; only a line with a suspicion is looked at closely. Every
//! finder looks at the line as it was written, and what any of them found is hidden.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::Regex;

use super::private_key::{self, Marks, MaskState};
use super::redactor::MASK;
use super::rules::{Compiled, RULES, compile};
use super::{Redactor, user_info};
use crate::error::{Error, Kind, Result};

const SECRET: &str = "secret";
const PRIVATE_KEY: &str = "private-key";
const URL: &str = "url-password";
const OWN: &str = "own-pattern";

/// Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Masker {
    redactor: Redactor,
    shared: Arc<Shared>,
}

struct Shared {
    builtin: Option<Builtin>,
    own: Vec<Regex>,
    counts: Counts,
}

/// The built-in rules, and which of them each literal calls.
struct Builtin {
    literals: AhoCorasick,
    /// For each literal, the rules that need it, as bits; [`KEYS`] is the private keys'.
    calls: Vec<u32>,
    rules: Vec<Compiled>,
    keys: Marks,
}

const KEYS: u32 = 1 << 31;

/// How often each rule has hidden something.
#[derive(Default)]
struct Counts {
    secret: AtomicU64,
    private_key: AtomicU64,
    url: AtomicU64,
    own: AtomicU64,
    rules: [AtomicU64; RULES.len()],
}

/// A stretch to be hidden, and by which rule.
type Found = (Range<usize>, &'static str);

impl Masker {
    /// Masks these secrets, these patterns of the user's, and (unless told not to) what the built-in rules find.
    ///
    /// # Errors
    /// When a pattern cannot be used; see [`pattern_problem`].
    pub fn new(redactor: Redactor, own: &[String], builtin: bool) -> Result<Self> {
        let own = own.iter().map(|pattern| own_pattern(pattern)).collect::<Result<_>>()?;
        let builtin = if builtin { Some(Builtin::new()?) } else { None };
        Ok(Self { redactor, shared: Arc::new(Shared { builtin, own, counts: Counts::default() }) })
    }

    /// The secrets it knows; what is taught to it is masked from then on.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Whether nothing in this chunk of whole lines can be masked: then it need not be looked at again.
    #[must_use]
    pub fn is_clean(&self, state: &MaskState, chunk: &[u8]) -> bool {
        let suspicious = |builtin: &Builtin| builtin.literals.is_match(chunk) || !user_info::is_absent(chunk);
        !(state.is_open()
            || self.redactor.finds_any(chunk)
            || self.shared.builtin.as_ref().is_some_and(suspicious)
            || self.shared.own.iter().any(|own| own.is_match(chunk)))
    }

    /// One line, or one event of several lines, without what must not be seen. `state` carries a key over several lines.
    #[must_use]
    pub fn clean<'t>(&self, state: &mut MaskState, line: &'t str) -> Cow<'t, str> {
        if self.is_clean(state, line.as_bytes()) {
            return Cow::Borrowed(line);
        }
        let mut found = self.find(state, line.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(line);
        }
        // The one that begins first names what it hides; of those, the longest.
        found.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
        Cow::Owned(hide(line, &found, |rule| self.shared.counts.count(rule)))
    }

    /// How often each rule has hidden something; rules that have not are left out.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = self.shared.counts.all().map(|(name, count)| (name, count.load(Ordering::Relaxed)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    fn find(&self, state: &mut MaskState, text: &[u8]) -> Vec<Found> {
        let mut found: Vec<Found> = self.redactor.places(text).into_iter().map(|at| (at, SECRET)).collect();
        if let Some(builtin) = &self.shared.builtin {
            builtin.find(state, text, &mut found);
        }
        for own in &self.shared.own {
            found.extend(own.find_iter(text).filter(|hit| !hit.is_empty()).map(|hit| (hit.range(), OWN)));
        }
        found
    }
}

impl Builtin {
    fn new() -> Result<Self> {
        let bug = |error: &dyn std::error::Error| Error::new(Kind::Bug, error.to_string());
        let (mut words, mut calls): (Vec<&str>, Vec<u32>) = (Vec::new(), Vec::new());
        let keys = std::iter::once((KEYS, private_key::LITERALS));
        for (bit, literals) in RULES.iter().enumerate().map(|(number, rule)| (1 << number, rule.literals)).chain(keys) {
            for literal in literals {
                if let Some((_, known)) = words.iter().zip(&mut calls).find(|(word, _)| *word == literal) {
                    *known |= bit;
                } else {
                    words.push(literal);
                    calls.push(bit);
                }
            }
        }
        let literals = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&words);
        let mark = |pattern: &str| compile(pattern).map_err(|error| bug(&error));
        Ok(Self {
            literals: literals.map_err(|error| bug(&error))?,
            calls,
            rules: RULES.iter().map(super::rules::Rule::compile).collect::<Result<_>>()?,
            keys: Marks::new(mark(private_key::BEGIN)?, mark(private_key::END)?),
        })
    }

    fn find(&self, state: &mut MaskState, text: &[u8], found: &mut Vec<Found>) {
        let from = self.keys.go_on(state, text, &mut |at| found.push((at, PRIVATE_KEY)));
        let hits = self.literals.find_iter(text).map(|hit| self.calls.get(hit.pattern().as_usize()).unwrap_or(&0));
        let called = hits.fold(0, |called, bits| called | bits);
        if called & KEYS != 0 {
            self.keys.find(state, text, from, &mut |at| found.push((at, PRIVATE_KEY)));
        }
        for (number, (rule, compiled)) in RULES.iter().zip(&self.rules).enumerate() {
            if called & (1 << number) != 0 {
                compiled.find(text, &mut |at| found.push((at, rule.name)));
            }
        }
        user_info::find(text, &mut |at| found.push((at, URL)));
    }
}

impl Counts {
    fn all(&self) -> impl Iterator<Item = (&'static str, &AtomicU64)> {
        let rules = RULES.iter().map(|rule| rule.name).zip(&self.rules);
        [(SECRET, &self.secret), (PRIVATE_KEY, &self.private_key), (URL, &self.url), (OWN, &self.own)].into_iter().chain(rules)
    }

    fn count(&self, rule: &str) {
        if let Some((_, count)) = self.all().find(|(name, _)| *name == rule) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The line with a mask in place of each stretch; stretches that touch are one.
fn hide(line: &str, found: &[Found], count: impl Fn(&str)) -> String {
    let mut out = String::with_capacity(line.len());
    let mut done = 0;
    let mut found = found.iter().peekable();
    while let Some((at, rule)) = found.next() {
        let mut end = at.end;
        while let Some((next, _)) = found.next_if(|(next, _)| next.start <= end) {
            end = end.max(next.end);
        }
        // A pattern over bytes may begin or end inside a character; the whole character goes.
        let start = (0..=at.start).rev().find(|place| line.is_char_boundary(*place)).unwrap_or(0);
        end = (end..=line.len()).find(|place| line.is_char_boundary(*place)).unwrap_or(line.len());
        out.push_str(line.get(done..start).unwrap_or_default());
        out.push_str(MASK);
        if *rule != SECRET {
            out.push_str(&format!("({rule})"));
        }
        count(rule);
        done = end;
    }
    out.push_str(line.get(done..).unwrap_or_default());
    out
}

fn own_pattern(pattern: &str) -> Result<Regex> {
    match pattern_problem(pattern) {
        Some(problem) => Err(Error::new(Kind::Playbook, problem)),
        None => compile(pattern).map_err(|error| Error::from_source(Kind::Playbook, &error)),
    }
}

/// What is wrong with a pattern of the user's, if anything is.
#[must_use]
pub fn pattern_problem(pattern: &str) -> Option<String> {
    let unusable = |why: &str| Some(format!("`{pattern}` cannot be a mask: {why}"));
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && matches!(letters.next(), Some('A' | 'z')) {
            return unusable("lines are looked at many at once; use `^` and `$` for the edges of a line");
        }
    }
    match compile(pattern) {
        // The library's message has several lines with a drawing; its last one says what is wrong.
        Err(error) => unusable(error.to_string().lines().last().unwrap_or("").trim_start_matches("error: ")),
        Ok(compiled) if compiled.is_match(b"") => unusable("it matches everything"),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests;
