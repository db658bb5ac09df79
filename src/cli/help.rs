//! `agent help`: what a command or a type of step is for, from the same description that reads it.

use std::process::ExitCode;

use super::reference::{self, Page};
use super::terminal;
use crate::error::{Error, Kind, Result};
use crate::playbook::did_you_mean;

/// Explain a command, a type of step, or a topic; without one, list them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  agent help systemd_unit\n  agent help run\n  agent help events")]
pub struct Arguments {
    /// A command, a type of step, `playbook`, `events`, `exit-codes`, `environment` or `files`
    topic: Vec<String>,
}

/// Prints it.
///
/// # Errors
/// `Usage` when there is nothing of that name.
pub fn run(arguments: &Arguments, command: &mut clap::Command) -> Result<ExitCode> {
    command.build();
    terminal::print(&answer(&arguments.topic, command)?);
    Ok(ExitCode::SUCCESS)
}

fn answer(topic: &[String], command: &mut clap::Command) -> Result<String> {
    let Some(name) = topic.first() else { return Ok(overview(command)) };
    let pages: Vec<Page> = reference::steps().into_iter().chain(reference::topics()).collect();
    let commands: Vec<String> =
        command.get_subcommands().filter(|inner| !inner.is_hide_set()).map(|inner| inner.get_name().to_owned()).collect();
    if let (Some(page), [_]) = (pages.iter().find(|page| page.name == *name), topic) {
        return Ok(reference::text::page(page));
    }
    let mut inner = Some(command).filter(|_| commands.contains(name));
    for word in topic {
        inner = inner.and_then(|command| command.find_subcommand_mut(word));
    }
    if let Some(inner) = inner {
        return Ok(inner.render_long_help().to_string());
    }
    let known = commands.iter().map(String::as_str).chain(pages.iter().map(|page| page.name.as_str()));
    let error = Error::new(Kind::Usage, format!("there is no command, step or topic `{}`", topic.join(" ")));
    Err(match did_you_mean(name, known).filter(|hint| hint.starts_with("did")) {
        Some(hint) => error.hint(hint),
        None => error.hint("`agent help` lists them"),
    })
}

/// The program's own help, and the names of the pages beside it.
fn overview(command: &mut clap::Command) -> String {
    let mut text = command.render_long_help().to_string().trim_end().to_owned() + "\n";
    for (heading, pages) in [("Steps", reference::steps()), ("Topics", reference::topics())] {
        let width = pages.iter().map(|page| page.name.len()).max().unwrap_or_default();
        text += &format!("\n{heading} (`agent help NAME`):\n");
        for page in &pages {
            text += &format!("  {:width$}  {}\n", page.name, reference::one_line(page));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(topic: &[&str]) -> Result<String> {
        let topic: Vec<String> = topic.iter().map(|word| (*word).to_owned()).collect();
        let mut command = crate::cli::command();
        command.build();
        answer(&topic, &mut command)
    }

    #[test]
    fn commands_steps_and_topics_have_an_answer() {
        assert!(ask(&["run"]).unwrap().contains("--dry-run"));
        assert!(ask(&["systemd_unit"]).unwrap().contains("restart_on"));
        assert!(ask(&["exit-codes"]).unwrap().contains("10"));
        let all = ask(&[]).unwrap();
        for word in ["install", "systemd_unit  ", "events  ", "Example"] {
            assert!(all.contains(word), "{all}");
        }
    }

    #[test]
    fn what_is_not_there_is_guessed() {
        let error = ask(&["systemd_unti"]).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (Kind::Usage, Some("did you mean `systemd_unit`?")));
        assert_eq!(ask(&["run", "it"]).unwrap_err().kind(), Kind::Usage);
        assert_eq!(ask(&["xylophone"]).unwrap_err().advice(), Some("`agent help` lists them"));
        assert_eq!(ask(&["__errand"]).unwrap_err().kind(), Kind::Usage);
    }
}
