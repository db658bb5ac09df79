//! Finds what is assigned to something that is called a password, secret, token or API key: `name=value`, `"name": "value"`,
//! `--name value`.
//!
//! A log is prose too (`token: expected a string`, `token_count=5`), so a pattern only proposes, and what it proposes is judged.

use std::ops::Range;

use regex::bytes::{Captures, Regex};

/// The name up to the value. What the name goes on with decides: `token_count` is none, `secret_access_key` is one.
pub(super) const ASSIGNED: &str = r#"(?i)(?:(?P<aws>aws_?secret_?access_?key|aws_?session_?token|x-amz-security-token|secretaccesskey)|(?P<password>password|passwd|passphrase)|(?P<secret>secret|token|api[_-]?key)(?:[_-]?(?:access)?[_-]?key)?)(?:\\*["'])?\]?[ \t]{0,4}(?:=>|:=|=|(?P<colon>:))[ \t]{0,4}"#;
/// The same as an option of a command line.
pub(super) const OPTION: &str =
    r"(?i)--[a-z0-9_-]*?(?:(?P<password>password|passwd|passphrase)|(?P<secret>secret|token|api[_-]?key)(?:[_-]?key)?)[ \t]+";
/// The literals one of which every assignment has.
pub(super) const LITERALS: &[&str] = &[
    "assw", "assW", "ASSW", "assphr", "ASSPHR", "ecret", "ECRET", "token", "Token", "TOKEN", "pi_key", "pi-key", "pikey",
    "piKey", "pi-Key", "PI_KEY", "PIKEY", "PI-KEY",
];

/// Shorter tokens are words and numbers.
const SHORTEST_TOKEN: usize = 8;
/// What stands where a value would: nothing to hide.
const PLACEHOLDERS: [&str; 8] = ["null", "none", "nil", "true", "false", "undefined", "required", "redacted"];

/// Where a value stands.
struct Value {
    at: Range<usize>,
    quoted: bool,
}

/// The value behind each match of the pattern, where it is worth hiding.
pub(super) fn find(pattern: &Regex, text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    for captures in pattern.captures_iter(text) {
        let Some(start) = captures.get(0).map(|whole| whole.end()) else { continue };
        let value = value_at(text, start);
        if is_worth_hiding(&captures, text, &value) {
            found(value.at);
        }
    }
}

fn value_at(text: &[u8], start: usize) -> Value {
    let rest = text.get(start..).unwrap_or_default();
    // Python's `b'…'`.
    let prefix = usize::from(matches!(rest, [b'b' | b'r' | b'u', b'"' | b'\'', ..]));
    let escapes = rest.iter().skip(prefix).take_while(|byte| **byte == b'\\').count();
    let open = prefix + escapes;
    match rest.get(open) {
        Some(quote @ (b'"' | b'\'')) => {
            let length = length_of_quoted(rest.get(open + 1..).unwrap_or_default(), *quote, escapes);
            Value { at: start + open + 1..start + open + 1 + length, quoted: true }
        }
        _ => Value { at: start..start + length_of_bare(rest), quoted: false },
    }
}

/// Up to the quote that is escaped as often as the one it began with.
fn length_of_quoted(rest: &[u8], quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'\\' => backslashes += 1,
            b'\n' => return at,
            byte if *byte == quote && if escapes == 0 { backslashes % 2 == 0 } else { backslashes <= escapes } => {
                return at - backslashes.min(escapes);
            }
            _ => backslashes = 0,
        }
    }
    rest.len()
}

/// Up to a space or quote, the next argument of a URL, or the next assignment.
fn length_of_bare(rest: &[u8]) -> usize {
    let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || b"\"'&<".contains(byte)).unwrap_or(rest.len());
    let mut value = rest.get(..end).unwrap_or_default();
    let separators = value.iter().enumerate().filter(|(_, byte)| b",;".contains(byte)).map(|(at, _)| at);
    for at in separators {
        if begins_assignment(value.get(at + 1..).unwrap_or_default()) {
            value = value.get(..at).unwrap_or_default();
            break;
        }
    }
    while let [head @ .., b',' | b';' | b'.' | b')' | b'}' | b']' | b'\\'] = value {
        value = head;
    }
    value.len()
}

fn begins_assignment(rest: &[u8]) -> bool {
    let name = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count();
    name > 0 && matches!(rest.get(name), Some(b'=' | b':'))
}

fn is_worth_hiding(captures: &Captures<'_>, text: &[u8], value: &Value) -> bool {
    let bytes = text.get(value.at.clone()).unwrap_or_default();
    let is_placeholder = PLACEHOLDERS.iter().any(|word| bytes.eq_ignore_ascii_case(word.as_bytes()))
        || ["*", "<", "${", "$(", "{{", "[", "=", "%s", "{", "("].iter().any(|start| bytes.starts_with(start.as_bytes()))
        || is_variable(bytes);
    if bytes.is_empty() || is_placeholder && !value.quoted || is_placeholder && bytes.len() < SHORTEST_TOKEN {
        return false;
    }
    if captures.name("password").is_none() && bytes.len() < SHORTEST_TOKEN {
        return false;
    }
    // `password: must be long`, but not `password: hunter2 for bob`.
    let is_prose = captures.name("colon").is_some()
        && !value.quoted
        && bytes.iter().all(u8::is_ascii_alphabetic)
        && matches!(text.get(value.at.end..), Some([b' ', next, ..]) if next.is_ascii_alphabetic());
    // `--password --verbose`.
    let is_option = captures.name("colon").is_none() && bytes.starts_with(b"--");
    !is_prose && !is_option
}

/// `$PASSWORD`: the shell's word for it.
fn is_variable(bytes: &[u8]) -> bool {
    let name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    matches!(bytes, [b'$', rest @ ..] if !rest.is_empty() && rest.iter().all(name))
}
