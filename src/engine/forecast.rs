//! One step in a dry-run. Three answers: no change, would change, cannot tell before step N has run.
//!
//! Whoever reads what a pending step writes cannot tell, whatever its own check answers: it looked at a machine that will not be
//! there any more.

use crate::error::{Error, Kind, Result};
use crate::host::Facts;
use crate::step::{AnyFinding, AnyStep, Thing, Touches};

/// An earlier step that would change something, or cannot tell.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its number.
    pub number: usize,
    /// Its id.
    pub id: Option<String>,
    /// Its label.
    pub label: String,
    /// What it touches; `None` where that is not known.
    pub touches: Option<Touches>,
    /// Whether nobody can foresee what it does: a `command`, or a step that is not known itself.
    pub unforeseeable: bool,
}

/// What a dry-run says of a step.
#[derive(Debug)]
pub enum Forecast {
    /// Nothing to do, or these changes.
    Known(AnyFinding),
    /// Cannot tell, for this reason; the changes that are certain all the same.
    Unknown(String, Option<AnyFinding>),
}

/// Judges a step; `pending` are the pending ones among those it waits for, in order.
///
/// # Errors
/// Whatever keeps its check from telling and has nothing to do with what is pending.
pub fn judge(
    step: &dyn AnyStep,
    touches: &Touches,
    uses: &[String],
    facts: &Facts,
    pending: &[Pending],
    is_root: bool,
) -> Result<Forecast> {
    // Looking would cost time and tell nothing: whatever it answers is about a machine that will not be there any more.
    if let Some(earlier) = pending.iter().rev().find(|earlier| depends_on(touches, uses, earlier)) {
        return Ok(Forecast::Unknown(cannot_tell(earlier), None));
    }
    match step.check(facts) {
        Ok(finding) => match (finding.unknown.clone(), pending.last()) {
            (Some(why), _) => Ok(Forecast::Unknown(why, Some(finding))),
            // Who waits for something waits for what the steps before it bring, whether or not it reads what they write.
            (None, Some(earlier)) if finding.not_yet.is_some() => Ok(Forecast::Unknown(cannot_tell(earlier), None)),
            (None, _) => Ok(Forecast::Known(finding)),
        },
        Err(error) => match excuse(&error, pending, is_root) {
            Some(why) => Ok(Forecast::Unknown(why, None)),
            None => Err(error),
        },
    }
}

/// The sentence of the plan.
#[must_use]
pub fn cannot_tell(earlier: &Pending) -> String {
    format!("cannot tell before step {} `{}` has run", earlier.number, earlier.label)
}

/// Why a failed check is no failure in a dry-run, if it is none.
fn excuse(error: &Error, pending: &[Pending], is_root: bool) -> Option<String> {
    match error.kind() {
        // Whatever is missing may be made by what is still to run.
        Kind::Missing => pending.last().map(cannot_tell),
        Kind::Denied if !is_root => Some(format!("cannot tell without root: {error}")),
        _ => None,
    }
}

/// Whether what this step finds may be different once the earlier one has run.
fn depends_on(own: &Touches, uses: &[String], earlier: &Pending) -> bool {
    let named = earlier.id.as_ref().is_some_and(|id| own.after.contains(id) || uses.contains(id));
    // Writing a path means reading the folder it is in; writing the same account or unit means reading it. The installed
    // programs and the package lists are wholes of which each step writes its own part.
    let rewritten = own.writes.iter().filter(|thing| !matches!(thing, Thing::Programs | Thing::PackageLists));
    let reads: Vec<&Thing> = own.reads.iter().chain(rewritten).collect();
    let written = earlier.touches.as_ref().map_or(&[][..], |touches| &touches.writes);
    named || written.iter().any(|thing| reads.iter().any(|read| read.overlaps(thing)))
}
