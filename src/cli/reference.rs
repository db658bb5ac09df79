//! The reference: pages about commands, steps, the playbook, events, exit codes and variables, made from what reads and does them.
//! `agent help`, the manual pages and `packaging/reference.md` draw the same pages.

mod commands;
mod events;
mod fields;
pub mod markdown;
mod page;
mod playbook;
pub mod roff;
mod steps;
mod tables;
pub mod text;

pub use page::Page;
pub use steps::one_line;

use serde_json::Value as Json;

use crate::steps::STEP_TYPES;

/// What a playbook's manual page is called.
pub const PLAYBOOK: &str = "bootstrap-agent-playbook";

/// A page for each type of step, in the order of the table.
#[must_use]
pub fn steps() -> Vec<Page> {
    let schema = crate::playbook::schema();
    STEP_TYPES.iter().map(|step_type| steps::page(step_type, &schema)).collect()
}

/// A page for each command that is no secret, the whole program first.
#[must_use]
pub fn commands(command: &clap::Command) -> Vec<Page> {
    commands::pages(command)
}

/// What is neither a command nor a step.
#[must_use]
pub fn topics() -> Vec<Page> {
    let schema: Json = crate::playbook::schema();
    vec![playbook::page(&schema), events::page(), tables::exit_codes(), tables::environment(), tables::files()]
}

/// Everything in one document.
#[must_use]
pub fn document(command: &clap::Command) -> String {
    let topics = topics();
    let parts = [("Commands", commands(command)), ("The playbook and what is around it", topics), ("Steps", steps())];
    markdown::document(&parts)
}

#[cfg(test)]
mod tests;
