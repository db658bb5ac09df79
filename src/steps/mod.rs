//! The table of step types. A new type is one file and its two lines here; parser, JSON Schema, reference and tests walk it.

mod directory;
mod git;
mod group;
mod link;
mod user;
mod venv;

use crate::step::StepType;

/// Every type of step, in the order of the reference.
pub const STEP_TYPES: &[StepType] = &[
    StepType::of::<user::User>(),
    StepType::of::<group::Group>(),
    StepType::of::<directory::Directory>(),
    StepType::of::<link::Link>(),
    StepType::of::<git::Git>(),
    StepType::of::<venv::Venv>(),
];

/// The type of this name.
#[must_use]
pub fn find(kind: &str) -> Option<&'static StepType> {
    STEP_TYPES.iter().find(|step_type| step_type.kind == kind)
}
