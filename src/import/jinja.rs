//! Expressions of Ansible's Jinja in words of ours: names become what they mean here, and what has no meaning here says so.

mod tokens;

use tokens::{Token, tokens};

use super::yaml::Yaml;
use crate::playbook::expression::{self, Piece};

/// Why something has no translation.
pub type Why = String;

/// What `default(omit)` says where there is no value: the argument is not there.
pub const OMITTED: &str = "\u{0}omitted";

/// What a name means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// An expression of ours.
    Expression(String),
    /// A value, which may hold expressions of ours.
    Value(Yaml),
    /// Nothing is known by this name; why.
    Absent(Why),
}

/// Who knows what names mean.
pub trait Names {
    /// What a name, with what is taken out of it, means.
    ///
    /// # Errors
    /// When it means something that cannot be said.
    fn meaning(&self, root: &str, path: &[String]) -> Result<Meaning, Why>;

    /// What a lookup gives.
    ///
    /// # Errors
    /// When it cannot be had.
    fn lookup(&self, kind: &str, arguments: &[String]) -> Result<Meaning, Why>;

    /// Gives a name that nobody knows this value; whether that could be done.
    fn declare(&self, root: &str, literal: &str) -> bool;
}

/// Filters of ours that mean the same in Ansible.
const FILTERS: [&str; 29] = [
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "items",
    "reverse",
    "trim",
    "join",
    "split",
    "default",
    "round",
    "abs",
    "int",
    "float",
    "first",
    "last",
    "min",
    "max",
    "sort",
    "list",
    "string",
    "bool",
    "unique",
    "indent",
    "b64encode",
    "urlencode",
];

/// Tests that mean the same.
const TESTS: [&str; 10] = ["odd", "even", "number", "string", "sequence", "mapping", "none", "in", "true", "false"];

const KEYWORDS: [&str; 16] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "recursive",
    "range",
    "dict",
];

/// A text with expressions in it.
///
/// # Errors
/// The reason why it cannot be said.
pub fn text(text: &str, names: &dyn Names) -> Result<String, Why> {
    value(text, names).map(|value| as_text(&value))
}

/// The same; a text that is one expression may be more than text.
///
/// # Errors
/// The reason why it cannot be said.
pub fn value(text: &str, names: &dyn Names) -> Result<Yaml, Why> {
    let mut whole = String::new();
    for (index, part) in raw_parts(text).into_iter().enumerate() {
        if index % 2 == 1 {
            whole += &part.replace("{{", "{{ \"{{\" }}");
            continue;
        }
        if part.contains("{%") && part.contains("%}") {
            return Err("statements (`{% … %}`) are for template files here".into());
        }
        if part.contains("{#") && part.contains("#}") {
            return Err("comments (`{# … #}`) are for template files here".into());
        }
        let pieces = expression::pieces(&part).map_err(|_| "a `{{` is never closed".to_owned())?;
        let is_one = pieces.len() == 1 && part.len() == text.len();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => whole += literal,
                Piece::Expression(source) => match translate(source, names)? {
                    Meaning::Value(value) if is_one => return Ok(value),
                    Meaning::Value(value @ (Yaml::Text(_) | Yaml::Word(_))) => whole += &as_text(&value),
                    Meaning::Value(_) => return Err(format!("`{source}` is a list or a map, which cannot be part of a text")),
                    Meaning::Expression(ours) => whole += &format!("{{{{ {ours} }}}}"),
                    Meaning::Absent(why) => return Err(why),
                },
            }
        }
    }
    Ok(Yaml::Text(whole))
}

fn as_text(value: &Yaml) -> String {
    value.text().map_or_else(|| format!("{{{{ {} }}}}", operand(value)), str::to_owned)
}

/// The text outside and inside `{% raw %}`, in turns.
fn raw_parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{% raw %}") {
        let (raw, after) = inside.split_once("{% endraw %}").unwrap_or((inside, ""));
        parts.extend([before.to_owned(), raw.to_owned()]);
        rest = after;
    }
    parts.push(rest.to_owned());
    parts
}

/// A bare expression.
///
/// # Errors
/// The reason why it cannot be said.
pub fn expression(source: &str, names: &dyn Names) -> Result<String, Why> {
    match translate(source, names)? {
        Meaning::Expression(ours) => Ok(ours),
        Meaning::Value(value) => Ok(operand(&value)),
        Meaning::Absent(why) => Err(why),
    }
}

/// A value as part of an expression.
fn operand(value: &Yaml) -> String {
    match value {
        Yaml::Word(word) => word.clone(),
        Yaml::List(items) => format!("[{}]", items.iter().map(operand).collect::<Vec<_>>().join(", ")),
        Yaml::Map(members) => {
            let member = |(key, value): &(String, Yaml)| format!("{}: {}", quoted(key), operand(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Yaml::Text(text) => match expression::pieces(text) {
            Ok(pieces) if expression::is_in(text) => {
                let one = |piece: &Piece<'_>| match piece {
                    Piece::Literal(literal) => quoted(literal),
                    Piece::Expression(source) if pieces.len() == 1 && is_path(source) => (*source).to_owned(),
                    Piece::Expression(source) => format!("({source})"),
                };
                let joined = pieces.iter().map(one).collect::<Vec<_>>().join(" ~ ");
                if pieces.len() == 1 { joined } else { format!("({joined})") }
            }
            _ => quoted(text),
        },
    }
}

fn is_path(source: &str) -> bool {
    source.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
}

fn quoted(text: &str) -> String {
    if text.contains(['"', '\\', '\n']) { serde_json::Value::from(text).to_string() } else { format!("\"{text}\"") }
}

fn translate(source: &str, names: &dyn Names) -> Result<Meaning, Why> {
    let tokens = tokens(source)?;
    let mut at = 0;
    let mut out: Vec<String> = Vec::new();
    let mut single = None;
    let mut count = 0;
    while let Some(token) = tokens.get(at) {
        count += 1;
        match token {
            Token::Path { root, path, call: false } if !KEYWORDS.contains(&root.as_str()) => {
                if is_keyword_argument(&tokens, at) {
                    out.push(root.clone());
                    at += 1;
                    continue;
                }
                let meaning = names.meaning(root, path)?;
                let (meaning, used) = with_what_follows(root, path, meaning, tokens.get(at + 1..).unwrap_or_default(), names)?;
                at += 1 + used;
                match &meaning {
                    Meaning::Absent(why) => return Err(why.clone()),
                    Meaning::Expression(ours) => out.push(ours.clone()),
                    Meaning::Value(value) => out.push(operand(value)),
                }
                single = Some(meaning);
                continue;
            }
            Token::Path { root, call: true, .. } if ["lookup", "query", "q"].contains(&root.as_str()) => {
                let (arguments, used) = arguments(tokens.get(at + 1..).unwrap_or_default(), names)?;
                let (kind, rest) = arguments.split_first().ok_or("a lookup without a name")?;
                let meaning = names.lookup(kind, rest)?;
                match &meaning {
                    Meaning::Absent(why) => return Err(why.clone()),
                    Meaning::Expression(ours) => out.push(ours.clone()),
                    Meaning::Value(value) => out.push(operand(value)),
                }
                single = Some(meaning);
                at += 1 + used;
                continue;
            }
            Token::Path { root, call: true, .. } if root != "range" && root != "dict" => {
                return Err(format!("the function `{root}` is not known here"));
            }
            Token::Path { root, path, .. } if path.is_empty() => out.push(root.to_lowercase()),
            Token::Path { root, .. } => return Err(format!("`{root}` has no parts")),
            Token::Filter(name) => match name.as_str() {
                "mandatory" | "trim_blocks" => {}
                "d" => out.push("| default".into()),
                "to_json" | "to_nice_json" => out.push("| tojson".into()),
                "quote" => out.push("| quote".into()),
                name if FILTERS.contains(&name) => out.push(format!("| {name}")),
                name => return Err(format!("the filter `{name}` has no equivalent here")),
            },
            Token::Test(name) if TESTS.contains(&name.as_str()) => out.push(format!("is {name}")),
            Token::Test(name) => return Err(format!("the test `{name}` has no equivalent here")),
            Token::Text(text) => out.push(quoted(text)),
            Token::Other(other) => out.push(other.clone()),
        }
        at += 1;
    }
    match (single, count) {
        (Some(meaning), 1) => Ok(meaning),
        _ => Ok(Meaning::Expression(join(&out))),
    }
}

/// Words with the blanks that people leave between them.
fn join(words: &[String]) -> String {
    let mut text = String::new();
    for word in words {
        let tight = text.is_empty()
            || text.ends_with(['(', '['])
            || [")", "]", ",", "(", ":"].contains(&word.as_str()) && !ends_with_operator(&text);
        if !tight {
            text.push(' ');
        }
        text += word;
    }
    text
}

fn ends_with_operator(text: &str) -> bool {
    text.ends_with([' ', '=', '<', '>', '+', '~', '*', '/', ','])
        || ["and", "or", "not", "in"].iter().any(|word| text.ends_with(&format!(" {word}")) || text == *word)
}

fn is_keyword_argument(tokens: &[Token], at: usize) -> bool {
    let opened = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token.is("(") || token.is(","));
    opened && tokens.get(at + 1).is_some_and(|token| token.is("="))
}

/// `is defined`, `default(…)` and comparisons with a name that is called otherwise here change what a name means. Gives how many tokens
/// were part of it.
fn with_what_follows(
    root: &str,
    path: &[String],
    meaning: Meaning,
    rest: &[Token],
    names: &dyn Names,
) -> Result<(Meaning, usize), Why> {
    let absent = matches!(meaning, Meaning::Absent(_));
    match rest {
        [Token::Test(test), ..] if ["defined", "undefined", "not defined", "not undefined"].contains(&test.as_str()) => {
            let wanted = test == "defined" || test == "not undefined";
            Ok((Meaning::Value((absent != wanted).into()), 1))
        }
        [Token::Filter(filter), Token::Other(open), value, close, after @ ..]
            if (filter == "default" || filter == "d") && open == "(" && (close.is(")") || close.is(",")) =>
        {
            // `default(x, true)` also replaces what is empty.
            let (boolean, used) =
                if close.is(",") { (true, 4 + after.iter().take_while(|token| !token.is(")")).count() + 1) } else { (false, 4) };
            let literal = match value {
                Token::Path { root, path, call: false } if root == "omit" && path.is_empty() => {
                    return if absent { Err(OMITTED.to_owned()) } else { Ok((meaning, used)) };
                }
                Token::Text(text) => quoted(text),
                Token::Other(number) if number.parse::<f64>().is_ok() => number.clone(),
                Token::Path { root, path, call: false }
                    if path.is_empty() && ["true", "false", "True", "False"].contains(&root.as_str()) =>
                {
                    root.to_lowercase()
                }
                Token::Path { root, path, call: false } if absent => return Ok((names.meaning(root, path)?, used)),
                _ if absent => return Err(format!("`{root}` is defined nowhere, and its default is not a simple value")),
                _ => return Ok((meaning, 0)),
            };
            if !absent {
                return Ok((meaning, if boolean { used } else { 0 }));
            }
            let declared = path.is_empty() && names.declare(root, &literal);
            Ok((if declared { names.meaning(root, path)? } else { Meaning::Expression(literal) }, used))
        }
        [operator, Token::Text(text), ..] if operator.is("==") || operator.is("!=") => {
            let same = super::ansible::facts::compared(root, path, text);
            let negated = if operator.is("==") { "" } else { "not " };
            Ok(same.map_or((meaning, 0), |ours| (Meaning::Expression(format!("{negated}{ours}")), 2)))
        }
        _ => Ok((meaning, 0)),
    }
}

/// What stands between parentheses, translated; keyword arguments as `name=value`. Gives how many tokens that were.
fn arguments(rest: &[Token], names: &dyn Names) -> Result<(Vec<String>, usize), Why> {
    let mut depth = 0_usize;
    let mut end = 0;
    for (index, token) in rest.iter().enumerate() {
        depth += usize::from(token.is("("));
        depth -= usize::from(token.is(")")).min(depth);
        if depth == 0 {
            end = index;
            break;
        }
    }
    let inside = rest.get(1..end).unwrap_or_default();
    let mut all = Vec::new();
    for argument in inside.split(|token| token.is(",")) {
        let (key, tokens) = match argument {
            [Token::Path { root, .. }, equals, value @ ..] if equals.is("=") => (format!("{root}="), value),
            value => (String::new(), value),
        };
        let mut text = String::new();
        for token in tokens {
            match token {
                Token::Text(literal) => text += literal,
                Token::Other(plus) if plus == "+" || plus == "~" => {}
                Token::Path { root, path, call: false } if !KEYWORDS.contains(&root.as_str()) => {
                    match names.meaning(root, path)? {
                        Meaning::Expression(ours) => text += &format!("{{{{ {ours} }}}}"),
                        Meaning::Value(value) => text += &as_text(&value),
                        Meaning::Absent(why) => return Err(why),
                    }
                }
                Token::Path { root, .. } => text += root,
                Token::Other(other) => text += other,
                Token::Filter(name) | Token::Test(name) => return Err(format!("`{name}` within a lookup")),
            }
        }
        all.push(key + &text);
    }
    Ok((all, end + 1))
}

#[cfg(test)]
mod tests;
