//! The page of the events that `--json` prints and the run record holds, from the type that writes them.

use serde_json::Value as Json;

use super::fields::Fields;
use super::page::{Block, Page, Term};
use crate::engine::event::Event;

/// The page.
pub fn page() -> Page {
    let schema = schemars::schema_for!(Event).to_value();
    let mut blocks = vec![Block::Text(
        "`agent run --json` prints one JSON object a line, and so does the run record in `runs/`. Each has `event`, its kind, and `at`, \
         when it happened, in milliseconds since 1970. New fields and kinds may appear; readers pass over what they do not know."
            .to_owned(),
    )];
    for branch in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        let kind = branch.pointer("/properties/event/const").and_then(Json::as_str).unwrap_or_default();
        let meaning = branch.get("description").and_then(Json::as_str).unwrap_or_default();
        let fields = Fields::of(&schema).terms(branch).into_iter().filter(|term| term.name != "event").map(|mut term| {
            // All that may be null says so by its absence of `required`; an event is read, not written.
            term.notes.retain(|note| note != "required");
            Term { name: format!("{kind}.{}", term.name), ..term }
        });
        blocks.push(Block::Terms(std::iter::once(Term::new(kind, meaning)).chain(fields).collect()));
    }
    Page { name: "events".to_owned(), about: "What a run tells, as JSON lines.".to_owned(), blocks }
}
