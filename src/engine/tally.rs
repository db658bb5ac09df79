//! How a run went, or why none came about; and the exit code that goes with it.

use super::event::{Ending, Failure};
use super::scheduler::Report;
use crate::error::{Error, Kind};
use crate::playbook::Problems;

/// Why no run came about.
#[derive(Debug)]
pub enum Refusal {
    /// The playbook is wrong: every problem of it.
    Problems(Problems),
    /// Something else.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Refusal {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Problems(_) => Kind::Playbook.exit_code(),
            Self::Error(error) => error.kind().exit_code(),
        }
    }
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Steps that changed something, or would.
    pub changed: usize,
    /// Steps that failed and were not allowed to, and what kept the run from its steps.
    pub failed: usize,
    /// Steps that were not started.
    pub not_started: usize,
    /// Steps that cannot be told.
    pub unknown: usize,
    /// The signal that ended it.
    pub interrupted: Option<String>,
    /// Whether it only looked.
    pub dry_run: bool,
    /// How each step ended.
    pub reports: Vec<Report>,
    /// What kept it from its steps.
    pub failure: Option<Failure>,
}

impl Tally {
    /// Counts the endings.
    #[must_use]
    pub fn of(reports: Vec<Report>, interrupted: Option<String>, dry_run: bool) -> Self {
        let count = |endings: &[Ending]| reports.iter().filter(|report| endings.contains(&report.ending)).count();
        Self {
            changed: count(&[Ending::Changed, Ending::WouldChange]),
            failed: count(&[Ending::Failed]),
            not_started: count(&[Ending::NotStarted]),
            unknown: count(&[Ending::Unknown]),
            interrupted,
            dry_run,
            reports,
            failure: None,
        }
    }

    /// Whether the machine is as the playbook wishes.
    #[must_use]
    pub fn converged(&self) -> bool {
        let differs = self.dry_run && self.changed + self.unknown > 0;
        self.failed + self.not_started == 0 && self.interrupted.is_none() && !differs
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.converged() {
            0
        } else if self.failed + self.not_started > 0 || self.interrupted.is_some() {
            1
        } else {
            10
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ending: Ending) -> Report {
        Report { number: 1, label: "a".into(), ending, milliseconds: 1, reason: None }
    }

    #[test]
    fn exit_codes_are_those_of_the_readme() {
        let code =
            |endings: &[Ending], dry_run| Tally::of(endings.iter().copied().map(report).collect(), None, dry_run).exit_code();
        assert_eq!(code(&[Ending::Unchanged, Ending::Changed, Ending::Skipped, Ending::FailedButAllowed], false), 0);
        assert_eq!(code(&[Ending::Changed, Ending::Failed], false), 1);
        assert_eq!(code(&[Ending::Changed, Ending::NotStarted], false), 1);
        assert_eq!(code(&[Ending::Unchanged, Ending::Skipped], true), 0);
        assert_eq!(code(&[Ending::Unchanged, Ending::WouldChange], true), 10);
        assert_eq!(code(&[Ending::Unchanged, Ending::Unknown], true), 10);
        assert_eq!(code(&[Ending::Failed, Ending::WouldChange], true), 1);
        assert_eq!(Tally::of(vec![report(Ending::Unchanged)], Some("SIGTERM".into()), false).exit_code(), 1);
    }
}
