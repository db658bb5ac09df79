//! Batching and reporting against a scripted SSM.

use std::collections::HashSet;
use std::sync::Mutex;

use super::*;
use crate::host::aws::Parameter;

/// An SSM that knows these parameters and refuses a whole call when one of its names is denied.
struct Scripted {
    known: HashSet<String>,
    denied: HashSet<String>,
    calls: Mutex<Vec<usize>>,
}

impl Scripted {
    fn new(known: &[String], denied: &[&str]) -> Self {
        Self {
            known: known.iter().cloned().collect(),
            denied: denied.iter().map(|name| (*name).to_owned()).collect(),
            calls: Mutex::default(),
        }
    }

    fn ask(&self, names: &[String]) -> Result<Vec<Parameter>> {
        self.calls.lock().unwrap().push(names.len());
        assert!(names.len() <= 10, "the service takes ten names");
        if names.iter().any(|name| self.denied.contains(name)) {
            return Err(Error::new(Kind::Denied, "`AccessDeniedException`").hint("the role needs `ssm:GetParameters` on `x`"));
        }
        let parameter =
            |name: &String| Parameter { name: name.clone(), value: Sensitive::Secret(Secret::new("value")), version: 1 };
        Ok(names.iter().filter(|name| self.known.contains(*name)).map(parameter).collect())
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("/p/{number}")).collect()
}

#[test]
fn names_are_asked_for_in_batches_of_ten_and_come_back_in_order() {
    let all = names(37);
    let ssm = Scripted::new(&all, &[]);
    let collected = collect(&all, |names| ssm.ask(names));
    assert_eq!(collected.named.keys().cloned().collect::<Vec<_>>(), all);
    let mut calls = ssm.calls.into_inner().unwrap();
    calls.sort_unstable();
    assert_eq!(calls, [7, 10, 10, 10]);
    assert!(collected.verdict().is_ok());
}

#[test]
fn every_missing_name_is_listed_at_once() {
    let all = names(25);
    let ssm = Scripted::new(&all[..22], &[]);
    let error = collect(&all, |names| ssm.ask(names)).verdict().unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    for name in &all[22..] {
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
    assert!(!error.to_string().contains("`/p/1`"));
}

#[test]
fn each_denied_name_is_named_and_the_others_are_fetched() {
    let all = names(20);
    let ssm = Scripted::new(&all, &["/p/3", "/p/8", "/p/15"]);
    let collected = collect(&all, |names| ssm.ask(names));
    assert_eq!(collected.named.len(), 17);
    let error = collected.verdict().unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("`/p/3`, `/p/8`, `/p/15`"), "{error}");
    assert!(error.advice().is_some_and(|hint| hint.contains("ssm:GetParameters")));
}

#[test]
fn missing_and_denied_are_told_together() {
    let all = names(4);
    let ssm = Scripted::new(&all[..3], &["/p/0"]);
    let error = collect(&all, |names| ssm.ask(names)).verdict().unwrap_err().to_string();
    assert!(error.contains("no `/p/3`") && error.contains("denied to `/p/0`"), "{error}");
}

#[test]
fn a_service_that_is_away_is_not_asked_name_by_name() {
    let calls = Mutex::new(0);
    let error = collect(&names(10), |_| -> Result<Vec<Parameter>> {
        *calls.lock().unwrap() += 1;
        Err(Error::new(Kind::Unreachable, "nobody answers"))
    })
    .verdict()
    .unwrap_err();
    assert_eq!((error.kind(), *calls.lock().unwrap()), (Kind::Unreachable, 1));
}

#[test]
fn the_same_name_is_asked_for_once() {
    let source = |text: &str| text.parse::<SecretSource>().unwrap();
    let sources: IndexMap<String, SecretSource> = [
        ("a".to_owned(), source("ssm:/x")),
        ("b".to_owned(), source("ssm:/x")),
        ("c".to_owned(), source("secretsmanager:db#user")),
        ("d".to_owned(), source("secretsmanager:db#password")),
        ("e".to_owned(), source("s3://bucket/key")),
    ]
    .into();
    assert_eq!(parameter_names(&sources), ["/x", "/aws/reference/secretsmanager/db"]);
    assert_eq!(distinct(&sources).count(), 4);
}

#[test]
fn a_key_of_a_json_secret_is_taken_out_of_it() {
    let whole = br#"{"user":"u","port":5432}"#;
    assert_eq!(json_part(whole, "user").unwrap().expose(), b"u");
    assert_eq!(json_part(whole, "port").unwrap().expose(), b"5432");
    assert!(json_part(whole, "password").is_none() && json_part(b"plain", "user").is_none());
}
