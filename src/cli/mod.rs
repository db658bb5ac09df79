//! The command line: one file per command. Each has its arguments and a function that does what they say.

pub mod terminal;

mod artefacts;
pub mod check;
mod completions;
mod doctor;
mod explain;
mod facts;
mod help;
mod iam_policy;
mod import;
mod install;
mod installed;
mod json;
pub mod overrides;
pub mod reference;
mod run;
pub mod schema;
mod ship_logs;
mod status;
mod user_data;
mod wrap;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::error::Error;

/// Where the agent keeps its records unless told.
pub const STATE: &str = "/var/lib/bootstrap-agent";

/// Bootstraps an EC2 instance from a playbook, and answers its Auto Scaling lifecycle hook.
#[derive(Debug, Parser)]
#[command(
    name = "agent",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Example:\n  agent run --dry-run --diff playbook.yaml"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::CheckArguments),
    Install(install::Arguments),
    Status(status::Arguments),
    Explain(explain::Arguments),
    UserData(user_data::Arguments),
    IamPolicy(iam_policy::Arguments),
    Doctor(doctor::Arguments),
    Wrap(wrap::Arguments),
    Import(import::Arguments),
    ShipLogs(ship_logs::Arguments),
    Facts(facts::Arguments),
    Schema(schema::SchemaArguments),
    Completions(completions::Arguments),
    Help(help::Arguments),
    Artefacts(artefacts::ArtefactArguments),
    /// The helper: what must not be done as root is done by us as the user concerned.
    #[command(name = "__errand", hide = true, after_help = "Example:\n  (started by the agent itself)")]
    Errand,
}

/// The whole command line, for whoever checks what is written about it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Reads the arguments, does what they say.
#[must_use]
pub fn main() -> ExitCode {
    crate::engine::panics::catch();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return terminal::usage(&error),
    };
    if matches!(arguments.command, Command::Errand) {
        return crate::host::answer_errand();
    }
    terminal::trace_if_asked();
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => terminal::with_streams(|out, err| arguments.run(out, err)),
        Command::Schema(arguments) => terminal::with_streams(|out, _| arguments.run(out)),
        Command::Install(arguments) => install::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::UserData(arguments) => user_data::run(&arguments),
        Command::IamPolicy(arguments) => iam_policy::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Wrap(arguments) => wrap::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::ShipLogs(arguments) => ship_logs::run(&arguments),
        Command::Facts(arguments) => facts::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, &mut Arguments::command()),
        Command::Help(arguments) => help::run(&arguments, &mut Arguments::command()),
        Command::Artefacts(arguments) => terminal::with_streams(|out, err| arguments.run(out, err)),
        Command::Errand => Ok(ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| fail(&error))
}

/// Says why, and gives the exit code that goes with it.
fn fail(error: &Error) -> ExitCode {
    terminal::complain(&terminal::words::error("error", &error_title(error), &crate::engine::event::Failure::of(error, None)));
    ExitCode::from(error.kind().exit_code())
}

/// The outermost thing that can be said in one line.
fn error_title(error: &Error) -> String {
    error.causes().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &clap::Command, seen: &mut usize) {
        *seen += 1;
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Example"), "`{}` has no example", command.get_name());
        assert!(command.get_about().is_some() || command.is_hide_set(), "`{}` does not say what it does", command.get_name());
        for argument in command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str())) {
            assert!(argument.get_help().is_some(), "`{}` of `{}` says nothing", argument.get_id(), command.get_name());
        }
        command.get_subcommands().for_each(|inner| walk(inner, seen));
    }

    #[test]
    fn the_help_of_every_command_carries_an_example() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let mut seen = 0;
        walk(&command, &mut seen);
        assert!(seen > 4, "only {seen} commands");
    }

    #[test]
    fn examples_are_command_lines_that_work() {
        let mut seen = 0;
        for command in Arguments::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().map(str::trim).filter_map(|line| line.strip_prefix("sudo ").or(Some(line))) {
                if line.starts_with("agent ") {
                    let words = line.split(" > ").next().unwrap_or(line).split_whitespace();
                    assert!(Arguments::try_parse_from(words).is_ok(), "`{line}` does not parse");
                    seen += 1;
                }
            }
        }
        assert!(seen >= 4, "only {seen} examples");
    }
}
