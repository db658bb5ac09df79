//! Forgets the change type of a [`Step`], so that the engine can hold all kinds in one list, and the row each type has in the
//! table of types.

use std::any::Any;
use std::fmt;

use super::{Diff, Fingerprint, Outputs, Patience, Proof, Step, Touches};
use crate::error::{Error, Kind, Result};
use crate::host::aws::Permission;
use crate::host::{Facts, Host};

/// A change of whatever step it belongs to.
pub struct AnyChange {
    /// Its line in the plan.
    pub text: String,
    /// What it does to a file's content.
    pub diff: Option<Diff>,
    change: Box<dyn Any + Send>,
}

/// What a check of whatever step found; see [`super::Finding`].
pub struct AnyFinding {
    /// What is still different.
    pub changes: Vec<AnyChange>,
    /// Values for `steps.<id>.*`.
    pub outputs: Outputs,
    /// What is there.
    pub fingerprint: Option<Fingerprint>,
    /// Why it cannot tell.
    pub unknown: Option<String>,
    /// While polling: what is missing.
    pub not_yet: Option<String>,
    /// What the operator should know, which is no difference.
    pub notice: Option<String>,
    /// What differs and this run may not repair.
    pub behind: Option<String>,
}

impl fmt::Debug for AnyFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.changes.iter().map(|change| &change.text)).finish()
    }
}

/// A step of any type, ready to be checked and applied.
pub trait AnyStep: Send + Sync {
    /// See [`Step::touches`].
    fn touches(&self) -> Touches;
    /// See [`Step::permissions`].
    fn permissions(&self) -> Vec<Permission>;
    /// See [`Step::problems`].
    fn problems(&self) -> Vec<String>;
    /// See [`Step::check`].
    ///
    /// # Errors
    /// As the step's own check.
    fn check(&self, facts: &Facts) -> Result<AnyFinding>;
    /// See [`Step::apply`]. The change must come from this step's own check.
    ///
    /// # Errors
    /// As the step's own apply.
    fn apply(&self, change: &AnyChange, host: &Host) -> Result<()>;
    /// See [`Step::patience`].
    fn patience(&self) -> Patience;
    /// See [`Step::evidence`].
    fn evidence(&self, facts: &Facts) -> Vec<String>;
    /// See [`Step::proves`].
    fn proves(&self) -> Option<Proof>;
    /// See [`Step::is_rechecked`].
    fn is_rechecked(&self) -> bool;
}

impl<S: Step> AnyStep for S {
    fn touches(&self) -> Touches {
        Step::touches(self)
    }

    fn permissions(&self) -> Vec<Permission> {
        Step::permissions(self)
    }

    fn problems(&self) -> Vec<String> {
        Step::problems(self)
    }

    fn check(&self, facts: &Facts) -> Result<AnyFinding> {
        let found = Step::check(self, facts)?;
        let changes = found
            .changes
            .into_iter()
            .map(|planned| AnyChange { text: planned.change.to_string(), diff: planned.diff, change: Box::new(planned.change) })
            .collect();
        Ok(AnyFinding {
            changes,
            outputs: found.outputs,
            fingerprint: found.fingerprint,
            unknown: found.unknown,
            not_yet: found.not_yet,
            notice: found.notice,
            behind: found.behind,
        })
    }

    fn apply(&self, change: &AnyChange, host: &Host) -> Result<()> {
        match change.change.downcast_ref::<S::Change>() {
            Some(change) => Step::apply(self, change, host),
            None => Err(Error::new(Kind::Bug, "a change was given to a step it does not belong to")),
        }
    }

    fn patience(&self) -> Patience {
        Step::patience(self)
    }

    fn evidence(&self, facts: &Facts) -> Vec<String> {
        Step::evidence(self, facts)
    }

    fn proves(&self) -> Option<Proof> {
        Step::proves(self)
    }

    fn is_rechecked(&self) -> bool {
        Step::is_rechecked(self)
    }
}

/// Reads a step of one type from whatever deserialiser holds its fields.
type Reader = fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Box<dyn AnyStep>, erased_serde::Error>;

/// A type of step: its row in the table of `steps/mod.rs`. Parser, schema, reference and tests walk the table.
pub struct StepType {
    /// The word in the playbook.
    pub kind: &'static str,
    /// The one obvious field.
    pub shorthand: Option<&'static str>,
    /// See [`Step::EXAMPLE`].
    pub example: &'static str,
    /// See [`Step::OUTPUTS`].
    pub outputs: &'static [(&'static str, &'static str)],
    schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    read: Reader,
}

impl StepType {
    /// The row of this type.
    #[must_use]
    pub const fn of<S: Step>() -> Self {
        Self {
            kind: S::KIND,
            shorthand: S::SHORTHAND,
            example: S::EXAMPLE,
            outputs: S::OUTPUTS,
            schema: |generator| generator.subschema_for::<S>(),
            read: |source| Ok(Box::new(erased_serde::deserialize::<S>(source)?)),
        }
    }

    /// The JSON Schema of the step's fields.
    pub fn schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        (self.schema)(generator)
    }

    /// Reads a step of this type from its rendered fields.
    ///
    /// # Errors
    /// Whatever the deserialiser says about the fields; it knows the positions.
    pub fn read(&self, source: &mut dyn erased_serde::Deserializer<'_>) -> Result<Box<dyn AnyStep>, erased_serde::Error> {
        (self.read)(source)
    }
}

impl fmt::Debug for StepType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}
