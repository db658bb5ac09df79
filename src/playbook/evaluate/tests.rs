//! Table: expression in, value, secret, unknown or fault out.

use indexmap::IndexMap;

use super::*;
use crate::playbook::InstanceValues;
use crate::playbook::names::SecretKind;
use crate::secret::Redactor;
use crate::step::{Outputs, Value as Output};

fn scope() -> Scope {
    let vars = IndexMap::from([
        ("user".to_owned(), serde_json::json!("ubuntu")),
        ("port".to_owned(), serde_json::json!(8000)),
        ("names".to_owned(), serde_json::json!(["a", "b"])),
    ]);
    let map = IndexMap::from([
        ("DB".to_owned(), Sensitive::Secret(Secret::new("db-password"))),
        ("MODE".to_owned(), Sensitive::Plain("prod".into())),
    ]);
    let secrets = IndexMap::from([
        ("key".to_owned(), Fetched::One(Sensitive::Secret(Secret::new("hunter2hunter2")))),
        ("blob".to_owned(), Fetched::One(Sensitive::Secret(Secret::new([0xff, 0xfe])))),
        ("all".to_owned(), Fetched::Map(map)),
    ]);
    let outputs = Outputs::from([("commit".to_owned(), Output::from("abc")), ("later".to_owned(), Output::Unknown)]);
    Scope {
        name: "demo".into(),
        vars,
        secrets: Some(secrets),
        values: InstanceValues { instance: None, os: serde_json::json!({"id": "debian"}) },
        steps: IndexMap::from([("my-code".to_owned(), outputs)]),
        redactor: Redactor::new(),
    }
}

fn declared() -> Arc<Declared> {
    let kind = |is_map| SecretKind { is_map, secret: None };
    Arc::new(Declared {
        vars: vec!["user".into(), "port".into(), "names".into()],
        secrets: IndexMap::from([("key".into(), kind(false)), ("all".into(), kind(true)), ("blob".into(), kind(false))]),
        steps: vec!["my-code".into(), "skipped".into()],
        ..Declared::default()
    })
}

fn told(text: &str) -> String {
    tell(Evaluator::new(&scope(), &declared(), Without::Unknown).text(text))
}

fn tell(result: Result<Content, Stop>) -> String {
    match result {
        Ok(content) => tell_content(&content),
        Err(Stop::Unknown(why)) => format!("unknown: {why}"),
        Err(Stop::Wrong { because, .. }) => format!("wrong: {because}"),
    }
}

fn tell_content(content: &Content) -> String {
    match content {
        Content::Secret(secret) => format!("secret {}", String::from_utf8_lossy(secret.expose())),
        Content::Map(members) => members
            .iter()
            .map(|(key, value)| format!("{}={}", key.text, tell_content(&value.content)))
            .collect::<Vec<_>>()
            .join(" "),
        Content::List(items) => items.iter().map(|item| tell_content(&item.content)).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_expression_alone_keeps_its_type_and_the_rest_is_text() {
    for (text, expected) in [
        ("{{ port }}", "Integer(8000)"),
        ("{{ port }}!", "Text(\"8000!\")"),
        ("{{ port > 80 }}", "Bool(true)"),
        ("{{ names }}", "Text(\"a\"),Text(\"b\")"),
        ("{{ name }}-{{ user | upper }}", "Text(\"demo-UBUNTU\")"),
        ("{{ os.id }}", "Text(\"debian\")"),
        ("{{ steps.my-code.commit }}", "Text(\"abc\")"),
        ("{{ none }}", "Null"),
        ("x{{ names }}", "wrong: a list cannot be part of a text; `join` makes text of it"),
        ("{{ usr }}", "wrong: unknown variable `usr`"),
        ("{{ user.first }}", "wrong: this has no value"),
        ("{{ steps.my-code.comit }}", "wrong: step `my-code` has no output `comit`"),
        ("{{ secrets.all.DX }}", "wrong: `secrets.all` has no `DX`"),
        ("a {{ user", "wrong: this `{{` is never closed"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn whatever_reads_a_secret_becomes_one() {
    for (text, expected) in [
        ("{{ secrets.key }}", "secret hunter2hunter2"),
        ("postgres://{{ user }}:{{ secrets.all.DB | urlencode }}@h", "secret postgres://ubuntu:db-password@h"),
        ("{{ secrets.key | length }}", "secret 14"),
        ("{{ secrets.key == 'x' }}", "secret false"),
        ("{{ [secrets.key, 'x'] }}", "secret hunter2hunter2,secret x"),
        ("{{ secrets.all }}", "DB=secret db-password MODE=Text(\"prod\")"),
        ("{{ secrets.all.MODE }}", "Text(\"prod\")"),
        ("{{ secrets.blob }}", "secret \u{fffd}\u{fffd}"),
        ("x{{ secrets.blob }}", "wrong: a binary secret cannot be part of a text; `b64encode` makes text of it"),
        ("{{ secrets.blob | b64encode }}", "secret //4="),
        ("{{ secrets.key | round }}", "wrong: this fails; why is not said, because a secret is involved"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn what_is_made_from_a_secret_is_redacted_whole() {
    let scope = scope();
    Evaluator::new(&scope, &declared(), Without::Unknown).text("prefix-{{ secrets.key }}").unwrap();
    assert_eq!(scope.redactor.clean("it is prefix-hunter2hunter2!"), "it is ***!");
}

#[test]
fn unknown_is_a_value_and_beats_failing() {
    let off_ec2 = "unknown: cannot tell: `instance` is known on an EC2 instance only, or from `--facts FILE`";
    for (text, expected) in [
        ("{{ instance.id }}", off_ec2),
        ("a-{{ instance.tags.Name | upper }}", off_ec2),
        ("{{ steps.my-code.later }}", "unknown: cannot tell before step `my-code` has run"),
        ("{{ steps.skipped.x.y | int }}", "unknown: cannot tell before step `skipped` has run"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn without_the_secrets_content_is_unknown_and_places_are_still_known() {
    let scope = Scope { secrets: None, ..scope() };
    let told = |text, without| tell(Evaluator::new(&scope, &declared(), without).text(text));
    let unknown = |name| format!("unknown: cannot tell without the secret `{name}`: give it with `--secrets-from FILE`");
    assert_eq!(told("{{ secrets.key }}", Without::Unknown), unknown("key"));
    assert_eq!(told("x{{ secrets.all.DB }}", Without::Unknown), unknown("all"));
    assert_eq!(told("{{ secrets.key }}", Without::StandIn), "secret secret");
    assert_eq!(told("{{ secrets.all.DB }}", Without::StandIn), "secret secret");
    assert_eq!(told("{{ secrets.all }}", Without::StandIn), "");
    assert_eq!(told("{{ user }}", Without::StandIn), "Text(\"ubuntu\")");
}

#[test]
fn a_secret_that_was_not_given_is_unknown_beside_those_that_were() {
    let mut scope = scope();
    scope.secrets.as_mut().unwrap().shift_remove("key");
    let told = |text| tell(Evaluator::new(&scope, &declared(), Without::Unknown).text(text));
    assert_eq!(told("{{ secrets.key }}"), "unknown: cannot tell without the secret `key`: give it with `--secrets-from FILE`");
    assert!(told("{{ secrets.all.DB }}").starts_with("secret "));
    assert_eq!(told("{{ secrets.other }}"), "wrong: there is no secret `other`");
}

#[test]
fn templates_may_use_statements_and_name_their_own_line() {
    let scope = scope();
    let render = |text| Evaluator::new(&scope, &declared(), Without::Unknown).template(text);
    let Ok(Content::Text(text)) = render("{% for n in names %}\n- {{ n }}\n{% endfor %}\nend\n") else { panic!("text") };
    assert_eq!(text, "- a\n- b\nend\n");
    assert!(matches!(render("{{ secrets.key }}\n"), Ok(Content::Secret(s)) if s.expose() == b"hunter2hunter2\n"));
    let (stop, line) = render("ok\n{{ nope }}\n").unwrap_err();
    assert_eq!((tell(Err(stop)).as_str(), line), ("wrong: unknown variable `nope`", 2));
}
