//! `agent completions`: what a shell needs to complete our command lines.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::terminal;
use crate::error::Result;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent completions bash > /etc/bash_completion.d/agent")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

#[allow(clippy::unnecessary_wraps, reason = "all commands have one shape")]
pub fn run(arguments: &Arguments, command: &mut clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "agent", &mut script);
    terminal::print(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}
