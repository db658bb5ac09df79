//! The command line: one file per command.

use std::process::ExitCode;

/// Reads the arguments, does what they say.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
