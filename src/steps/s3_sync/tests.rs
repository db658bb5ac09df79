//! What can be told without S3; the case `s3_sync` has both directions against a server.

use super::*;
use crate::error::Kind;
use crate::host::fakes::Machine;

fn step(json: &str) -> S3Sync {
    serde_json::from_str(json).unwrap()
}

#[test]
fn every_problem_is_named() {
    for (json, said) in [
        (r#"{"from": "/a", "to": "/b"}"#, "must begin with `s3://`"),
        (r#"{"from": "s3://a/x", "to": "s3://b/x"}"#, "must be a folder of this machine"),
        (r#"{"from": "static", "to": "s3://b/x"}"#, "absolute path"),
        (r#"{"from": "/a", "to": "s3:///x"}"#, "is not like `s3://bucket/prefix`"),
        (r#"{"from": "/a", "to": "s3://b", "delete": true}"#, "needs a prefix"),
        (r#"{"from": "/a", "to": "s3://b/x", "owner": "root"}"#, "that come from S3"),
        (r#"{"from": "s3://b/x", "to": "/a", "cache_control": "no-store"}"#, "that go to S3"),
        (r#"{"from": "/a", "to": "s3://b/x", "exclude": ["[a"]}"#, "is no pattern"),
        (r#"{"from": "s3://b/x", "to": "/a", "owner": "A b"}"#, "no name for a user"),
    ] {
        let problems = step(json).problems();
        assert!(problems.len() == 1 && problems[0].contains(said), "{json}: {problems:?}");
    }
    assert!(step(r#"{"from": "/a", "to": "s3://b", "exclude": ["*.map", "docs/**"]}"#).problems().is_empty());
}

#[test]
fn a_pattern_is_a_name_at_any_depth_or_a_path_from_the_top() {
    let step = step(r#"{"from": "/a", "to": "s3://b/x", "exclude": ["*.map", ".git", "docs/*/draft", "cache/**"]}"#);
    for (path, excluded) in [
        ("a.map", true),
        ("js/a.map", true),
        ("js/a.mapper", false),
        (".git/config", true),
        ("docs/a/draft", true),
        ("docs/a/draft/page", true),
        ("docs/a/b/draft", false),
        ("other/docs/a/draft", false),
        ("cache/x/y", true),
        ("cache.css", false),
    ] {
        assert_eq!(step.is_excluded(Path::new(path)), excluded, "{path}");
    }
}

#[test]
fn without_asking_aws_nobody_can_tell() {
    let mut machine = Machine::new();
    machine.online = false;
    machine.write("static/a.css", "a");
    for json in [
        format!(r#"{{"from": "{}", "to": "s3://b/static"}}"#, machine.path("static").display()),
        format!(r#"{{"from": "s3://b/keys", "to": "{}"}}"#, machine.path("keys").display()),
    ] {
        let found = step(&json).check(&machine.facts()).unwrap();
        assert!(found.changes.is_empty() && found.unknown.unwrap().contains("--online"), "{json}");
    }
}

#[test]
fn what_cannot_be_sent_is_told_before_anything_is() {
    let mut machine = Machine::new();
    machine.online = false;
    let from = machine.path("static");
    let check =
        |more: &str| step(&format!(r#"{{"from": "{}", "to": "s3://b/static"{more}}}"#, from.display())).check(&machine.facts());
    assert_eq!(check("").unwrap_err().kind(), Kind::Missing);
    std::fs::create_dir(&from).unwrap();
    assert!(check(r#", "delete": true"#).unwrap_err().to_string().contains("would empty `s3://b/static/`"));
    assert!(check("").unwrap().fingerprint.is_some());
    std::os::unix::fs::symlink("elsewhere", from.join("link")).unwrap();
    assert!(check("").unwrap_err().to_string().contains("is a link"));
    assert!(check(r#", "exclude": ["link"]"#).is_ok());
}

#[test]
fn the_fingerprint_is_that_of_the_files() {
    let mut machine = Machine::new();
    machine.online = false;
    let step = step(&format!(r#"{{"from": "{}", "to": "s3://b/static"}}"#, machine.path("static").display()));
    machine.write("static/a.css", "a");
    let before = step.check(&machine.facts()).unwrap().fingerprint;
    assert_eq!(step.check(&machine.facts()).unwrap().fingerprint, before);
    machine.write("static/a.css", "b");
    assert_ne!(step.check(&machine.facts()).unwrap().fingerprint, before);
}

#[test]
fn a_line_of_the_plan_names_the_first_few() {
    let to = ObjectFolder::of("s3://b/static").unwrap();
    let upload =
        |number| Upload { path: "/x".into(), key: format!("static/{number}"), headers: crate::host::aws::Headers::default() };
    let all = S3SyncChange::Send((0..6).map(upload).collect(), to.clone());
    assert_eq!(all.to_string(), "send 6 files to s3://b/static/: static/0, static/1, static/2, static/3 and 2 more");
    let one = S3SyncChange::RemoveObjects(vec!["static/a".into()], to);
    assert_eq!(one.to_string(), "remove 1 object that no file stands for: static/a");
}
