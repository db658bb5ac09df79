//! Compares a value with the JSON Schema of what it should be: every problem at once, each with its place. On the way, text without
//! quotes becomes what the field's type wants it to be, and nothing else.

mod scalar;
mod suggest;

pub use suggest::{closest, did_you_mean};

use serde_json::{Map as JsonMap, Value as Json};

use super::node::Key;
use super::source::Mark;
use super::value::{Content, NO_SECRET_HERE, Value};

/// A schema may contain itself; this far it is followed without a value to guide the way.
const DEEPEST: usize = 8;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Where.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Complaint {
    /// A complaint without a hint.
    pub fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self { mark, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// A schema with the definitions its references point to.
#[derive(Debug, Clone)]
pub struct Shape {
    schema: Json,
    definitions: JsonMap<String, Json>,
}

impl Shape {
    /// The shape of what `make` gives.
    pub fn made_by(make: impl FnOnce(&mut schemars::SchemaGenerator) -> schemars::Schema) -> Self {
        let mut generator = schemars::SchemaGenerator::default();
        let schema = make(&mut generator).to_value();
        Self { schema, definitions: generator.take_definitions(true) }
    }

    /// The shape of a type.
    pub fn of<T: schemars::JsonSchema>() -> Self {
        Self::made_by(schemars::SchemaGenerator::subschema_for::<T>)
    }

    /// The shape a finished schema describes.
    #[cfg(test)]
    pub fn of_schema(schema: Json) -> Self {
        let definitions = schema.get("$defs").and_then(Json::as_object).cloned().unwrap_or_default();
        Self { schema, definitions }
    }

    /// Says everything that is wrong with this value, and settles its unquoted texts.
    pub fn fit(&self, value: &mut Value) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        self.fit_to(&self.schema, value, &mut complaints);
        complaints
    }

    /// Whether the field of this name carries an annotation such as `x-template`.
    pub fn field_says(&self, field: &str, annotation: &str) -> bool {
        let object = self.resolve(&self.schema);
        object.get("properties").and_then(|fields| fields.get(field)).is_some_and(|field| self.says(field, annotation))
    }

    /// Whether there is such a field at all.
    pub fn has_field(&self, field: &str) -> bool {
        self.resolve(&self.schema).get("properties").and_then(|fields| fields.get(field)).is_some()
    }

    fn resolve<'s>(&'s self, schema: &'s Json) -> &'s Json {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next());
        match target.and_then(|name| self.definitions.get(name)) {
            Some(definition) => self.resolve(definition),
            None => schema,
        }
    }

    fn says(&self, schema: &Json, annotation: &str) -> bool {
        let here = |schema: &Json| schema.get(annotation).and_then(Json::as_bool) == Some(true);
        here(schema) || here(self.resolve(schema)) || branches(self.resolve(schema)).any(|branch| self.says(branch, annotation))
    }

    /// Whether a secret may stand here or, when one expression stands for a list or map, in it.
    fn takes_secrets(&self, schema: &Json) -> bool {
        self.takes_secrets_within(schema, DEEPEST)
    }

    fn takes_secrets_within(&self, schema: &Json, levels: usize) -> bool {
        let target = self.resolve(schema);
        let Some(levels) = levels.checked_sub(1) else { return false };
        self.says(schema, "x-secret")
            || branches(target).any(|branch| self.takes_secrets_within(branch, levels))
            || ["items", "additionalProperties"]
                .iter()
                .filter_map(|part| target.get(*part))
                .any(|part| part.is_object() && self.takes_secrets_within(part, levels))
    }

    fn fit_to(&self, schema: &Json, value: &mut Value, complaints: &mut Vec<Complaint>) {
        let secret_field = self.takes_secrets(schema);
        let schema = self.resolve(schema);
        match &value.content {
            Content::Pending { secret: true } | Content::Secret(_) if !secret_field => {
                let hint = "file contents, env files, keys, passwords, and a command's `env` and `stdin` take secrets";
                complaints.push(Complaint::new(value.mark, NO_SECRET_HERE).hint(Some(hint.into())));
                return;
            }
            Content::Pending { .. } | Content::Secret(_) => return,
            _ => {}
        }
        for part in schema.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.fit_to(part, value, complaints);
        }
        let branched = branches(schema).next().is_some();
        if branched {
            self.fit_to_one_of(schema, value, complaints);
        }
        // Branches beside fields narrow them (`required`); branches alone are all there is to say.
        if !branched || schema.get("properties").is_some() {
            let types = types(schema);
            match &mut value.content {
                Content::Map(members) if accepts(&types, "object") => self.fit_map(schema, value.mark, members, complaints),
                Content::List(items) if accepts(&types, "array") => {
                    self.fit_list(schema, value.mark, items, complaints);
                }
                Content::Map(_) | Content::List(_) => complaints.push(scalar::unexpected(value, &types)),
                _ => scalar::fit(schema, &types, value, complaints),
            }
        }
    }

    fn fit_list(&self, schema: &Json, mark: Mark, items: &mut [Value], complaints: &mut Vec<Complaint>) {
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            complaints.push(Complaint::new(mark, format!("at least {least} must be listed here")));
        }
        let any = Json::Bool(true);
        let element = schema.get("items").unwrap_or(&any);
        for item in items {
            self.fit_to(element, item, complaints);
        }
    }

    fn fit_map(&self, schema: &Json, mark: Mark, members: &mut Vec<(Key, Value)>, complaints: &mut Vec<Complaint>) {
        let none = JsonMap::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let others = schema.get("additionalProperties").or_else(|| schema.get("unevaluatedProperties"));
        if others == Some(&Json::Bool(false)) {
            // `x-…` keys are the user's own.
            members.retain(|(key, _)| !key.text.starts_with("x-"));
        }
        let any = Json::Bool(true);
        let mut misspelt = None;
        for (key, value) in members.iter_mut() {
            match (properties.get(&key.text), others.unwrap_or(&any)) {
                (Some(property), _) => self.fit_to(property, value, complaints),
                (None, Json::Bool(false)) => {
                    let message = format!("unknown key `{}`", key.text);
                    misspelt = closest(&key.text, properties.keys().map(String::as_str)).or(misspelt);
                    let hint = did_you_mean(&key.text, properties.keys().map(String::as_str));
                    complaints.push(Complaint::new(key.mark, message).hint(hint));
                }
                (None, others) => self.fit_to(others, value, complaints),
            }
        }
        for name in required(schema) {
            // One mistake, one problem: the misspelt key is reported above.
            if misspelt != Some(name) && !members.iter().any(|(key, _)| key.text == name) {
                complaints.push(Complaint::new(mark, format!("`{name}` is missing")));
            }
        }
    }

    /// The types of a schema, through its branches.
    fn kinds<'s>(&'s self, schema: &'s Json) -> Vec<&'s str> {
        let schema = self.resolve(schema);
        let own = types(schema);
        if own.is_empty() { branches(schema).flat_map(|branch| self.kinds(branch)).collect() } else { own }
    }

    /// The words a schema allows, through its branches.
    fn words<'s>(&'s self, schema: &'s Json) -> Vec<&'s str> {
        let schema = self.resolve(schema);
        let below = branches(schema).flat_map(|branch| self.words(branch));
        suggest::allowed(schema).into_iter().chain(below).collect()
    }

    /// The first branch that fits wins; else the complaints of the branch that was most likely meant.
    fn fit_to_one_of(&self, schema: &Json, value: &mut Value, complaints: &mut Vec<Complaint>) {
        let mut best: Option<Vec<Complaint>> = None;
        let mut words = Vec::new();
        for branch in branches(schema) {
            let mut candidate = value.clone();
            let mut found = Vec::new();
            self.fit_to(branch, &mut candidate, &mut found);
            if found.is_empty() {
                *value = candidate;
                return;
            }
            let branch = self.resolve(branch);
            words.extend(self.words(branch));
            let same_kind = self.kinds(branch).iter().any(|name| value.content.is_a(name)) && branch.get("const").is_none();
            if same_kind && best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
        match (best, &value.content) {
            (_, Content::Plain(text) | Content::Text(text)) if !words.is_empty() => {
                complaints.push(suggest::not_one_of(value.mark, text, &words));
            }
            (Some(found), _) => complaints.extend(found),
            // Nothing but which keys go together: what is missing says it best.
            (None, Content::Map(members)) if self.kinds(schema).is_empty() || schema.get("properties").is_some() => {
                let keys: Vec<&str> = branches(schema).flat_map(|branch| required(self.resolve(branch))).collect();
                let key = members.first().map_or(value.mark, |(key, _)| key.mark);
                complaints.push(Complaint::new(key, format!("one of {} is needed here", suggest::listed(&keys))));
            }
            (None, _) => {
                let types = self.kinds(schema);
                complaints.push(scalar::unexpected(value, &types));
            }
        }
    }
}

impl Content {
    fn is_a(&self, name: &str) -> bool {
        match self {
            Self::Map(_) => name == "object",
            Self::List(_) => name == "array",
            Self::Null => name == "null",
            Self::Bool(_) => name == "boolean",
            Self::Integer(_) | Self::Float(_) => matches!(name, "integer" | "number"),
            Self::Plain(_) | Self::Text(_) => name == "string",
            Self::Secret(_) | Self::Pending { .. } => true,
        }
    }
}

fn branches(schema: &Json) -> impl Iterator<Item = &Json> {
    ["anyOf", "oneOf"].iter().filter_map(|word| schema.get(*word)?.as_array()).flatten()
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// The types a schema names; none means any.
fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("const").is_some_and(Json::is_string) || schema.get("enum").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn accepts(types: &[&str], name: &str) -> bool {
    types.is_empty() || types.contains(&name)
}

#[cfg(test)]
mod tests;
