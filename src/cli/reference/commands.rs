//! The page of a command, from the same description that reads its arguments.

use clap::{Arg, Command};

use super::page::{Block, Page, Term, paragraphs, section};

/// The page of this command and of all below it that are no secret.
pub fn pages(command: &Command) -> Vec<Page> {
    let mut built = command.clone();
    built.build();
    let mut pages = Vec::new();
    walk(&built, built.get_name(), &mut pages);
    pages
}

fn walk(command: &Command, name: &str, pages: &mut Vec<Page>) {
    pages.push(page(command, name));
    for inner in visible(command) {
        walk(inner, &format!("{name} {}", inner.get_name()), pages);
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set())
}

fn page(command: &Command, name: &str) -> Page {
    let said = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let mut said = paragraphs(&said).into_iter();
    let about = said.next().unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let mut blocks = vec![Block::Heading("Usage"), Block::Verbatim(usage + "\n")];
    blocks.extend(said.map(Block::Text));
    let commands = visible(command).map(|inner| {
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        Term::new(inner.get_name(), paragraphs(&about).into_iter().next().unwrap_or_default())
    });
    blocks.extend(section("Commands", commands.collect()));
    let arguments = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    blocks.extend(section("Arguments", arguments().filter(|one| one.is_positional()).map(term).collect()));
    blocks.extend(section("Options", arguments().filter(|one| !one.is_positional()).map(term).collect()));
    if let Some(after) = command.get_after_help() {
        blocks.extend([Block::Heading("Examples"), Block::Verbatim(after.to_string().trim_end().to_owned() + "\n")]);
    }
    Page { name: name.to_owned(), about, blocks }
}

fn term(argument: &Arg) -> Term {
    let values: Vec<String> = if argument.get_action().takes_values() {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(|name| format!("<{name}>")).collect()
    } else {
        Vec::new()
    };
    let short = argument.get_short().map(|letter| format!("-{letter}"));
    let long = argument.get_long().map(|word| format!("--{word}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let name = [flags.join(", "), values.join(" ")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let mut notes = Vec::new();
    notes.extend(argument.is_required_set().then(|| "required".to_owned()));
    let possible = argument.get_possible_values();
    if argument.get_action().takes_values() && !possible.is_empty() {
        notes.push(possible.iter().map(|value| format!("`{}`", value.get_name())).collect::<Vec<_>>().join(", "));
    }
    let defaults = argument.get_default_values();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let defaults: Vec<_> = defaults.iter().map(|value| value.to_string_lossy()).collect();
        notes.push(format!("default `{}`", defaults.join(" ")));
    }
    let text = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    Term { name, notes, text }
}
