//! The helper: the agent, re-executed as the user who owns a tree, does there what root must not do.
//!
//! The parent sends one errand as JSON over a pipe (secrets included: pipes are private, argv is not) and reads one reply.

use std::process::ExitCode;

/// The hidden subcommand under which the agent re-executes itself.
pub const SUBCOMMAND: &str = "__errand";

/// Reads one errand from standard input, does it, writes the reply to standard output.
#[must_use]
pub fn answer_errand() -> ExitCode {
    ExitCode::FAILURE
}
