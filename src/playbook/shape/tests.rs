//! Table: a small YAML text, what the shape says about it, and what the text became.

use schemars::JsonSchema;

use super::*;
use crate::playbook::node::NodeKind;
use crate::playbook::source::Source;
use crate::playbook::{node::Node, yaml};
use crate::secret::Sensitive;
use crate::step::fields::{Mode, Span};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)] // only its schema is used
struct Wish {
    path: String,
    mode: Option<Mode>,
    within: Option<Span>,
    force: Option<bool>,
    port: Option<u16>,
    ratio: Option<f64>,
    kind: Option<Kind>,
    names: Option<Vec<String>>,
    env: Option<indexmap::IndexMap<String, Sensitive>>,
    section: Option<indexmap::IndexMap<String, OneOrMany>>,
    content: Option<Sensitive>,
    any: Option<serde_json::Value>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum Kind {
    /// One.
    Present,
    /// Two.
    Absent,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn value(node: &Node) -> Value {
    let content = match &node.kind {
        NodeKind::Scalar { text, .. } if text.contains("{{") => Content::Pending { secret: text.contains("secrets") },
        NodeKind::Scalar { text, plain: true } => Content::Plain(text.clone()),
        NodeKind::Scalar { text, .. } => Content::Text(text.clone()),
        NodeKind::List(items) => Content::List(items.iter().map(value).collect()),
        NodeKind::Map(members) => Content::Map(members.iter().map(|(k, n)| (k.clone(), value(n))).collect()),
    };
    Value { mark: node.mark, content }
}

fn fitted(text: &str) -> (Value, Vec<Complaint>) {
    let node = yaml::read(&Source::new("p", text), text).unwrap();
    let mut value = value(&node);
    let complaints = Shape::of::<Wish>().fit(&mut value);
    (value, complaints)
}

#[test]
fn every_problem_is_reported_at_its_place() {
    for (text, expected) in [
        ("path: x\nmod: 1", "2:1 unknown key `mod`; did you mean `mode`?"),
        ("mode: '0640'", "1:1 `path` is missing"),
        ("path:", "1:5 text is missing here; write `\"\"` for empty text"),
        ("path: [x]", "1:7 text is expected here, not a list"),
        ("path: x\nmode: rw", "2:7 `rw` cannot stand here; it must be permission bits in octal, quoted: `\"0640\"`"),
        (
            "path: x\nwithin: 5 minutes",
            "2:9 `5 minutes` cannot stand here; it must be a span of time: `450s`, `7m`, `1h30m`, `7d`",
        ),
        (
            "path: x\nforce: yes",
            "2:8 `true` or `false` is expected here, not `yes`; write `true`; older YAML read this word as a truth value",
        ),
        (
            "path: x\nforce: Off",
            "2:8 `true` or `false` is expected here, not `Off`; write `false`; older YAML read this word as a truth value",
        ),
        (
            "path: x\nforce: 'true'",
            "2:8 `true` or `false` is expected here, not the text `true`; write `true`; quotes make it text",
        ),
        (
            "path: x\nport: 012",
            "2:7 a whole number is expected here, not `012`; write `12`; YAML readers disagree about leading zeros and `+`",
        ),
        (
            "path: x\nport: 1e3",
            "2:7 a whole number is expected here, not `1e3`; write the number in decimal digits; YAML readers disagree about other forms",
        ),
        (
            "path: x\nport: 1:30",
            "2:7 a whole number is expected here, not `1:30`; write the number in decimal digits; YAML readers disagree about other forms",
        ),
        ("path: x\nport: 70000", "2:7 `70000` is more than 65535"),
        ("path: x\nport: -1", "2:7 `-1` is less than 0"),
        ("path: x\nkind: presnet", "2:7 `presnet` is not one of `present`, `absent`; did you mean `present`?"),
        ("path: x\nnames: [a, {b: c}]", "2:12 text is expected here, not a map"),
        ("path: x\nsection: {a: {b: c}}", "2:14 text or a list is expected here, not a map"),
        (
            "path: '{{ secrets.x }}'",
            "1:7 a secret is not allowed here; file contents, env files, keys, passwords, and a command's `env` and `stdin` take secrets",
        ),
        (
            "path: x\nnames: '{{ secrets.x }}'",
            "2:8 a secret is not allowed here; file contents, env files, keys, passwords, and a command's `env` and `stdin` take secrets",
        ),
    ] {
        let said: Vec<String> = fitted(text)
            .1
            .into_iter()
            .map(|c| {
                format!("{}:{} {}{}", c.mark.line, c.mark.column, c.message, c.hint.map_or(String::new(), |h| format!("; {h}")))
            })
            .collect();
        assert_eq!(said, [expected], "{text}");
    }
    assert_eq!(fitted("mod: 1\nforce: yes\nport: x").1.len(), 4);
}

#[test]
fn what_fits_is_settled_by_the_fields_type() {
    let text = "path: no\nforce: true\nport: 8000\nratio: 0.5\nmode: 0640\nnames: [1.10, 012, true]\nsection: {Restart: always, N: 1e3, L: [no]}\n\
                content: '{{ secrets.x }}'\nenv: '{{ secrets.all }}'\nany: [no, true, 8000, 012, 1.10]\nkind: present\nwithin: ~\nx-mine: 1";
    let (value, complaints) = fitted(text);
    assert_eq!(complaints, []);
    let Content::Map(mut members) = value.content else { panic!("a map") };
    members.retain(|(_, value)| !value.is_pending());
    let json = Value { mark: value.mark, content: Content::Map(members) }.to_json().unwrap();
    let expected = serde_json::json!({
        "path": "no", "force": true, "port": 8000, "ratio": 0.5, "mode": "0640", "names": ["1.10", "012", "true"],
        "section": { "Restart": "always", "N": "1e3", "L": ["no"] }, "any": ["no", true, 8000, "012", "1.10"], "kind": "present",
        "within": null
    });
    assert_eq!(json, expected);
}

#[test]
fn an_expression_fits_every_type_but_a_secret_one_does_not() {
    assert_eq!(fitted("path: '{{ a }}'\nforce: '{{ a }}'\nport: '{{ a }}'\nnames: '{{ a }}'\nkind: '{{ a }}'").1, []);
    assert_eq!(fitted("path: x\ncontent: 'a {{ secrets.x }}'\nenv: {A: '{{ secrets.x }}'}").1, []);
    assert_eq!(fitted("path: x\nkind: '{{ secrets.x }}'").1.len(), 1);
}
