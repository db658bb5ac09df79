//! Reads one entry of `steps:`: exactly one type, the common keys, and everything that can be known to be wrong before a run.

use std::path::{Component, Path};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Entry;
use crate::playbook::evaluate::{Evaluator, Without};
use crate::playbook::expression;
use crate::playbook::frame::Frame;
use crate::playbook::node::{Key, Node, NodeKind};
use crate::playbook::shape::{Shape, closest, did_you_mean};
use crate::playbook::value::{Content, NO_SECRET_HERE, Value};
use crate::playbook::{Problem, Scope};
use crate::step::StepType;
use crate::step::fields::Span;

/// The annotation of a field that names a template file and is given the rendered text.
pub const TEMPLATE: &str = "x-template";

/// The annotation of a field that may name a file beside the playbook.
pub const BESIDE: &str = "x-beside";

/// The annotation of a field whose texts are the ids of steps.
pub const STEPS: &str = "x-steps";

/// What every step may say beside its type.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// The name other steps and expressions know it by.
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub id: Option<String>,
    /// What it is called in output.
    pub name: Option<String>,
    /// The steps it waits for; left out: everything above it.
    pub needs: Option<Names>,
    /// A boolean expression, without braces; false skips the step.
    #[allow(dead_code, reason = "in the schema; the expression is kept with its place")]
    pub when: Option<String>,
    /// How long the whole step may take.
    pub timeout: Option<Span>,
    /// How often apply and re-check are repeated after a failure.
    #[serde(default)]
    pub retries: u32,
    /// A failure is reported and the run goes on.
    #[serde(default)]
    pub may_fail: bool,
    /// The account to act as; for the types that start a program of yours.
    #[serde(default)]
    #[allow(dead_code, reason = "in the schema; the value is moved into the step's own field")]
    pub run_as: Option<String>,
}

/// One name or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

const COMMON: [&str; 8] = ["id", "name", "needs", "when", "timeout", "retries", "may_fail", "run_as"];

/// What reading an entry needs to know about the document.
pub struct Read<'d> {
    /// What the playbook's parts share.
    pub frame: &'d Arc<Frame>,
    /// The table of types.
    pub types: &'static [StepType],
    /// The vars, for labels and for trying steps out.
    pub scope: &'d Scope,
    /// The ids of the steps above.
    pub earlier: &'d [String],
}

/// Reads one entry. Problems are added to the list; what is too broken to be a step is `None`.
pub fn read(number: usize, node: &Node, document: &Read<'_>, problems: &mut Vec<Problem>) -> Option<Entry> {
    let source = &document.frame.source;
    if !matches!(node.kind, NodeKind::Map(_)) {
        let problem = source.problem(node.mark, format!("a step is a map such as `packages: [git]`, not {}", node.noun()));
        problems.push(problem);
        return None;
    }
    let before = problems.len();
    let (step_type, key, body) = the_type(node, document, problems)?;
    let shape = Arc::new(Shape::made_by(|generator| step_type.schema(generator)));
    let common = common(node, document, problems);
    let fields = fields(step_type, key, body, node.member("run_as"), &shape, document, problems)?;
    let mut uses = document.frame.check_expressions(&fields, document.earlier, problems);
    let when = when(node, document, &mut uses, problems);
    let needs = common.needs.map(|names| match names {
        Names::One(name) => vec![name],
        Names::Several(names) => names,
    });
    check_needs(node.member("needs"), needs.as_deref().unwrap_or_default(), document, problems);
    let full = |id: String| document.frame.declared.full_id(&id);
    let needs = needs.map(|names| names.into_iter().map(full).collect());
    check_templates(&fields, &shape, document, &mut uses, problems);
    check_files(&fields, &shape, document, problems);

    let mut value = document.frame.unevaluated(&fields);
    problems.extend(document.frame.fit(&shape, &mut value).err().map(|found| found.0).unwrap_or_default());
    let mut uses: Vec<String> = uses.into_iter().map(full).collect();
    uses.sort_unstable();
    uses.dedup();
    let id = common.id.map(full);
    let label = common.name.or_else(|| id.clone()).unwrap_or_else(|| label(step_type, &fields, document));
    let entry = Entry {
        number,
        id,
        label,
        step_type,
        needs,
        uses,
        timeout: common.timeout,
        retries: common.retries,
        may_fail: common.may_fail,
        position: source.position(node.mark),
        frame: Arc::clone(document.frame),
        shape,
        when,
        fields,
    };
    if problems.len() == before {
        problems.extend(entry.try_out(document.scope, document.earlier));
    }
    Some(entry)
}

/// The one key that is a type; unknown keys and second types are reported.
fn the_type<'n>(
    node: &'n Node,
    document: &Read<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(&'static StepType, &'n Key, &'n Node)> {
    let source = &document.frame.source;
    let mut found: Option<(&'static StepType, &Key, &Node)> = None;
    let mut unknown = Vec::new();
    for (key, value) in node.members() {
        if COMMON.contains(&key.text.as_str()) || key.text.starts_with("x-") {
            continue;
        }
        match (document.types.iter().find(|step_type| step_type.kind == key.text), &found) {
            (Some(step_type), None) => found = Some((step_type, key, value)),
            (Some(_), Some((first, ..))) => {
                let message = format!("a step has one type, and this one is a `{}` already", first.kind);
                problems.push(source.problem(key.mark, message).hint(format!("begin a new step: `- {}:`", key.text)));
            }
            (None, _) => unknown.push(key),
        }
    }
    let kinds = || document.types.iter().map(|step_type| step_type.kind);
    let mut fell_out = false;
    for key in &unknown {
        let problem = match (&found, key.text.as_str()) {
            (Some((step_type, ..)), text) => {
                let shape = Shape::made_by(|generator| step_type.schema(generator));
                let problem = source.problem(key.mark, format!("unknown key `{text}`"));
                if shape.has_field(text) {
                    fell_out = true;
                    problem.hint(format!("`{text}` belongs under `{}:`; indent it", step_type.kind))
                } else {
                    Problem { hint: did_you_mean(text, COMMON), ..problem }
                }
            }
            (None, text) => {
                let near = closest(text, kinds().chain(COMMON)).map(|near| format!("did you mean `{near}`?"));
                let all = || format!("the step types are {}", kinds().collect::<Vec<_>>().join(", "));
                source.problem(key.mark, format!("unknown step type `{text}`")).hint(near.unwrap_or_else(all))
            }
        };
        problems.push(problem);
    }
    if found.is_none() && unknown.is_empty() {
        let problem = source.problem(node.mark, "this step has no type");
        problems.push(problem.hint(format!("the step types are {}", kinds().collect::<Vec<_>>().join(", "))));
    }
    // Fields that lost their indentation would be reported as missing, too.
    found.filter(|(_, _, body)| !(fell_out && body.is_empty()))
}

/// The common keys, which are literal: what they say must be known before anything runs.
fn common(node: &Node, document: &Read<'_>, problems: &mut Vec<Problem>) -> Common {
    let mut members = Vec::new();
    for (key, value) in node.members().iter().filter(|(key, _)| COMMON.contains(&key.text.as_str())) {
        if key.text == "run_as" || key.text == "when" {
            continue;
        }
        let mut literal = true;
        value.each_scalar(&mut |text, mark| {
            if expression::is_in(text) {
                literal = false;
                problems.push(document.frame.source.problem(mark, format!("`{}` cannot be an expression", key.text)));
            }
        });
        if literal {
            members.push((key.clone(), document.frame.unevaluated(value)));
        }
    }
    let value = Value { mark: node.mark, content: Content::Map(members) };
    document.frame.read(&Shape::of::<Common>(), value).unwrap_or_else(|found| {
        problems.extend(found.0);
        Common::default()
    })
}

/// The type's own fields: the shorthand unfolded, `run_as` moved in.
fn fields(
    step_type: &'static StepType,
    key: &Key,
    body: &Node,
    run_as: Option<&Node>,
    shape: &Shape,
    document: &Read<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let source = &document.frame.source;
    let mut members = match (&body.kind, step_type.shorthand) {
        (NodeKind::Map(members), _) => members.clone(),
        _ if body.is_empty() => Vec::new(),
        (_, Some(field)) => vec![(Key { text: field.to_owned(), mark: body.mark }, body.clone())],
        (_, None) => {
            let message = format!("`{}` takes a map of fields, not {}", step_type.kind, body.noun());
            problems.push(source.problem(body.mark, message));
            return None;
        }
    };
    if let Some(account) = run_as {
        if !shape.has_field("run_as") {
            let hint = "use the step's `owner`; `run_as` is for steps that start a program of yours";
            problems.push(source.problem(account.mark, format!("`{}` takes no `run_as`", step_type.kind)).hint(hint));
        } else if members.iter().any(|(key, _)| key.text == "run_as") {
            problems.push(source.problem(account.mark, "`run_as` is here twice: beside the type and below it"));
        } else {
            members.push((Key { text: "run_as".to_owned(), mark: account.mark }, account.clone()));
        }
    }
    // Problems of the step as a whole are shown at its type, which is where the eye looks.
    Some(Node { mark: key.mark, kind: NodeKind::Map(members) })
}

fn when(
    node: &Node,
    document: &Read<'_>,
    uses: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Option<(String, crate::playbook::source::Mark)> {
    let node = node.member("when")?;
    let source = &document.frame.source;
    let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else {
        problems.push(source.problem(node.mark, format!("`when` is an expression, not {}", node.noun())));
        return None;
    };
    if expression::is_in(text) {
        let problem = source.problem(node.mark, "`when` is a bare expression");
        problems.push(problem.hint("leave the braces out: `when: environment == \"prod\"`"));
        return None;
    }
    document.frame.check_expression(text, node.mark, document.earlier, uses, problems);
    if document.frame.touches_secret(&format!("{{{{ {text} }}}}")) {
        problems.push(source.problem(node.mark, NO_SECRET_HERE).hint("whether a step runs would tell about the secret"));
    }
    Some((text.to_owned(), node.mark))
}

fn check_needs(node: Option<&Node>, needs: &[String], document: &Read<'_>, problems: &mut Vec<Problem>) {
    for id in needs.iter().filter(|id| !document.earlier.contains(id)) {
        let mark = node.and_then(|node| super::place_of(node, id)).or(node.map(|node| node.mark)).unwrap_or_default();
        let problem = if document.frame.declared.steps.contains(id) {
            let problem = document.frame.source.problem(mark, format!("step `{id}` does not stand above this one"));
            problem.hint("a step can wait for steps above it only; move one of them")
        } else {
            let hint = did_you_mean(id, document.earlier.iter().map(String::as_str));
            Problem { hint, ..document.frame.source.problem(mark, format!("there is no step `{id}` above this one")) }
        };
        problems.push(problem);
    }
}

/// Templates whose path is literal are read and checked like the playbook itself.
fn check_templates(fields: &Node, shape: &Shape, document: &Read<'_>, uses: &mut Vec<String>, problems: &mut Vec<Problem>) {
    for (_, node) in fields.members().iter().filter(|(key, _)| shape.field_says(&key.text, TEMPLATE)) {
        let Some(path) = node.text().filter(|path| !expression::is_in(path)) else { continue };
        let (source, text) = match document.frame.template_source(path, node.mark) {
            Ok(read) => read,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let quoted = expression::with_ids_quoted(&text, document.frame.declared.steps.iter().map(String::as_str));
        let first = crate::playbook::source::Mark { line: 1, column: 1 };
        match expression::names_of_template(expression::environment(), &quoted) {
            Ok(names) => {
                for name in names {
                    uses.extend(expression::step_of(&name).map(str::to_owned));
                    if let Err((message, hint)) = document.frame.declared.check(&name, document.earlier) {
                        problems.push(Problem { hint, ..source.problem(source.find(first, &name), message) });
                    }
                }
            }
            Err((line, message)) => {
                let mark = crate::playbook::source::Mark { line, column: 1 };
                problems.push(source.problem(mark, format!("this is no template: {message}")));
            }
        }
    }
}

/// Files beside the playbook whose names are literal are there, or a step would find out when others have changed the machine.
fn check_files(fields: &Node, shape: &Shape, document: &Read<'_>, problems: &mut Vec<Problem>) {
    for (_, node) in fields.members().iter().filter(|(key, _)| shape.field_says(&key.text, BESIDE)) {
        let Some(path) = node.text().filter(|text| !text.is_empty() && !text.contains("://") && !expression::is_in(text)) else {
            continue;
        };
        // A path that leads elsewhere is the step's own complaint.
        if Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
            && let Err(error) = document.frame.beside.require(Path::new(path))
        {
            let problem = document.frame.source.problem(node.mark, error.to_string());
            problems.push(Problem { hint: error.advice().map(str::to_owned), ..problem });
        }
    }
}

/// Type and obvious field, with vars filled in as far as they are known.
fn label(step_type: &StepType, fields: &Node, document: &Read<'_>) -> String {
    let obvious = step_type.shorthand.into_iter().chain(["name", "path", "names", "url", "http"]);
    let Some(node) = obvious.into_iter().find_map(|field| fields.member(field)) else { return step_type.kind.to_owned() };
    let evaluator = Evaluator::new(document.scope, &document.frame.declared, Without::Unknown);
    let mut words = Vec::new();
    node.each_scalar(&mut |text, _| {
        let filled = if document.frame.touches_secret(text) { None } else { evaluator.text(text).ok() };
        words.push(match filled {
            Some(Content::Text(filled)) => filled,
            _ => text.to_owned(),
        });
    });
    let text = words.join(", ");
    let short: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{} {short}{dots}", step_type.kind)
}
