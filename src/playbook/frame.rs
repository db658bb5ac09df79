//! What every part of one playbook shares: its source, its declared names and the files beside it; and the way from a node to a typed value.

use std::cell::Cell;
use std::path::{Component, Path};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::evaluate::{Evaluator, Stop};
use super::expression::{self, Piece};
use super::names::Declared;
use super::node::{Node, NodeKind};
use super::shape::{Complaint, Shape};
use super::source::{Mark, Source};
use super::value::{Content, Reader, Value};
use super::{Problem, Problems};
use crate::host::documents::Beside;

/// Why there is no value.
#[derive(Debug)]
pub enum Halt {
    /// It depends on something that is not known now.
    Unknown(String),
    /// It is wrong.
    Wrong(Box<Problem>),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Wrong(Box::new(problem))
    }
}

/// What every part of one playbook shares.
#[derive(Debug)]
pub struct Frame {
    /// The playbook's text.
    pub source: Arc<Source>,
    /// What its expressions may name.
    pub declared: Arc<Declared>,
    /// Its other files.
    pub beside: Beside,
}

impl Frame {
    /// A complaint, with this playbook's place and line.
    pub fn problem(&self, complaint: Complaint) -> Problem {
        Problem { hint: complaint.hint, ..self.source.problem(complaint.mark, complaint.message) }
    }

    /// The value with its expressions left open, for checking before a run.
    pub fn unevaluated(&self, node: &Node) -> Value {
        let content = match &node.kind {
            NodeKind::Scalar { text, .. } if expression::is_in(text) => Content::Pending { secret: self.touches_secret(text) },
            NodeKind::Scalar { text, plain: true } => Content::Plain(text.clone()),
            NodeKind::Scalar { text, .. } => Content::Text(text.clone()),
            NodeKind::List(items) => Content::List(items.iter().map(|item| self.unevaluated(item)).collect()),
            NodeKind::Map(members) => {
                Content::Map(members.iter().map(|(key, node)| (key.clone(), self.unevaluated(node))).collect())
            }
        };
        Value { mark: node.mark, content }
    }

    /// The value with its expressions evaluated.
    pub fn evaluated(&self, node: &Node, evaluator: &Evaluator) -> Result<Value, Halt> {
        let content = match &node.kind {
            NodeKind::Scalar { text, .. } if expression::is_in(text) => {
                let content = evaluator.text(text).map_err(|stop| self.halted(stop, node.mark))?;
                return Ok(placed(content, node.mark));
            }
            NodeKind::Scalar { .. } => return Ok(self.unevaluated(node)),
            NodeKind::List(items) => {
                Content::List(items.iter().map(|item| self.evaluated(item, evaluator)).collect::<Result<_, _>>()?)
            }
            NodeKind::Map(members) => {
                let members = members.iter().map(|(key, node)| Ok((key.clone(), self.evaluated(node, evaluator)?)));
                Content::Map(members.collect::<Result<_, Halt>>()?)
            }
        };
        Ok(Value { mark: node.mark, content })
    }

    /// The text of a template file, rendered. Its problems carry the template's own place.
    pub fn template(&self, path: &str, mark: Mark, evaluator: &Evaluator) -> Result<Value, Halt> {
        let (source, text) = self.template_source(path, mark)?;
        match evaluator.template(&text) {
            Ok(content) => Ok(Value { mark, content }),
            Err((Stop::Unknown(why), _)) => Err(Halt::Unknown(why)),
            Err((Stop::Wrong { because, .. }, line)) => Err(source.problem(Mark { line, column: 1 }, because).into()),
        }
    }

    /// Reads a template file, which lies beside the playbook.
    pub fn template_source(&self, path: &str, mark: Mark) -> Result<(Source, String), Problem> {
        let relative = Path::new(path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            let problem = self.source.problem(mark, format!("`{path}` must lie beside the playbook"));
            return Err(problem.hint("a template's path is relative to the playbook's folder, without `..`"));
        }
        let bytes = self.beside.read(relative, super::yaml::LARGEST).map_err(|error| {
            let problem = self.source.problem(mark, format!("the template `{path}` cannot be read: {error}"));
            Problem { hint: error.advice().map(str::to_owned), ..problem }
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| self.source.problem(mark, format!("the template `{path}` is not UTF-8 text")))?;
        Ok((Source::new(&self.beside.name_of(relative), &text), text))
    }

    /// A value as a type, checked against the type's shape first.
    pub fn read<T: DeserializeOwned>(&self, shape: &Shape, mut value: Value) -> Result<T, Problems> {
        self.fit(shape, &mut value)?;
        let failed_at = Cell::new(None);
        T::deserialize(Reader::new(&value, &failed_at))
            .map_err(|error| self.source.problem(failed_at.get().unwrap_or(value.mark), error.to_string()).into())
    }

    /// Checks a value against a shape and settles its unquoted texts.
    pub fn fit(&self, shape: &Shape, value: &mut Value) -> Result<(), Problems> {
        let complaints = shape.fit(value);
        if complaints.is_empty() {
            return Ok(());
        }
        Err(Problems(complaints.into_iter().map(|complaint| self.problem(complaint)).collect()))
    }

    /// Says everything that is wrong with the expressions below a node, by their text alone; `earlier` are the ids of the steps
    /// above. Gives back the ids of the steps they use.
    pub fn check_expressions(&self, node: &Node, earlier: &[String], problems: &mut Vec<Problem>) -> Vec<String> {
        let mut uses = Vec::new();
        self.check_keys(node, problems);
        node.each_scalar(&mut |text, mark| match expression::pieces(text) {
            Ok(pieces) => {
                for piece in pieces {
                    if let Piece::Expression(source) = piece {
                        self.check_expression(source, self.source.find(mark, source), earlier, &mut uses, problems);
                    }
                }
            }
            Err(rest) => {
                let problem = self.source.problem(self.source.find(mark, rest), "this `{{` is never closed");
                problems.push(problem.hint("for the text itself write `{{ \"{{\" }}`"));
            }
        });
        uses
    }

    /// The same for one bare expression.
    pub fn check_expression(
        &self,
        expression: &str,
        mark: Mark,
        earlier: &[String],
        uses: &mut Vec<String>,
        problems: &mut Vec<Problem>,
    ) {
        let quoted = expression::with_ids_quoted(expression, self.declared.steps.iter().map(String::as_str));
        match expression::names(expression::environment(), &quoted) {
            Ok(names) => {
                for name in names {
                    uses.extend(expression::step_of(&name).map(str::to_owned));
                    if let Err((message, hint)) = self.declared.check(&name, earlier) {
                        let problem = self.source.problem(self.source.find(mark, &name), message);
                        problems.push(Problem { hint, ..problem });
                    }
                }
            }
            Err(message) => problems.push(self.source.problem(mark, format!("`{expression}` is not an expression: {message}"))),
        }
    }

    /// Whether an expression of this text may read a secret.
    pub fn touches_secret(&self, text: &str) -> bool {
        let pieces = expression::pieces(text).unwrap_or_default();
        pieces.into_iter().any(|piece| match piece {
            Piece::Literal(_) => false,
            Piece::Expression(source) => {
                let names = expression::names(expression::environment(), source).unwrap_or_default();
                let precise = |name: &&String| *name != "secrets" || names.iter().all(|other| !other.starts_with("secrets."));
                names.iter().filter(precise).any(|name| self.declared.touches_secret(name))
            }
        })
    }

    fn check_keys(&self, node: &Node, problems: &mut Vec<Problem>) {
        match &node.kind {
            NodeKind::Scalar { .. } => {}
            NodeKind::List(items) => items.iter().for_each(|item| self.check_keys(item, problems)),
            NodeKind::Map(members) => {
                for (key, node) in members {
                    if expression::is_in(&key.text) {
                        problems.push(self.source.problem(key.mark, "a key cannot be an expression"));
                    }
                    self.check_keys(node, problems);
                }
            }
        }
    }

    /// Where and why an evaluation ended.
    pub fn halted(&self, stop: Stop, mark: Mark) -> Halt {
        match stop {
            Stop::Unknown(why) => Halt::Unknown(why),
            Stop::Wrong { expression, because } => self.source.problem(self.source.find(mark, &expression), because).into(),
        }
    }
}

/// An expression's value stands where the expression stands.
fn placed(content: Content, mark: Mark) -> Value {
    let content = match content {
        Content::List(items) => Content::List(items.into_iter().map(|item| placed(item.content, mark)).collect()),
        Content::Map(members) => Content::Map(
            members.into_iter().map(|(key, value)| (super::node::Key { mark, ..key }, placed(value.content, mark))).collect(),
        ),
        other => other,
    };
    Value { mark, content }
}
