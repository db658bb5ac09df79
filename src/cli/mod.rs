//! The command line: one file per command.

pub mod check;
pub mod overrides;
pub mod schema;

use std::process::ExitCode;

/// Reads the arguments, does what they say.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
