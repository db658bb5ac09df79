//! The page of the playbook as a whole: its keys, and those that every step has.

use serde_json::{Value as Json, json};

use super::fields::Fields;
use super::page::{Block, Page, Term, section};
use crate::playbook::{INSTANCE, OS};
use crate::steps::STEP_TYPES;

/// The page; `schema` is that of a playbook.
pub fn page(schema: &Json) -> Page {
    let mut keys = schema.clone();
    // The steps have pages of their own.
    let step = keys.pointer_mut("/properties/steps/items").map(Json::take).unwrap_or_default();
    if let Some(steps) = keys.pointer_mut("/properties/steps") {
        *steps = json!({ "type": "array", "description": "The steps, in order. An entry is one type of step and keys that every step has." });
    }
    let mut common = step;
    if let Some(properties) = common.get_mut("properties").and_then(Json::as_object_mut) {
        properties.retain(|name, _| STEP_TYPES.iter().all(|row| row.kind != name));
    }
    let mut blocks = vec![Block::Text("A YAML map. Keys that begin with `x-` are yours.".to_owned())];
    blocks.extend(section("Keys", Fields::of(schema).terms(&keys)));
    blocks.extend(section("Keys of every step", Fields::of(schema).terms(&common)));
    blocks.extend(section("Names in expressions", names()));
    Page { name: "playbook".to_owned(), about: "What a playbook may hold.".to_owned(), blocks }
}

fn names() -> Vec<Term> {
    let under = |root: &str, names: &[&str]| names.iter().map(|name| format!("`{root}.{name}`")).collect::<Vec<_>>().join(", ");
    vec![
        Term::new("{{ NAME }}", "A variable of `vars:`. An undefined name is an error at its place."),
        Term::new("{{ secrets.NAME }}", "A value of `secrets:`; only where a field may be a secret."),
        Term::new("{{ instance.NAME }}", format!("{}.", under("instance", &INSTANCE))),
        Term::new("{{ os.NAME }}", format!("{}.", under("os", &OS))),
        Term::new("{{ steps.ID.NAME }}", "An output of an earlier step."),
        Term::new("{{ name }}", "The playbook's name."),
    ]
}
