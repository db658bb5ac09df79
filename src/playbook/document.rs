//! The document as a whole: its blocks in the order in which they need each other, with every problem of every block.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::block::Block;
use super::entry::{self, Entry};
use super::evaluate::{Evaluator, Without};
use super::expression;
use super::frame::{Frame, Halt};
use super::names::Declared;
use super::node::{Node, NodeKind};
use super::parts::{Item, Part, Parts};
use super::shape::{Shape, did_you_mean};
use super::source::Source;
use super::value::{Content, Value};
use super::vars::{self, Giver};
use super::{Converge, Lifecycle, OnFailure, Overrides, Playbook, Problem, Problems, Scope, advice, log_rules, secrets, yaml};
use crate::host::documents::Beside;
use crate::logs::settings::LogSettings;
use crate::step::StepType;
use crate::step::fields::Span;

/// The version of the language.
pub const VERSION: &str = "1";

/// The clock of a run for which neither `deadline` nor the hook's timeout is written: longer than any sensible boot, and short
/// enough that a hanging one ends the same quarter of an hour.
const DEFAULT_DEADLINE: Span = Span(std::time::Duration::from_mins(15));

/// What is kept of the hook's timeout for telling the verdict, when the deadline follows from it.
const FOR_THE_VERDICT: std::time::Duration = std::time::Duration::from_secs(30);

/// The blocks, in the order of the reference.
pub const KEYS: [&str; 13] = [
    "version",
    "name",
    "requires",
    "vars",
    "secrets",
    "lifecycle",
    "on_failure",
    "deadline",
    "hold_for",
    "converge",
    "logs",
    "env",
    "steps",
];

/// The keys whose values are known before the run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it is called; the file's name unless told.
    #[serde(default)]
    #[allow(dead_code, reason = "checked and in the schema; what expressions see is read before the vars")]
    pub name: Option<String>,
    /// The agents that may run it, such as `>=0.1`.
    #[serde(default)]
    pub requires: Option<String>,
    /// What the verdict says when a step fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The run's only clock. Left out: the hook's timeout less 30 seconds, or 15 minutes without one.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// How long a failed instance is kept for debugging before ABANDON.
    #[serde(default)]
    pub hold_for: Option<Span>,
    /// What a timer run may do about drift.
    #[serde(default)]
    pub converge: Converge,
}

/// A playbook's bytes, and where they are from.
pub struct Text {
    /// How errors name it.
    pub label: String,
    /// What it is called unless it says so itself.
    pub stem: String,
    /// Its other files.
    pub beside: Beside,
    /// The text.
    pub content: String,
    /// sha256, in hexadecimal.
    pub digest: String,
}

/// Reads the document; all problems at once.
pub fn read(text: Text, overrides: &Overrides, types: &'static [StepType]) -> Result<Playbook, Problems> {
    let source = Arc::new(Source::new(&text.label, &text.content));
    let root = yaml::read(&source, &text.content)?;
    if !matches!(root.kind, NodeKind::Map(_)) {
        let problem = source.problem(root.mark, format!("a playbook is a map, not {}", root.noun()));
        return Err(problem.hint("it begins with `version: 1`").into());
    }
    let mut problems = Vec::new();
    version(&root, &source)?;
    unknown_keys(&root, &source, &mut problems);

    let name = root.member("name").and_then(Node::text).filter(|name| !expression::is_in(name)).unwrap_or(&text.stem).to_owned();
    let mut scope = Scope { name: name.clone(), ..Scope::default() };
    let secrets = secrets::read(root.member("secrets"), &source, &mut problems);
    let bare = Frame {
        source: Arc::clone(&source),
        declared: Arc::new(Declared { secrets: secrets.kinds(), ..Declared::default() }),
        beside: text.beside,
    };
    let vars = vars::resolve(root.member("vars"), &Giver::CommandLine(overrides), &bare, &scope, &mut problems);
    scope.vars = vars.values;
    let steps = steps_of(&root, &source, &mut problems);
    let declared = Declared { vars: vars.names, ..(*bare.declared).clone() };
    let part = Parts::new(&scope, &mut problems).read(steps, Arc::clone(&source), declared, bare.beside);
    let frame = Arc::clone(&part.frame);

    let settings = settings(&root, &frame, &scope, &mut problems);
    requires(&settings, &root, &source, &mut problems);
    secrets.check(&frame, &scope, &mut problems);
    let lifecycle = root.member("lifecycle").map(|node| Block::<Lifecycle>::new(node, &frame, &mut problems));
    let logs = root.member("logs").map(|node| Block::<LogSettings>::new(node, &frame, &mut problems));
    if let Some(node) = root.member("logs") {
        log_rules::check(node, &frame, &Evaluator::new(&scope, &frame.declared, Without::Unknown), &mut problems);
    }
    let env = root.member("env").map(|node| Block::<IndexMap<String, String>>::new(node, &frame, &mut problems));
    let mut entries = Vec::new();
    read_entries(&part, types, &scope, &mut entries, &mut problems);
    if !problems.is_empty() {
        // Stable: problems without a place (the command line) first, then by line.
        problems.sort_by(|a, b| a.position.cmp(&b.position));
        problems.dedup();
        return Err(Problems(problems));
    }
    let hook = lifecycle.as_ref().and_then(|block| block.render(&scope).ok()).and_then(|lifecycle| lifecycle.timeout);
    let deadline = settings.deadline.unwrap_or_else(|| {
        hook.map_or(DEFAULT_DEADLINE, |Span(timeout)| Span(timeout.saturating_sub(FOR_THE_VERDICT).max(timeout / 2)))
    });
    let mut playbook = Playbook {
        name,
        label: text.label,
        digest: text.digest,
        deadline,
        on_failure: settings.on_failure,
        hold_for: settings.hold_for,
        converge: settings.converge,
        vars: scope.vars,
        entries,
        warnings: Vec::new(),
        frame,
        secrets,
        lifecycle,
        logs,
        env,
    };
    playbook.warnings = advice::about(&playbook);
    Ok(playbook)
}

/// Without the right version nothing else can be said about a document.
pub fn version(root: &Node, source: &Source) -> Result<(), Problem> {
    match root.member("version") {
        None => Err(source.problem(root.mark, "`version` is missing").hint("begin with `version: 1`")),
        Some(node) if node.text() == Some(VERSION) => Ok(()),
        Some(node) => {
            let found = node.text().map_or_else(|| node.noun().to_owned(), |text| format!("`{text}`"));
            let problem = source.problem(node.mark, format!("this agent reads version {VERSION} of the language, not {found}"));
            Err(problem.hint("a newer agent may read it"))
        }
    }
}

fn unknown_keys(root: &Node, source: &Source, problems: &mut Vec<Problem>) {
    for (key, _) in root.members() {
        if !KEYS.contains(&key.text.as_str()) && !key.text.starts_with("x-") {
            let problem = source.problem(key.mark, format!("unknown key `{}`", key.text));
            problems.push(Problem { hint: did_you_mean(&key.text, KEYS), ..problem });
        }
    }
}

/// The list of steps, of this file or of one that is included.
pub fn steps_of<'n>(root: &'n Node, source: &Source, problems: &mut Vec<Problem>) -> &'n [Node] {
    match root.member("steps").map(|node| (&node.kind, node)) {
        None => problems.push(source.problem(root.mark, "`steps` is missing")),
        Some((NodeKind::List(steps), _)) => return steps,
        Some((_, node)) => problems.push(source.problem(node.mark, format!("`steps` is a list, not {}", node.noun()))),
    }
    &[]
}

fn settings(root: &Node, frame: &Frame, scope: &Scope, problems: &mut Vec<Problem>) -> Settings {
    let keys = ["name", "requires", "on_failure", "deadline", "hold_for", "converge"];
    let evaluator = Evaluator::new(scope, &frame.declared, Without::Unknown);
    let mut members = Vec::new();
    for (key, node) in root.members().iter().filter(|(key, _)| keys.contains(&key.text.as_str())) {
        let before = problems.len();
        if key.text == "name" && node.text().is_some_and(expression::is_in) {
            problems.push(frame.source.problem(node.mark, "`name` cannot be an expression"));
            continue;
        }
        frame.check_expressions(node, &[], problems);
        if problems.len() > before {
            continue;
        }
        match frame.evaluated(node, &evaluator) {
            Ok(value) => members.push((key.clone(), value)),
            Err(Halt::Wrong(problem)) => problems.push(*problem),
            Err(Halt::Unknown(_)) => {
                let problem = frame.source.problem(node.mark, format!("`{}` must be known before the run", key.text));
                problems.push(problem.hint("vars may be used here, nothing else"));
            }
        }
    }
    let value = Value { mark: root.mark, content: Content::Map(members) };
    frame.read(&Shape::of::<Settings>(), value).unwrap_or_else(|found| {
        problems.extend(found.0);
        Settings::default()
    })
}

fn requires(settings: &Settings, root: &Node, source: &Source, problems: &mut Vec<Problem>) {
    let (Some(wanted), Some(node)) = (&settings.requires, root.member("requires")) else { return };
    let own = env!("CARGO_PKG_VERSION");
    match (semver::VersionReq::parse(wanted), semver::Version::parse(own)) {
        (Ok(wanted), Ok(own)) if wanted.matches(&own) => {}
        (Ok(_), _) => {
            let problem = source.problem(node.mark, format!("this playbook requires an agent `{wanted}`, and this one is {own}"));
            problems.push(problem.hint("install a newer agent"));
        }
        (Err(error), _) => {
            let problem = source.problem(node.mark, format!("`{wanted}` is no range of versions: {error}"));
            problems.push(problem.hint("write it like `\">=0.1\"`"));
        }
    }
}

/// The steps of a file and of those that it includes, in order.
fn read_entries(part: &Part, types: &'static [StepType], scope: &Scope, entries: &mut Vec<Entry>, problems: &mut Vec<Problem>) {
    let mut earlier = Vec::new();
    for item in &part.items {
        match item {
            Item::Step(node) => {
                let document = entry::Read { frame: &part.frame, types, scope, earlier: &earlier };
                entries.extend(entry::read(entries.len() + 1, node, &document, problems));
                earlier.extend(node.member("id").and_then(Node::text).map(str::to_owned));
            }
            Item::Included(name, inner) => {
                read_entries(inner, types, scope, entries, problems);
                earlier.extend(inner.known_outside(name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
