//! One step as it is written: common keys, and the fields still unrendered.

use super::{Position, Scope};
use crate::error::Result;
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
    /// `run_as:` is rendered into the step (`command` and `health: command` only).
    pub position: Position,
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

impl Entry {
    /// Evaluates `when`: `Unknown` when it depends on something that is not known now.
    ///
    /// # Errors
    /// When the expression fails or is no boolean.
    pub fn is_wanted(&self, scope: &Scope) -> Result<Wanted> {
        let _ = scope;
        todo!()
    }

    /// Evaluates the fields and types the step.
    ///
    /// # Errors
    /// `Playbook`, with the position, when an expression fails or a value has the wrong type.
    pub fn render(&self, scope: &Scope) -> Result<Rendered> {
        let _ = scope;
        todo!()
    }

    /// What it touches, as far as it can be told before the run (secrets stand in as unknown text, which paths cannot hold);
    /// `None` means: unknown, keep the written order around it.
    ///
    /// # Errors
    /// As [`Entry::render`].
    pub fn touches(&self, scope: &Scope) -> Result<Option<Touches>> {
        let _ = scope;
        todo!()
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
