//! The `secrets:` block: where each secret comes from, and whether the playbook insists on it being one.

use std::str::FromStr as _;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::evaluate::{Evaluator, Without};
use super::expression;
use super::frame::{Frame, Halt};
use super::names::SecretKind;
use super::node::{Node, NodeKind};
use super::shape::Shape;
use super::source::Source;
use super::value::Content;
use super::{Fetched, Problem, Problems, Scope};
use crate::error::{Error, Kind, Result};
use crate::host::aws::SecretSource;
use crate::host::documents::Beside;
use crate::secret::{Secret, Sensitive};

/// The long form of a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "its schema checks the block; a source with an expression cannot be typed yet")]
pub struct Declaration {
    /// `ssm:/name`, `ssm:/path/*`, `s3://bucket/key` or `secretsmanager:NAME#json-key`.
    pub from: String,
    /// `true`: secret even when it is an SSM `String`. `false`: an ordinary value that paths and names may be made of; the run
    /// fails when it turns out to be a secret.
    #[serde(default)]
    pub secret: Option<bool>,
}

/// The block.
#[derive(Debug, Default)]
pub struct Secrets {
    entries: IndexMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    from: Node,
    secret: Option<bool>,
}

/// Reads the block's names, before anything can use them.
pub fn read(block: Option<&Node>, source: &Source, problems: &mut Vec<Problem>) -> Secrets {
    let mut secrets = Secrets::default();
    let Some(block) = block.filter(|block| !block.is_empty()) else { return secrets };
    if !matches!(block.kind, NodeKind::Map(_)) {
        problems.push(source.problem(block.mark, format!("`secrets` is a map of names and sources, not {}", block.noun())));
    }
    for (key, node) in block.members() {
        let name = &key.text;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let problem = source.problem(key.mark, format!("`{name}` is no name for a secret: letters, digits and `_` make one"));
            problems.push(problem);
            continue;
        }
        if let Some(entry) = entry(node, source, problems) {
            secrets.entries.insert(name.clone(), entry);
        }
    }
    secrets
}

fn entry(node: &Node, source: &Source, problems: &mut Vec<Problem>) -> Option<Entry> {
    if !matches!(node.kind, NodeKind::Map(_)) {
        return Some(Entry { from: node.clone(), secret: None });
    }
    let frame = Frame { source: Arc::new(Source::new("", "")), declared: Arc::default(), beside: Beside::Nothing };
    let mut value = frame.unevaluated(node);
    let complaints = Shape::of::<Declaration>().fit(&mut value);
    if complaints.is_empty() {
        let secret = match &value.content {
            Content::Map(members) => members.iter().find_map(|(key, value)| match (key.text.as_str(), &value.content) {
                ("secret", Content::Bool(secret)) => Some(*secret),
                _ => None,
            }),
            _ => None,
        };
        return Some(Entry { from: node.member("from")?.clone(), secret });
    }
    problems.extend(complaints.into_iter().map(|c| Problem { hint: c.hint, ..source.problem(c.mark, c.message) }));
    None
}

impl Secrets {
    /// What expressions need to know about each name.
    pub fn kinds(&self) -> IndexMap<String, SecretKind> {
        let kind = |entry: &Entry| SecretKind {
            is_map: entry.from.text().is_some_and(|text| text.starts_with("ssm:") && text.ends_with("/*")),
            secret: entry.secret,
        };
        self.entries.iter().map(|(name, entry)| (name.clone(), kind(entry))).collect()
    }

    /// Checks the sources, as far as vars tell them.
    pub fn check(&self, frame: &Frame, scope: &Scope, problems: &mut Vec<Problem>) {
        let evaluator = Evaluator::new(scope, &frame.declared, Without::Unknown);
        for entry in self.entries.values() {
            let before = problems.len();
            let Some(text) = entry.from.text() else {
                problems
                    .push(frame.source.problem(entry.from.mark, format!("a secret's source is text, not {}", entry.from.noun())));
                continue;
            };
            if frame.touches_secret(text) {
                let problem = frame.source.problem(entry.from.mark, super::value::NO_SECRET_HERE);
                problems.push(problem.hint("names of secrets are no secrets"));
                continue;
            }
            frame.check_expressions(&entry.from, &[], problems);
            if problems.len() == before {
                match source_of(entry, frame, &evaluator) {
                    Err(Halt::Wrong(problem)) => problems.push(*problem),
                    Ok(_) | Err(Halt::Unknown(_)) => {}
                }
            }
        }
    }

    /// The sources, rendered.
    pub fn sources(&self, frame: &Frame, scope: &Scope) -> Result<IndexMap<String, SecretSource>> {
        let evaluator = Evaluator::new(scope, &frame.declared, Without::Unknown);
        let mut sources = IndexMap::new();
        for (name, entry) in &self.entries {
            match source_of(entry, frame, &evaluator) {
                Ok(source) => {
                    sources.insert(name.clone(), source);
                }
                Err(Halt::Unknown(why)) => {
                    return Err(Error::new(Kind::Missing, format!("{}: {why}", frame.source.position(entry.from.mark))));
                }
                Err(Halt::Wrong(problem)) => return Err(Problems::from(*problem).into()),
            }
        }
        Ok(sources)
    }

    /// What was fetched, with `secret: true` honoured.
    pub fn classify(&self, fetched: IndexMap<String, Fetched>) -> IndexMap<String, Fetched> {
        let sealed = |value: Sensitive| match value {
            Sensitive::Plain(text) => Sensitive::Secret(Secret::new(text)),
            secret @ Sensitive::Secret(_) => secret,
        };
        let classified = fetched.into_iter().map(|(name, value)| {
            let insists = self.entries.get(&name).is_some_and(|entry| entry.secret == Some(true));
            let value = match value {
                Fetched::One(value) if insists => Fetched::One(sealed(value)),
                Fetched::Map(values) if insists => {
                    Fetched::Map(values.into_iter().map(|(leaf, value)| (leaf, sealed(value))).collect())
                }
                other => other,
            };
            (name, value)
        });
        classified.collect()
    }
}

fn source_of(entry: &Entry, frame: &Frame, evaluator: &Evaluator) -> Result<SecretSource, Halt> {
    let wrong = |message: String| Halt::from(frame.source.problem(entry.from.mark, message));
    let value = frame.evaluated(&entry.from, evaluator)?;
    let (Content::Plain(text) | Content::Text(text)) = value.content else {
        return Err(wrong("a secret's source is text".to_owned()));
    };
    SecretSource::from_str(&text).map_err(|message| {
        let shown = if expression::is_in(entry.from.text().unwrap_or_default()) {
            format!(" (rendered: `{text}`)")
        } else {
            String::new()
        };
        wrong(format!("{message}{shown}"))
    })
}
