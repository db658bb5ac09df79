//! The JSON Schema of a whole playbook, made from the same types that read it, for editors: complete while typing, underline what
//! `agent check` would refuse.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::Lifecycle;
use super::document::{KEYS, Settings, VERSION};
use super::entry::Common;
use super::parts::INCLUDE;
use super::secrets::Declaration;
use crate::logs::settings::LogSettings;
use crate::step::StepType;

/// The schema of a playbook made of these types.
pub fn of(types: &[StepType]) -> Json {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let step = step(types, &mut generator);
    let mut properties = fields_of::<Settings>(&mut generator);
    properties.insert("version".into(), json!({ "const": VERSION.parse::<u32>().unwrap_or(1), "description": "The language." }));
    properties.insert("vars".into(), vars());
    let secret = with_expressions(generator.subschema_for::<Declaration>().to_value());
    let secret = json!({ "anyOf": [{ "type": "string" }, secret] });
    properties.insert(
        "secrets".into(),
        json!({ "type": "object", "description": "Read once, before anything changes.", "additionalProperties": secret }),
    );
    properties.insert("lifecycle".into(), generator.subschema_for::<Lifecycle>().to_value());
    properties.insert("logs".into(), generator.subschema_for::<LogSettings>().to_value());
    let text = json!({ "type": ["string", "number", "boolean"] });
    let about = "Given to every program that is started.";
    properties.insert("env".into(), json!({ "type": "object", "description": about, "additionalProperties": text }));
    properties.insert("steps".into(), json!({ "type": "array", "description": "The steps.", "items": step }));
    let properties: Map<String, Json> =
        KEYS.iter().filter_map(|key| Some(((*key).to_owned(), properties.remove(*key)?))).collect();

    let definitions = generator.take_definitions(true).into_iter().map(|(name, schema)| (name, with_expressions(schema)));
    let mut definitions: Map<String, Json> = definitions.collect();
    definitions.insert(
        "Expression".into(),
        json!({ "type": "string", "pattern": "\\{\\{", "description": "An expression: `\"{{ name }}\"`." }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A playbook of bootstrap-agent",
        "type": "object",
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
        "required": ["version", "steps"],
        "$defs": definitions,
    })
}

/// One entry of `steps:`: the common keys and exactly one type.
fn step(types: &[StepType], generator: &mut SchemaGenerator) -> Json {
    let mut properties = fields_of::<Common>(generator);
    let mut one_of = Vec::new();
    for step_type in types {
        let schema = step_type.schema(generator).to_value();
        let whole = match step_type.shorthand.and_then(|field| shorthand(&schema, field, generator.definitions())) {
            Some(short) => json!({ "anyOf": [schema, with_expressions_here(short)] }),
            None => schema,
        };
        properties.insert(step_type.kind.into(), whole);
        one_of.push(json!({ "required": [step_type.kind] }));
    }
    properties.insert(INCLUDE.into(), include());
    one_of.push(json!({ "required": [INCLUDE] }));
    let mut step = json!({
        "type": "object",
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    });
    if let Some(step) = step.as_object_mut() {
        step.insert("oneOf".into(), one_of.into());
    }
    step
}

/// The entry that is no step.
fn include() -> Json {
    json!({
        "description": "The steps of another file, in this place; they are known as `NAME/ID`.",
        "anyOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": {
                    "file": { "type": "string", "description": "A file beside the playbook, with `version`, `vars` and `steps`." },
                    "vars": { "type": "object", "description": "Values for its variables." },
                },
                "additionalProperties": false,
                "required": ["file"],
            },
        ],
    })
}

/// The schema of the one obvious field.
fn shorthand(schema: &Json, field: &str, definitions: &Map<String, Json>) -> Option<Json> {
    let name = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next());
    let target = name.and_then(|name| definitions.get(name)).unwrap_or(schema);
    target.get("properties")?.get(field).cloned()
}

fn fields_of<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Json> {
    let mut schema = T::json_schema(generator).to_value();
    match schema.get_mut("properties").map(Json::take) {
        Some(Json::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn vars() -> Json {
    json!({
        "type": "object",
        "description": "Values that expressions use; overridden by `--vars FILE` and `--set name=value`.",
        "additionalProperties": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "required": { "type": "boolean", "description": "A value must be given." },
                        "default": { "description": "The value, unless another is given." },
                        "one_of": { "type": "array", "description": "The values it may have." },
                        "description": { "type": "string", "description": "What it is for." },
                    },
                },
                true,
            ],
        },
    })
}

/// The schema with room for an expression wherever a value stands, and for text written without quotes.
fn with_expressions(mut schema: Json) -> Json {
    let Some(object) = schema.as_object_mut() else { return schema };
    if let Some(fields) = object.get_mut("properties").and_then(Json::as_object_mut) {
        for field in fields.values_mut() {
            *field = with_expressions_here(field.take());
        }
    }
    for part in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(part).filter(|inner| inner.is_object()) {
            *inner = with_expressions_here(inner.take());
        }
    }
    for part in ["anyOf", "oneOf", "allOf"] {
        for branch in object.get_mut(part).and_then(Json::as_array_mut).into_iter().flatten() {
            *branch = with_expressions(branch.take());
        }
    }
    schema
}

fn with_expressions_here(schema: Json) -> Json {
    let mut schema = with_expressions(schema);
    let free = ["pattern", "enum", "const", "minLength"].iter().all(|bound| schema.get(*bound).is_none());
    let types: Vec<String> = match schema.get("type") {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if free && types.iter().any(|name| name == "string") {
        // `PORT: 8000` is text where text is wanted; so an editor must not complain about it.
        let more = ["number", "boolean"].into_iter().filter(|name| !types.iter().any(|known| known == name));
        let all: Vec<&str> = types.iter().map(String::as_str).chain(more).collect();
        if let Some(object) = schema.as_object_mut() {
            object.insert("type".into(), json!(all));
        }
        return schema;
    }
    if schema.is_boolean() || schema.as_object().is_some_and(Map::is_empty) {
        return schema;
    }
    let description = schema.as_object_mut().and_then(|object| object.remove("description"));
    let mut open = json!({ "anyOf": [schema, { "$ref": "#/$defs/Expression" }] });
    if let (Some(object), Some(description)) = (open.as_object_mut(), description) {
        object.insert("description".into(), description);
    }
    open
}

#[cfg(test)]
mod tests;
