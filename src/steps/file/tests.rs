//! Files from every source that needs no network.

use super::*;
use crate::host::fakes::Machine;
use crate::secret::Secret;
use crate::step::Diff;

fn step(machine: &Machine, rest: &str) -> File {
    let path = machine.path("target");
    serde_json::from_str(&format!(r#"{{"path": "{}", {rest}}}"#, path.display())).unwrap()
}

fn settle(step: &File, machine: &Machine) -> Vec<String> {
    assert_eq!(step.problems(), Vec::<String>::new());
    let found = step.check(&machine.facts()).unwrap();
    found.changes.iter().for_each(|planned| step.apply(&planned.change, &machine.host()).unwrap());
    assert!(step.check(&machine.facts()).unwrap().is_done());
    found.changes.iter().map(|planned| planned.change.to_string()).collect()
}

#[test]
fn content_is_written_and_removed() {
    let machine = Machine::new();
    assert!(settle(&step(&machine, r#""content": "a\nb\n""#), &machine)[0].contains("(2 lines, "));
    assert_eq!(machine.content("target"), "a\nb\n");
    assert_eq!(settle(&step(&machine, r#""absent": true"#), &machine).len(), 1);
    assert!(!machine.path("target").exists());
}

#[test]
fn a_file_that_would_have_no_directory_is_missed_before_it_is_fetched_or_written() {
    let machine = Machine::new();
    let fetched = format!(r#""source": "https://example.com/tool", "sha256": "{}""#, Sha256::of(b"tool"));
    for rest in [r#""content": "a""#, &fetched] {
        let mut step = step(&machine, rest);
        step.path = machine.path("none/target").to_str().unwrap().parse().unwrap();
        let error = step.check(&machine.facts()).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
        assert!(error.to_string().contains("there is no directory"), "{error}");
    }
}

#[test]
fn a_secret_closes_the_file_and_is_not_shown() {
    let machine = Machine::new();
    let mut step = step(&machine, r#""template": """#);
    step.template = Some(Sensitive::Secret(Secret::new("password = swordfish\n")));
    let found = step.check(&machine.facts()).unwrap();
    assert!(matches!(found.changes[0].diff, Some(Diff::Private { after: Some(21), .. })));
    let lines = settle(&step, &machine);
    assert!(lines[0].ends_with(" 0600)") && !lines[0].contains("swordfish"), "{lines:?}");
    assert_eq!(machine.facts().look(&machine.path("target")).unwrap().unwrap().mode, 0o600);
}

#[test]
fn a_file_beside_the_playbook_is_copied_byte_by_byte() {
    let machine = Machine::new();
    machine.write("playbook/files/logo", "");
    std::fs::write(machine.path("playbook/files/logo"), b"\x89PNG\xff\x00").unwrap();
    let step_for = |rest: &str| step(&machine, &format!(r#""source": "files/logo"{rest}"#));
    assert_eq!(settle(&step_for(""), &machine).len(), 1);
    assert_eq!(std::fs::read(machine.path("target")).unwrap(), b"\x89PNG\xff\x00");
    assert_eq!(machine.facts().look(&machine.path("target")).unwrap().unwrap().mode, 0o644);
    let digest = Sha256::of(b"\x89PNG\xff\x00");
    assert!(settle(&step_for(&format!(r#", "sha256": "{digest}""#)), &machine).is_empty());
    std::fs::write(machine.path("target"), "changed").unwrap();
    std::fs::write(machine.path("playbook/files/logo"), "changed too").unwrap();
    let error = step_for(&format!(r#", "sha256": "{digest}""#)).check(&machine.facts()).unwrap_err();
    assert!(error.to_string().contains(&digest.to_string()), "{error}");
    let gone = step(&machine, r#""source": "files/none""#).check(&machine.facts()).unwrap_err();
    assert_eq!(gone.kind(), Kind::Playbook);
}

#[test]
fn what_the_network_holds_is_judged_by_its_digest_first() {
    let mut machine = Machine::new();
    machine.online = false;
    let digest = Sha256::of(b"tool");
    for from in ["https://example.com/tool", "s3://bucket/tool"] {
        let step = step(&machine, &format!(r#""source": "{from}", "sha256": "{digest}""#));
        let _ = std::fs::remove_file(machine.path("target"));
        let found = step.check(&machine.facts()).unwrap();
        assert_eq!(found.changes[0].change.to_string(), format!("fetch {} from {from}", machine.path("target").display()));
        machine.write("target", "tool");
        let found = step.check(&machine.facts()).unwrap();
        assert!(
            found.unknown.is_none() && !found.changes.iter().any(|planned| matches!(planned.change, FileChange::Fetch { .. }))
        );
    }
    let found = step(&machine, r#""source": "s3://bucket/tool""#).check(&machine.facts()).unwrap();
    assert!(found.unknown.is_some_and(|why| why.contains("--online")));
}

#[test]
fn a_refused_file_leaves_the_old_one() {
    let machine = Machine::new().program_ends("nginx", 1, "", "unexpected end of file\n");
    machine.write("target", "old");
    let step = step(&machine, r#""content": "new", "validate": ["nginx", "-t", "-c", "%s"]"#);
    let found = step.check(&machine.facts()).unwrap();
    let error = step.apply(&found.changes[0].change, &machine.host()).unwrap_err();
    assert_eq!(error.last_lines(), ["unexpected end of file"]);
    assert_eq!(machine.content("target"), "old");
    assert!(machine.calls()[0].starts_with("nginx -t -c /"), "{:?}", machine.calls());
}

#[test]
fn every_problem_is_named() {
    let machine = Machine::new();
    for rest in [
        r#""owner": "root""#,
        r#""content": "x", "absent": true"#,
        r#""source": "../up""#,
        r#""source": "/etc/passwd""#,
        r#""source": "http://example.com/x""#,
        r#""source": "https://example.com/x""#,
        r#""source": "s3://bucket""#,
        r#""source": "x", "sha256": "abc""#,
        r#""content": "x", "validate": ["true"]"#,
        r#""content": "x", "sha256": "x""#,
    ] {
        assert_eq!(step(&machine, rest).problems().len(), 1, "{rest}: {:?}", step(&machine, rest).problems());
    }
}
