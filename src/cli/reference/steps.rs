//! The page of a type of step: what its doc comments say, and what its own example would touch.

use serde_json::Value as Json;

use super::fields::Fields;
use super::page::{Block, Page, Term, paragraphs, prose, section};
use crate::playbook::{Playbook, Scope};
use crate::step::{StepType, Touches};

/// The page of this type; `schema` is that of a playbook.
pub fn page(step_type: &StepType, schema: &Json) -> Page {
    let fields = Fields::of(schema);
    let own = own_schema(step_type, schema, fields);
    let said = own.get("description").and_then(Json::as_str).unwrap_or_default();
    let (about, rest) = said.split_once("\n\n").unwrap_or((said, ""));
    let about = paragraphs(about).concat();
    let mut blocks = prose(rest);
    blocks.extend(section("Fields", fields.terms(own)));
    if let Some(field) = step_type.shorthand {
        blocks.push(Block::Text(format!("A value in place of the map stands for `{field}`.")));
    }
    let outputs = step_type.outputs.iter().map(|(name, text)| Term::new(format!("steps.<id>.{name}"), *text)).collect();
    blocks.extend(section("Outputs", outputs));
    let example = format!("version: 1\n{}", step_type.example);
    blocks.extend([Block::Heading("Example"), Block::Verbatim(example.clone())]);
    blocks.extend(touched(step_type, &example));
    Page { name: step_type.kind.to_owned(), about, blocks }
}

/// What a type is about, in one line.
#[must_use]
pub fn one_line(page: &Page) -> &str {
    let ends = [": ", ". "].iter().filter_map(|end| page.about.find(end));
    let end = ends.min().unwrap_or(page.about.len());
    page.about.get(..end).unwrap_or_default().trim_end_matches('.')
}

/// The map of the type's fields; beside it may stand its obvious field.
fn own_schema<'s>(step_type: &StepType, schema: &'s Json, fields: Fields<'s>) -> &'s Json {
    let in_playbook = schema.pointer(&format!("/properties/steps/items/properties/{}", step_type.kind)).unwrap_or(&Json::Null);
    let first = in_playbook.pointer("/anyOf/0").filter(|_| step_type.shorthand.is_some());
    fields.resolve(first.unwrap_or(in_playbook))
}

/// What the example reads, writes, locks and asks AWS for, as its own code says.
fn touched(step_type: &StepType, example: &str) -> Vec<Block> {
    let Ok(playbook) = Playbook::parse("example", example) else { return Vec::new() };
    let Some(entry) = playbook.entries.iter().rfind(|entry| entry.step_type.kind == step_type.kind) else { return Vec::new() };
    let scope = Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), ..Scope::default() };
    let Ok(Some(touches)) = entry.touches(&scope) else { return Vec::new() };
    let Touches { reads, writes, locks, after, alone, .. } = touches;
    let list = |things: Vec<String>| things.join(", ");
    let named = |name: &str| format!("`{name}`");
    let asked = entry.permissions(&scope).ok().flatten().unwrap_or_default();
    let mut actions: Vec<String> = asked.iter().map(|permission| named(permission.action)).collect();
    actions.sort();
    actions.dedup();
    let rows = [
        ("reads", list(reads.iter().map(ToString::to_string).collect())),
        ("writes", list(writes.iter().map(ToString::to_string).collect())),
        ("locks", list(locks.iter().map(|name| named(name)).collect())),
        ("comes after", list(after.iter().map(|name| named(name)).collect())),
        ("asks AWS for", list(actions)),
        ("stands alone", if alone { "nothing runs beside it".to_owned() } else { String::new() }),
    ];
    let rows = rows.into_iter().filter(|(_, things)| !things.is_empty());
    section("What the example touches", rows.map(|(name, things)| Term::new(name, things)).collect())
}
