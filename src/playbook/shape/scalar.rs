//! What a scalar means where a certain type is wanted: text is read as it is written; a truth value or a number only when nobody
//! could read it otherwise.

use serde_json::Value as Json;

use super::suggest;
use super::{Complaint, accepts};
use crate::playbook::value::{Content, Value};

/// Settles a scalar by the types the schema accepts, and checks the schema's bounds.
pub fn fit(schema: &Json, types: &[&str], value: &mut Value, complaints: &mut Vec<Complaint>) {
    if let Some(settled) = settle(types, &value.content) {
        value.content = settled;
        bounds(schema, value, complaints);
    } else {
        complaints.push(unexpected(value, types));
    }
}

fn settle(types: &[&str], content: &Content) -> Option<Content> {
    let wants = |name| accepts(types, name);
    Some(match content {
        Content::Plain(text) => match text.as_str() {
            "" | "~" | "null" if wants("null") => Content::Null,
            "" => return None,
            // Any type at all is no wish for a truth value, but `true` and `8000` have only one reading.
            "true" | "false" if wants("boolean") => Content::Bool(text == "true"),
            _ => match (decimal(text), text.parse::<f64>()) {
                (Some(number), _) if wants("integer") => Content::Integer(number),
                (_, Ok(number)) if types.contains(&"number") && is_decimal_fraction(text) => Content::Float(number),
                _ if wants("string") => Content::Text(text.clone()),
                _ => return None,
            },
        },
        Content::Text(_) if wants("string") => content.clone(),
        Content::Bool(_) if wants("boolean") => content.clone(),
        Content::Integer(_) if wants("integer") || wants("number") => content.clone(),
        Content::Float(_) if wants("number") => content.clone(),
        Content::Null if wants("null") => Content::Null,
        // The value of an expression: a number or truth value is as good as its text.
        Content::Bool(value) if wants("string") => Content::Text(value.to_string()),
        Content::Integer(value) if wants("string") => Content::Text(value.to_string()),
        Content::Float(value) if wants("string") => Content::Text(value.to_string()),
        _ => return None,
    })
}

/// A whole number as everybody writes it: no leading zero, no `+`, no `_`, no exponent.
pub fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn is_decimal_fraction(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) && digits.split('.').count() <= 2
}

/// The complaint about a value of the wrong type, with a hint where an older YAML would have read it differently.
pub fn unexpected(value: &Value, types: &[&str]) -> Complaint {
    let mut wanted: Vec<&str> = types.iter().filter(|name| **name != "null").map(|name| word(name)).collect();
    wanted.dedup();
    let wanted = match wanted.as_slice() {
        [] => "something else".to_owned(),
        names => names.join(" or "),
    };
    let (found, text) = match &value.content {
        Content::Plain(text) if text.is_empty() => {
            return Complaint::new(value.mark, format!("{wanted} is missing here"))
                .hint(types.contains(&"string").then(|| "write `\"\"` for empty text".to_owned()));
        }
        Content::Null => ("nothing".to_owned(), None),
        Content::Plain(text) => (format!("`{text}`"), Some(text)),
        Content::Text(text) => (format!("the text `{}`", shortened(text)), Some(text)),
        Content::Bool(value) => (format!("`{value}`"), None),
        Content::Integer(value) => (format!("`{value}`"), None),
        Content::Float(value) => (format!("`{value}`"), None),
        Content::List(_) => ("a list".to_owned(), None),
        Content::Map(_) => ("a map".to_owned(), None),
        Content::Secret(_) | Content::Pending { .. } => ("an expression".to_owned(), None),
    };
    let quoted = matches!(value.content, Content::Text(_));
    let hint = text.and_then(|text| advice(text, quoted, types));
    Complaint::new(value.mark, format!("{wanted} is expected here, not {found}")).hint(hint)
}

fn advice(text: &str, quoted: bool, types: &[&str]) -> Option<String> {
    if types.contains(&"boolean") {
        let meant = match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "on" | "true" => "true",
            "no" | "n" | "off" | "false" => "false",
            _ => return None,
        };
        let why = if quoted { "quotes make it text" } else { "older YAML read this word as a truth value" };
        return Some(format!("write `{meant}`; {why}"));
    }
    if !types.contains(&"integer") && !types.contains(&"number") {
        return None;
    }
    if quoted && decimal(text).is_some() {
        return Some(format!("write `{text}`; quotes make it text"));
    }
    let digits = text.trim_start_matches(['+', '-', '0']);
    if text.contains(['_', ':', 'x', 'o', 'e', 'E']) && text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("write the number in decimal digits; YAML readers disagree about other forms".to_owned());
    }
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| format!("write `{digits}`; YAML readers disagree about leading zeros and `+`"))
}

fn word(name: &str) -> &str {
    match name {
        "string" => "text",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 40 || line.len() < text.trim_end().len() {
        format!("{}…", line.chars().take(40).collect::<String>())
    } else {
        line.to_owned()
    }
}

/// Enumerations, patterns and bounds.
fn bounds(schema: &Json, value: &Value, complaints: &mut Vec<Complaint>) {
    match &value.content {
        Content::Text(text) => {
            let words = suggest::allowed(schema);
            if !words.is_empty() && !words.contains(&text.as_str()) {
                complaints.push(suggest::not_one_of(value.mark, text, &words));
            }
            let pattern = schema.get("pattern").and_then(Json::as_str).and_then(|p| regex_lite::Regex::new(p).ok());
            if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
                let hint = schema.get("description").and_then(Json::as_str).map(first_sentence);
                complaints.push(Complaint::new(value.mark, format!("`{}` cannot stand here", shortened(text))).hint(hint));
            }
            let least = schema.get("minLength").and_then(Json::as_u64).unwrap_or(0);
            if (text.chars().count() as u64) < least {
                complaints.push(Complaint::new(value.mark, "this text is too short"));
            }
        }
        Content::Integer(number) => {
            let bound = |name: &str| schema.get(name).and_then(Json::as_i64);
            if let Some(least) = bound("minimum").filter(|least| number < least) {
                complaints.push(Complaint::new(value.mark, format!("`{number}` is less than {least}")));
            }
            if let Some(most) = bound("maximum").filter(|most| number > most) {
                complaints.push(Complaint::new(value.mark, format!("`{number}` is more than {most}")));
            }
        }
        _ => {}
    }
}

/// A schema's description as a hint: its first sentence, in the style of messages.
fn first_sentence(description: &str) -> String {
    let line = description.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut letters = line.chars();
    letters.next().map_or_else(String::new, |first| format!("it must be {}{}", first.to_lowercase(), letters.as_str()))
}
