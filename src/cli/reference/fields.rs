//! The fields of a JSON Schema as terms: name, type in words, whether it must be there, its default, and what it means.

use serde_json::{Map, Value as Json};

use super::page::Term;

/// A schema may contain itself; this far it is followed.
const DEEPEST: usize = 6;

/// A schema with the definitions that its references point to.
#[derive(Clone, Copy)]
pub struct Fields<'s> {
    definitions: Option<&'s Map<String, Json>>,
}

impl<'s> Fields<'s> {
    /// Whose references point into this document.
    pub fn of(document: &'s Json) -> Self {
        Self { definitions: document.get("$defs").and_then(Json::as_object) }
    }

    /// What stands behind a reference, which may have more of them behind it.
    pub fn resolve(self, schema: &'s Json) -> &'s Json {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.definitions?.get(name)).unwrap_or(schema)
    }

    /// The fields of a map, those of maps in it after the field that holds them.
    pub fn terms(self, schema: &'s Json) -> Vec<Term> {
        let mut terms = Vec::new();
        self.walk(schema, "", DEEPEST, &mut terms);
        terms
    }

    fn walk(self, schema: &'s Json, prefix: &str, levels: usize, terms: &mut Vec<Term>) {
        let Some(levels) = levels.checked_sub(1) else { return };
        let schema = self.resolve(schema);
        for branch in branches(schema) {
            self.walk(branch, prefix, levels, terms);
        }
        let required = list(schema, "required");
        for (name, field) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let path = format!("{prefix}{name}");
            if !terms.iter().any(|term| term.name == path) {
                terms.push(self.term(&path, field, required.iter().any(|one| one.as_str() == Some(name))));
            }
            self.walk_inside(field, &path, levels, terms);
        }
    }

    /// What a field's value is made of: a map's fields, and those of a list's or map's members.
    fn walk_inside(self, field: &'s Json, path: &str, levels: usize, terms: &mut Vec<Term>) {
        let Some(levels) = levels.checked_sub(1) else { return };
        let field = self.resolve(field);
        if field.get("properties").is_some() {
            self.walk(field, &format!("{path}."), levels, terms);
        }
        for branch in branches(field) {
            self.walk_inside(branch, path, levels, terms);
        }
        if let Some(items) = field.get("items") {
            self.walk_inside(items, &format!("{path}[]"), levels, terms);
        }
        if let Some(members) = field.get("additionalProperties").filter(|members| members.is_object()) {
            self.walk_inside(members, &format!("{path}.*"), levels, terms);
        }
    }

    fn term(self, path: &str, field: &'s Json, required: bool) -> Term {
        let mut notes = Vec::new();
        notes.extend(Some(self.kind(field, DEEPEST)).filter(|kind| !kind.is_empty()));
        notes.extend(required.then(|| "required".to_owned()));
        notes.extend(default(field).map(|value| format!("default `{value}`")));
        notes.extend(self.takes_secrets(field, DEEPEST).then(|| "may be a secret".to_owned()));
        let text = field.get("description").or_else(|| self.resolve(field).get("description"));
        let mut text = text.and_then(Json::as_str).unwrap_or_default().to_owned();
        for (value, meaning) in self.choices(field, DEEPEST) {
            text += &format!("\n\n`{value}`: {meaning}");
        }
        Term { name: path.to_owned(), notes, text }
    }

    /// A type in words; nothing for what may stand in any place, an expression or nothing at all.
    fn kind(self, schema: &'s Json, levels: usize) -> String {
        let Some(levels) = levels.checked_sub(1) else { return String::new() };
        if let Some(name) = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next()) {
            let target = self.resolve(schema);
            return match () {
                () if name == "Expression" => String::new(),
                () if target.get("pattern").is_some() => words(name),
                () => self.kind(target, levels),
            };
        }
        let literals: Vec<String> = list(schema, "enum").iter().chain(schema.get("const")).map(literal).collect();
        if !literals.is_empty() {
            return literals.join(", ");
        }
        let all: Vec<&Json> = branches(schema).collect();
        if !all.is_empty() {
            let mut kinds: Vec<String> = Vec::new();
            for kind in all.iter().map(|branch| self.kind(branch, levels)).filter(|kind| !kind.is_empty()) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            let literals = kinds.iter().all(|kind| kind.starts_with('`'));
            return kinds.join(if literals { ", " } else { " or " });
        }
        let types = match schema.get("type") {
            Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
            Some(Json::String(one)) => vec![one.as_str()],
            _ => return "anything".to_owned(),
        };
        let of = |part: &str, word: &str| match schema.get(part).map(|inner| self.kind(inner, levels)) {
            Some(inner) if !inner.is_empty() => format!("{word} of {inner}"),
            _ => word.to_owned(),
        };
        match types.iter().find(|name| **name != "null") {
            Some(&"string") => "text".to_owned(),
            Some(&("integer" | "number")) => "number".to_owned(),
            Some(&"boolean") => "`true`, `false`".to_owned(),
            Some(&"array") => of("items", "list"),
            Some(&"object") if schema.get("properties").is_some() => "map".to_owned(),
            Some(&"object") => of("additionalProperties", "map"),
            _ => String::new(),
        }
    }

    /// The values of a choice that say what they mean.
    fn choices(self, schema: &'s Json, levels: usize) -> Vec<(String, String)> {
        let Some(levels) = levels.checked_sub(1) else { return Vec::new() };
        let choice = |branch: &'s Json| match (branch.get("const"), branch.get("description").and_then(Json::as_str)) {
            (Some(value), Some(meaning)) => vec![(literal(value).trim_matches('`').to_owned(), meaning.to_owned())],
            _ => self.choices(branch, levels),
        };
        branches(self.resolve(schema)).flat_map(choice).collect()
    }

    fn takes_secrets(self, schema: &'s Json, levels: usize) -> bool {
        let Some(levels) = levels.checked_sub(1) else { return false };
        let says = |schema: &Json| schema.get("x-secret").and_then(Json::as_bool) == Some(true);
        let target = self.resolve(schema);
        let parts = ["items", "additionalProperties"].into_iter().filter_map(|part| target.get(part));
        says(schema) || says(target) || branches(target).chain(parts).any(|inner| self.takes_secrets(inner, levels))
    }
}

/// The alternatives of a schema.
fn branches(schema: &Json) -> impl Iterator<Item = &Json> {
    ["anyOf", "oneOf"].into_iter().flat_map(move |part| list(schema, part))
}

fn list<'s>(schema: &'s Json, part: &str) -> &'s [Json] {
    schema.get(part).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The default, which an expression's alternative may hide; an empty one says nothing.
fn default(field: &Json) -> Option<String> {
    let here = field.get("default").or_else(|| branches(field).find_map(|branch| branch.get("default")))?;
    let empty = here.is_null() || here.as_array().is_some_and(Vec::is_empty) || here.as_object().is_some_and(Map::is_empty);
    (!empty).then(|| literal(here).trim_matches('`').to_owned())
}

fn literal(value: &Json) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

/// `AbsolutePath` in words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
