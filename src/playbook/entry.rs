//! One step as it is written: common keys, and the fields still unrendered.

mod read;

pub use read::{Common, Read, read};

use std::cell::Cell;
use std::sync::Arc;

use super::evaluate::{Evaluator, Without};
use super::expression;
use super::frame::{Frame, Halt};
use super::node::{Node, NodeKind};
use super::shape::Shape;
use super::source::{Mark, Source};
use super::value::{Content, Reader, Value};
use super::{Position, Problem, Problems, Scope};
use crate::error::Result;
use crate::host::aws::Permission;
use crate::step::fields::Span;
use crate::step::{AnyStep, StepType, Touches};

/// One entry of `steps:`.
#[derive(Debug)]
pub struct Entry {
    /// Its number, from 1.
    pub number: usize,
    /// Its `id:`.
    pub id: Option<String>,
    /// What it is called in output: `name:`, else id, else type and its obvious field.
    pub label: String,
    /// Its type.
    pub step_type: &'static StepType,
    /// `needs:`; `None` means everything above it.
    pub needs: Option<Vec<String>>,
    /// Ids of the steps whose outputs its expressions (also `when`) use.
    pub uses: Vec<String>,
    /// `timeout:` of the whole step.
    pub timeout: Option<Span>,
    /// `retries:` of apply and re-check.
    pub retries: u32,
    /// `may_fail:`.
    pub may_fail: bool,
    /// Where it starts. (`run_as:` is rendered into the step's own field of that name.)
    pub position: Position,
    frame: Arc<Frame>,
    shape: Arc<Shape>,
    when: Option<(String, Mark)>,
    fields: Node,
}

/// A step, evaluated just before its check.
pub enum Rendered {
    /// Typed and ready.
    Ready(Box<dyn AnyStep>),
    /// Depends on something that is not known now.
    Unknown {
        /// Why, as a sentence for the plan: `cannot tell before step `code` has run`.
        why: String,
    },
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(_) => f.write_str("Ready"),
            Self::Unknown { why } => f.debug_struct("Unknown").field("why", why).finish(),
        }
    }
}

impl Entry {
    /// Evaluates `when`: `Unknown` when it depends on something that is not known now.
    ///
    /// # Errors
    /// When the expression fails or is no boolean.
    pub fn is_wanted(&self, scope: &Scope) -> Result<Wanted> {
        let Some((when, mark)) = &self.when else { return Ok(Wanted::Yes) };
        let evaluator = Evaluator::new(scope, &self.frame.declared, Without::Unknown);
        match evaluator.one(when).map_err(|stop| self.frame.halted(stop, *mark)) {
            Ok(Content::Bool(true)) => Ok(Wanted::Yes),
            Ok(Content::Bool(false)) => Ok(Wanted::No(when.clone())),
            Ok(Content::Secret(_)) => Err(Problems::from(self.frame.source.problem(*mark, super::value::NO_SECRET_HERE)).into()),
            Ok(_) => {
                let problem = self.frame.source.problem(*mark, "`when` must be true or false");
                Err(Problems::from(problem.hint("compare with something, or test with `is defined`")).into())
            }
            Err(Halt::Unknown(why)) => Ok(Wanted::Unknown(why)),
            Err(Halt::Wrong(problem)) => Err(Problems::from(*problem).into()),
        }
    }

    /// Evaluates the fields and types the step.
    ///
    /// # Errors
    /// `Playbook`, with the position, when an expression fails or a value has the wrong type.
    pub fn render(&self, scope: &Scope) -> Result<Rendered> {
        match self.typed(scope, Without::Unknown) {
            Ok(Typed { step, .. }) => {
                let problems: Vec<Problem> = step.problems().into_iter().map(|message| self.own(message)).collect();
                if problems.is_empty() { Ok(Rendered::Ready(step)) } else { Err(Problems(problems).into()) }
            }
            Err(Untyped::Unknown(why)) => Ok(Rendered::Unknown { why }),
            Err(Untyped::Wrong(problems)) => Err(problems.into()),
        }
    }

    /// What it touches, as far as it can be told before the run (secrets stand in as unknown text, which paths cannot hold);
    /// `None` means: it depends on what is not known yet, keep the written order around it.
    ///
    /// # Errors
    /// As [`Entry::render`].
    pub fn touches(&self, scope: &Scope) -> Result<Option<Touches>> {
        // With the values at hand or not: order must not depend on it.
        self.foretold(&Scope { secrets: None, ..scope.clone() }, ["/one", "/other"], &|step| step.touches())
    }

    /// What it asks AWS for, as far as it can be told before the run; `None` means: it depends on what is not known yet.
    ///
    /// # Errors
    /// As [`Entry::render`].
    pub fn permissions(&self, scope: &Scope) -> Result<Option<Vec<Permission>>> {
        self.foretold(scope, ["/one", "s3://guess/other"], &|step| step.permissions())
    }

    /// What the step answers whatever the values are that are not known yet; `None` where they make a difference.
    fn foretold<T: PartialEq>(
        &self,
        scope: &Scope,
        guesses: [&'static str; 2],
        ask: &dyn Fn(&dyn AnyStep) -> T,
    ) -> Result<Option<T>> {
        match self.typed(scope, Without::StandIn) {
            Ok(typed) => Ok(Some(ask(&*typed.step))),
            Err(Untyped::Unknown(_)) => {
                let [one, other] =
                    guesses.map(|text| self.typed(scope, Without::Guess(text)).ok().map(|typed| ask(&*typed.step)));
                Ok(one.filter(|answer| other.as_ref() == Some(answer)))
            }
            Err(Untyped::Wrong(problems)) => Err(problems.into()),
        }
    }

    /// A field as it is written, for advice that looks at the text.
    pub(super) fn field(&self, name: &str) -> Option<&Node> {
        self.fields.member(name)
    }

    /// Where its type stands.
    pub(super) fn mark(&self) -> Mark {
        self.fields.mark
    }

    /// The text it is in.
    pub(super) fn source(&self) -> &Source {
        &self.frame.source
    }

    /// Everything that is wrong with the step as far as vars alone can tell; `earlier` are the ids above it.
    pub(super) fn try_out(&self, scope: &Scope, earlier: &[String]) -> Vec<Problem> {
        let typed = match self.typed(scope, Without::StandIn) {
            Ok(typed) => typed,
            Err(Untyped::Unknown(_)) => return Vec::new(),
            Err(Untyped::Wrong(problems)) => return problems.0,
        };
        let mut problems = Vec::new();
        // A stand-in says nothing about the values the step would get.
        if !typed.has_secrets {
            problems.extend(typed.step.problems().into_iter().map(|message| self.own(message)));
        }
        let namespace = &self.frame.declared.namespace;
        let after = typed.step.touches().after;
        let named: Vec<&str> = after.iter().map(|id| id.strip_prefix(namespace.as_str()).unwrap_or(id)).collect();
        for id in named.into_iter().filter(|id| !earlier.iter().any(|known| known == id)) {
            let hint = super::shape::did_you_mean(id, earlier.iter().map(String::as_str));
            let mark = place_of(&self.fields, id).unwrap_or(self.fields.mark);
            let problem = self.frame.source.problem(mark, format!("there is no step `{id}` above this one"));
            problems.push(Problem { hint, ..problem });
        }
        problems
    }

    fn own(&self, message: String) -> Problem {
        self.frame.source.problem(self.fields.mark, message)
    }

    fn typed(&self, scope: &Scope, without: Without) -> Result<Typed, Untyped> {
        let evaluator = Evaluator::new(scope, &self.frame.declared, without);
        let mut value = self.value(&evaluator)?;
        self.frame.fit(&self.shape, &mut value).map_err(Untyped::Wrong)?;
        let failed_at = Cell::new(None);
        let mut reader = <dyn erased_serde::Deserializer<'_>>::erase(Reader::new(&value, &failed_at));
        let step = self.step_type.read(&mut reader).map_err(|error| {
            let mark = failed_at.get().unwrap_or(value.mark);
            Untyped::Wrong(self.frame.source.problem(mark, error.to_string()).into())
        })?;
        Ok(Typed { step, has_secrets: value.has_secrets() })
    }

    /// The fields with their expressions evaluated, and template files in the place of their paths.
    fn value(&self, evaluator: &Evaluator) -> Result<Value, Halt> {
        let mut members = Vec::new();
        for (key, node) in self.fields.members() {
            let mut value = self.frame.evaluated(node, evaluator)?;
            if self.shape.field_says(&key.text, read::TEMPLATE)
                && let Content::Plain(path) | Content::Text(path) = &value.content
            {
                value = self.frame.template(path, node.mark, evaluator)?;
            }
            if self.shape.field_says(&key.text, read::STEPS) {
                self.name_in_full(&mut value);
            }
            members.push((key.clone(), value));
        }
        Ok(Value { mark: self.fields.mark, content: Content::Map(members) })
    }

    /// An included file names its own steps; the rest of the playbook knows them by longer ids.
    fn name_in_full(&self, value: &mut Value) {
        match &mut value.content {
            Content::Plain(id) | Content::Text(id) => *id = self.frame.declared.full_id(id),
            Content::List(items) => items.iter_mut().for_each(|item| self.name_in_full(item)),
            _ => {}
        }
    }
}

struct Typed {
    step: Box<dyn AnyStep>,
    has_secrets: bool,
}

enum Untyped {
    Unknown(String),
    Wrong(Problems),
}

impl From<Halt> for Untyped {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Unknown(why) => Self::Unknown(why),
            Halt::Wrong(problem) => Self::Wrong(Problems::from(*problem)),
        }
    }
}

/// Where this text stands as a value of its own.
fn place_of(node: &Node, text: &str) -> Option<Mark> {
    match &node.kind {
        NodeKind::Scalar { text: found, .. } => (found == text && !expression::is_in(found)).then_some(node.mark),
        NodeKind::List(items) => items.iter().find_map(|item| place_of(item, text)),
        NodeKind::Map(members) => members.iter().find_map(|(_, node)| place_of(node, text)),
    }
}

/// The answer of `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Go on.
    Yes,
    /// Skip, because this expression is false.
    No(String),
    /// Cannot tell, for this reason: a sentence for the plan.
    Unknown(String),
}
