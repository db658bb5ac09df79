//! Finds the expressions in a text, and the names an expression uses without evaluating it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::Environment;
use minijinja::value::ValueKind;

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'t> {
    /// As it stands.
    Literal(&'t str),
    /// What stands between `{{` and `}}`.
    Expression(&'t str),
}

/// Whether there is an expression in this text.
pub fn is_in(text: &str) -> bool {
    text.contains("{{")
}

/// Cuts a text into its pieces. Only `{{ … }}` means anything in a value: `{%` and `{#` are left to shells and other templates.
///
/// # Errors
/// The rest of the text from a `{{` on that nothing closes.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (literal, from) = rest.split_at(start);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let end = closing(from).ok_or(from)?;
        pieces.push(Piece::Expression(from.get(2..end).unwrap_or_default().trim()));
        rest = from.get(end + 2..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Where the `}}` of the expression at the start of this text stands; quotes and braces inside it are skipped.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut braces = 0_usize;
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(2) {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '{') => braces += 1,
            (None, '}') if braces > 0 => braces -= 1,
            (None, '}') if text.get(at + 1..).is_some_and(|rest| rest.starts_with('}')) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Our environment: strict about what is not defined, no way to the file system, nothing that prints the names around it. It never
/// changes, so it is made once.
pub fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(make_environment);
    &ENVIRONMENT
}

fn make_environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_recursion_limit(100);
    environment.remove_global("debug");
    environment.remove_filter("pprint");
    environment.add_filter("tojson", super::filters::tojson);
    environment.add_filter("b64encode", super::filters::b64encode);
    environment.add_filter("urlencode", super::filters::urlencode);
    environment.add_filter("quote", super::filters::quote);
    // As in values: `true`, not `True`, and no bytes that are no text.
    environment.set_formatter(|out, state, value| match (value.kind(), value.as_bytes()) {
        (ValueKind::Bool, _) => out.write_str(if value.is_true() { "true" } else { "false" }).map_err(minijinja::Error::from),
        (ValueKind::Bytes, Some(bytes)) if std::str::from_utf8(bytes).is_err() => {
            let because = "a binary secret cannot be part of a text; `b64encode` makes text of it";
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, because))
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    let mut syntax = minijinja::syntax::SyntaxConfig::default().to_builder();
    // A file ends as its template ends, and a line that holds only a statement leaves no empty line.
    if let Ok(syntax) = syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment
}

/// `steps.my-id.x` would be a subtraction, `steps.base/code.x` a division; for the ids that are known it means `steps["my-id"].x`.
pub fn with_ids_quoted<'i>(expression: &str, ids: impl IntoIterator<Item = &'i str>) -> String {
    let mut text = expression.to_owned();
    let mut ids: Vec<&str> = ids.into_iter().filter(|id| id.contains(['-', '/'])).collect();
    // The longest first, so that `app` does not take the start of `app-code`.
    ids.sort_by_key(|id| std::cmp::Reverse(id.len()));
    for id in ids {
        let dotted = format!("steps.{id}");
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(&dotted)).map(|at| at + from) {
            let end = at + dotted.len();
            let goes_on = text.get(end..).and_then(|rest| rest.chars().next());
            if goes_on.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                from = end;
                continue;
            }
            let quoted = format!("steps[\"{id}\"]");
            text.replace_range(at..end, &quoted);
            from = at + quoted.len();
        }
    }
    text
}

/// The names an expression reads, dotted as far as they are literal: `user`, `secrets.key`, `steps.code.commit`.
///
/// # Errors
/// What is wrong with the expression's syntax.
pub fn names(environment: &Environment<'_>, expression: &str) -> Result<BTreeSet<String>, String> {
    let compiled = environment.compile_expression_owned(expression.to_owned()).map_err(|error| fault(&error))?;
    let mut names: BTreeSet<String> = compiled.undeclared_variables(true).into_iter().collect();
    add_subscripts(expression, &mut names);
    Ok(names)
}

/// The same for a whole template.
///
/// # Errors
/// The line and what is wrong there.
pub fn names_of_template(environment: &Environment<'_>, text: &str) -> Result<BTreeSet<String>, (usize, String)> {
    let compiled =
        environment.template_from_named_str("template", text).map_err(|error| (error.line().unwrap_or(1), fault(&error)))?;
    let mut names: BTreeSet<String> = compiled.undeclared_variables(true).into_iter().collect();
    add_subscripts(text, &mut names);
    Ok(names)
}

/// The step whose output a name is.
pub fn step_of(name: &str) -> Option<&str> {
    name.strip_prefix("steps.").and_then(|rest| rest.split('.').next())
}

/// `steps["x"]` and `secrets['x']` are told to us as `steps` and `secrets` only.
fn add_subscripts(text: &str, names: &mut BTreeSet<String>) {
    for root in ["steps", "secrets"] {
        for (at, _) in text.match_indices(&format!("{root}[")) {
            let subscript = text.get(at + root.len() + 1..).unwrap_or_default().trim_start();
            let Some(quote) = subscript.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
            if let Some(key) = subscript.get(1..).and_then(|rest| rest.split(quote).next()) {
                names.insert(format!("{root}.{key}"));
            }
        }
    }
}

/// A template engine's error in our words: its detail, which names no file.
pub fn fault(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_found_among_quotes_and_braces() {
        for (text, expected) in [
            ("plain {% raw %} ${#x}", vec![Piece::Literal("plain {% raw %} ${#x}")]),
            ("{{ a }}", vec![Piece::Expression("a")]),
            ("{{ a }}/{{b}}.", vec![Piece::Expression("a"), Piece::Literal("/"), Piece::Expression("b"), Piece::Literal(".")]),
            ("{{ '}}' ~ \"\\\"}}\" }}x", vec![Piece::Expression("'}}' ~ \"\\\"}}\""), Piece::Literal("x")]),
            ("{{ {'a': {'b': 1}} }}", vec![Piece::Expression("{'a': {'b': 1}}")]),
            ("ü{{ a }}", vec![Piece::Literal("ü"), Piece::Expression("a")]),
        ] {
            assert_eq!(pieces(text), Ok(expected), "{text}");
        }
        assert_eq!(pieces("a {{ b }"), Err("{{ b }"));
    }

    #[test]
    fn the_names_of_an_expression_are_known_without_running_it() {
        let read = |text| names(environment(), text).map(|names| names.into_iter().collect::<Vec<_>>().join(" "));
        assert_eq!(read("user ~ secrets.key.part | upper").as_deref(), Ok("secrets.key.part user"));
        assert_eq!(read("steps[\"my-id\"].x").as_deref(), Ok("steps steps.my-id"));
        assert!(read("a +").is_err());
        assert_eq!(names_of_template(environment(), "a\n{% if x %}\n").unwrap_err().0, 2);
    }

    #[test]
    fn known_ids_with_hyphens_may_be_dotted() {
        let ids = ["code", "app-code", "app-code-2", "app-code/a", "base/code"];
        assert_eq!(
            with_ids_quoted("steps.base/code.x ~ steps.app-code/a.y", ids),
            "steps[\"base/code\"].x ~ steps[\"app-code/a\"].y"
        );
        assert_eq!(with_ids_quoted("steps.app-code.x - steps.code.y", ids), "steps[\"app-code\"].x - steps.code.y");
        assert_eq!(with_ids_quoted("steps.app-code-2.x", ids), "steps[\"app-code-2\"].x");
        assert_eq!(with_ids_quoted("steps.app-codes", ids), "steps.app-codes");
    }
}
