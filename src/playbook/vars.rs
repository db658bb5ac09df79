//! Variables: declared in the playbook, overridden by files beside it and by the command line, resolved before anything else is read.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::evaluate::{Evaluator, Without};
use super::frame::{Frame, Halt};
use super::names::{Declared, ROOTS};
use super::node::{Node, NodeKind};
use super::shape::{Shape, did_you_mean};
use super::source::{Mark, Source};
use super::{Overrides, Problem, Scope, yaml};
use crate::error::Kind;
use crate::host::documents::{self, Beside};

/// The keys by which a map is known to be a declaration and not a value.
const DECLARATION: [&str; 4] = ["required", "default", "one_of", "description"];

/// Words that expressions cannot use as names.
const KEYWORDS: [&str; 13] = ["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"];

/// What the vars came to.
pub struct Vars {
    /// Values by name, in the order declared; names without a value are left out.
    pub values: IndexMap<String, Json>,
    /// All declared names.
    pub names: Vec<String>,
}

/// Who gives values to the variables of a file.
pub enum Giver<'g> {
    /// Whoever runs the agent.
    CommandLine(&'g Overrides),
    /// An `include`, in the words of the file that it stands in.
    Include {
        /// Its `vars`.
        vars: Option<&'g Node>,
        /// Where it stands.
        mark: Mark,
        /// That file.
        frame: &'g Frame,
        /// The playbook's own names.
        scope: &'g Scope,
    },
}

/// A value somebody gave, and the text it is in.
struct Given {
    node: Node,
    source: Arc<Source>,
    worth: Worth,
}

/// What a given value comes to.
enum Worth {
    /// As it is written, in the names of the variables above.
    Written,
    /// This, found out in the names of another file; nothing where that was a problem.
    Is(Option<Json>),
}

/// Resolves the vars in order, so that each may use those above it.
pub fn resolve(block: Option<&Node>, giver: &Giver<'_>, frame: &Frame, scope: &Scope, problems: &mut Vec<Problem>) -> Vars {
    let declared = declarations(block, &frame.source, problems);
    let names: Vec<String> = declared.iter().map(|var| var.name.clone()).collect();
    let mut given = match giver {
        Giver::CommandLine(overrides) => given(overrides, &declared, &frame.beside, problems),
        Giver::Include { vars, frame, scope, .. } => given_by_include(*vars, &declared, frame, scope, problems),
    };
    let mut scope = scope.clone();
    let mut above = Declared::default();
    for var in &declared {
        let value = match (given.swap_remove(&var.name), &var.default) {
            (Some(given), _) => Some(given),
            (None, Some(node)) => Some(Given { node: node.clone(), source: Arc::clone(&frame.source), worth: Worth::Written }),
            (None, None) => {
                problems.push(var.without_value(&frame.source, giver));
                None
            }
        };
        if let Some(Given { node, source, worth }) = value {
            let frame = Frame { source, declared: Arc::new(above.clone()), beside: frame.beside.clone() };
            let json = match worth {
                Worth::Written => value_of(&node, &frame, &scope, problems),
                Worth::Is(json) => json,
            };
            if let Some(json) = json {
                problems.extend(var.refuses(&json, &node, &frame.source));
                scope.vars.insert(var.name.clone(), json);
            }
        }
        above.vars.push(var.name.clone());
    }
    Vars { values: scope.vars, names }
}

/// A var as the playbook declares it.
struct Var {
    name: String,
    mark: Mark,
    default: Option<Node>,
    one_of: Vec<String>,
    description: Option<String>,
}

impl Var {
    fn without_value(&self, source: &Source, giver: &Giver<'_>) -> Problem {
        let about = self.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let choice = self.one_of.first().map_or("…", String::as_str);
        match giver {
            Giver::CommandLine(_) => {
                let hint = format!("give it with `--set {}={choice}` or in a file with `--vars FILE`", self.name);
                source.problem(self.mark, format!("the variable `{}`{about} has no value", self.name)).hint(hint)
            }
            Giver::Include { mark, frame, .. } => {
                let message = format!("`{}` needs a value for its variable `{}`{about}", source.label, self.name);
                frame.source.problem(*mark, message).hint(format!("give it here: `vars: {{ {}: {choice} }}`", self.name))
            }
        }
    }

    fn refuses(&self, value: &Json, node: &Node, source: &Source) -> Option<Problem> {
        let text = as_text(value);
        if self.one_of.is_empty() || self.one_of.contains(&text) {
            return None;
        }
        let known: Vec<String> = self.one_of.iter().map(|word| format!("`{word}`")).collect();
        let message = format!("`{}` is `{text}`, which is not one of {}", self.name, known.join(", "));
        let hint = super::shape::closest(&text, self.one_of.iter().map(String::as_str)).map(|w| format!("did you mean `{w}`?"));
        Some(Problem { hint, ..source.problem(node.mark, message) })
    }
}

fn as_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn declarations(block: Option<&Node>, source: &Source, problems: &mut Vec<Problem>) -> Vec<Var> {
    let Some(block) = block else { return Vec::new() };
    if !matches!(block.kind, NodeKind::Map(_)) && !block.is_empty() {
        problems.push(source.problem(block.mark, format!("`vars` is a map of names and values, not {}", block.noun())));
    }
    let mut vars = Vec::new();
    for (key, node) in block.members() {
        if let Some((message, hint)) = bad_name(&key.text) {
            problems.push(Problem { hint, ..source.problem(key.mark, message) });
            continue;
        }
        let mut var = Var { name: key.text.clone(), mark: key.mark, default: None, one_of: Vec::new(), description: None };
        if node.members().iter().any(|(key, _)| DECLARATION.contains(&key.text.as_str())) {
            declaration(node, &mut var, source, problems);
        } else {
            var.default = Some(node.clone());
        }
        vars.push(var);
    }
    vars
}

fn declaration(node: &Node, var: &mut Var, source: &Source, problems: &mut Vec<Problem>) {
    let mut required = false;
    for (key, value) in node.members() {
        match (key.text.as_str(), &value.kind) {
            ("required", NodeKind::Scalar { text, plain: true }) if text == "true" || text == "false" => {
                required = text == "true";
            }
            ("default", _) => var.default = Some(value.clone()),
            ("description", NodeKind::Scalar { text, .. }) => var.description = Some(text.clone()),
            ("one_of", NodeKind::List(items)) => {
                var.one_of = items.iter().filter_map(Node::text).map(str::to_owned).collect();
            }
            (known, _) if DECLARATION.contains(&known) => {
                let wanted = match known {
                    "required" => "`true` or `false`",
                    "one_of" => "a list of values",
                    _ => "text",
                };
                problems.push(source.problem(value.mark, format!("`{known}` takes {wanted}, not {}", value.noun())));
            }
            (unknown, _) => {
                let problem = source.problem(key.mark, format!("unknown key `{unknown}` in the declaration of `{}`", var.name));
                problems.push(Problem { hint: did_you_mean(unknown, DECLARATION), ..problem });
            }
        }
    }
    if required && var.default.is_some() {
        let problem = source.problem(var.mark, format!("`{}` is required and has a default", var.name));
        problems.push(problem.hint("a default makes it optional; keep one of the two"));
    } else if !required && var.default.is_none() {
        let problem = source.problem(var.mark, format!("`{}` is neither required nor has a default", var.name));
        problems.push(problem.hint("add `required: true` or `default: …`"));
    }
}

fn bad_name(name: &str) -> Option<(String, Option<String>)> {
    if ROOTS.contains(&name) || KEYWORDS.contains(&name) {
        return Some((format!("a variable cannot be called `{name}`"), Some("expressions know this word already".to_owned())));
    }
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let hint = name.contains('-').then(|| format!("write `{}`; in an expression `-` subtracts", name.replace('-', "_")));
    Some((format!("`{name}` is no name for a variable: letters, digits and `_` make one"), hint))
}

fn value_of(node: &Node, frame: &Frame, scope: &Scope, problems: &mut Vec<Problem>) -> Option<Json> {
    let before = problems.len();
    for_secrets(node, frame, problems);
    if problems.len() == before {
        frame.check_expressions(node, &[], problems);
    }
    if problems.len() > before {
        return None;
    }
    let evaluator = Evaluator::new(scope, &frame.declared, Without::Unknown);
    match frame.evaluated(node, &evaluator) {
        Ok(mut value) => {
            Shape::of::<Json>().fit(&mut value);
            value.to_json()
        }
        Err(Halt::Wrong(problem)) => {
            problems.push(*problem);
            None
        }
        // It is made of another one, of which it was told that it has no value.
        Err(Halt::Unknown(_)) if frame.declared.vars.iter().any(|name| !frame.declared.values(scope).contains_key(name)) => None,
        Err(Halt::Unknown(_)) => {
            let problem =
                frame.source.problem(node.mark, "a variable is fixed before the run, and this is known in the run only");
            problems.push(problem.hint("use the expression where it is needed"));
            None
        }
    }
}

fn for_secrets(node: &Node, frame: &Frame, problems: &mut Vec<Problem>) {
    node.each_scalar(&mut |text, mark| {
        if frame.touches_secret(text) {
            let problem = frame.source.problem(mark, super::value::NO_SECRET_HERE);
            problems.push(problem.hint("variables are shown to everybody; use `secrets.…` in the step itself"));
        }
    });
}

/// What an `include` gives, by name.
fn given_by_include(
    vars: Option<&Node>,
    declared: &[Var],
    outer: &Frame,
    scope: &Scope,
    problems: &mut Vec<Problem>,
) -> IndexMap<String, Given> {
    let mut all = IndexMap::new();
    let Some(vars) = vars.filter(|vars| !vars.is_empty()) else { return all };
    if !matches!(vars.kind, NodeKind::Map(_)) {
        problems.push(outer.source.problem(vars.mark, format!("`vars` is a map of names and values, not {}", vars.noun())));
    }
    for (key, node) in vars.members() {
        if !declared.iter().any(|var| var.name == key.text) {
            let problem = outer.source.problem(key.mark, format!("the file has no variable `{}`", key.text));
            problems.push(Problem { hint: did_you_mean(&key.text, declared.iter().map(|var| var.name.as_str())), ..problem });
            continue;
        }
        let worth = Worth::Is(value_of(node, outer, scope, problems));
        all.insert(key.text.clone(), Given { node: node.clone(), source: Arc::clone(&outer.source), worth });
    }
    all
}

/// The overrides by name, the last one winning.
fn given(overrides: &Overrides, declared: &[Var], beside: &Beside, problems: &mut Vec<Problem>) -> IndexMap<String, Given> {
    let mut all = IndexMap::new();
    let names = || declared.iter().map(|var| var.name.as_str());
    for path in &overrides.files {
        let (label, text) = match file_of_vars(path, beside) {
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let source = Arc::new(Source::new(&label, &text));
        let root = match yaml::read(&source, &text) {
            Ok(root) => root,
            Err(found) => {
                problems.extend(found.0);
                continue;
            }
        };
        if !matches!(root.kind, NodeKind::Map(_)) {
            problems.push(source.problem(root.mark, format!("a vars file is a map of names and values, not {}", root.noun())));
        }
        for (key, node) in root.members() {
            if names().any(|name| name == key.text) {
                all.insert(key.text.clone(), Given { node: node.clone(), source: Arc::clone(&source), worth: Worth::Written });
            } else if !key.text.starts_with("x-") {
                let problem = source.problem(key.mark, format!("the playbook has no variable `{}`", key.text));
                problems.push(Problem { hint: did_you_mean(&key.text, names()), ..problem });
            }
        }
    }
    for (name, text) in &overrides.values {
        let Some(var) = declared.iter().find(|var| var.name == *name) else {
            let problem = Problem::nowhere(format!("`--set {name}=…`: the playbook has no variable `{name}`"));
            problems.push(Problem { hint: did_you_mean(name, names()), ..problem });
            continue;
        };
        match set(var, text) {
            Ok(value) => {
                all.insert(name.clone(), value);
            }
            Err(found) => problems.extend(found),
        }
    }
    all
}

/// The name and the text of a file of variables: one of this machine, or else one that came with the playbook.
fn file_of_vars(path: &Path, beside: &Beside) -> Result<(String, String), Problem> {
    let (label, read) = match documents::read(path, yaml::LARGEST) {
        Err(error) if error.kind() == Kind::Missing && beside.has(path) => {
            (beside.name_of(path), beside.read(path, yaml::LARGEST))
        }
        read => (path.display().to_string(), read),
    };
    let bytes = read.map_err(|error| match (error.kind(), beside) {
        (Kind::Missing, Beside::Archive(_)) => Problem::from(error).hint("it is not in the playbook's archive either"),
        (Kind::Missing, Beside::Folder(_)) => Problem::from(error).hint("it is not in the playbook's folder either"),
        (Kind::Missing, Beside::Nothing) => {
            Problem::from(error).hint("a playbook from elsewhere brings its files of variables when it comes as a `.tar.gz`")
        }
        _ => Problem::from(error),
    })?;
    String::from_utf8(bytes)
        .map(|text| (label.clone(), text))
        .map_err(|_| Problem::nowhere(format!("`{label}` is not UTF-8 text")))
}

/// `--set name=value`: text where the playbook's own value is quoted or no number, else read as YAML.
fn set(var: &Var, text: &str) -> Result<Given, Vec<Problem>> {
    let label = format!("--set {}", var.name);
    let source = Arc::new(Source::new(&label, text));
    let mark = Mark { line: 1, column: 1 };
    let is_text = var.default.as_ref().is_some_and(|node| match &node.kind {
        NodeKind::Scalar { text, plain } => !plain || (text.parse::<f64>().is_err() && text != "true" && text != "false"),
        _ => false,
    });
    // A single word is taken as it stands, whatever YAML thinks of its first letter.
    let word = !text.starts_with(['[', '{', '"', '\'']);
    if is_text || word {
        let node = Node { mark, kind: NodeKind::Scalar { text: text.to_owned(), plain: !is_text } };
        return Ok(Given { node, source, worth: Worth::Written });
    }
    yaml::read(&source, text)
        .map(|node| Given { node, source: Arc::clone(&source), worth: Worth::Written })
        .map_err(|found| found.0)
}
