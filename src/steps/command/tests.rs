//! Facts in, changes out; changes in, calls out.

use super::*;
use crate::host::fakes::Machine;

fn step(yaml: &str) -> Command {
    serde_yaml::from_str(yaml).unwrap()
}

fn plan(step: &Command, machine: &Machine) -> Vec<String> {
    step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
}

/// Carries out whatever differs.
fn apply(step: &Command, machine: &Machine) -> Result<()> {
    let found = step.check(&machine.facts())?;
    found.changes.iter().try_for_each(|planned| step.apply(&planned.change, &machine.host()))
}

#[test]
fn creates_is_answered_by_looking() {
    let machine = Machine::new().program("make-it", "");
    let path = machine.path("made");
    let wanted = step(&format!("{{ argv: [make-it, all], creates: {} }}", path.display()));
    assert_eq!(plan(&wanted, &machine), [format!("run `make-it all` (nothing is at `{}`)", path.display())]);
    apply(&wanted, &machine).unwrap();
    assert_eq!(machine.calls(), ["make-it all"]);
    machine.write("made", "");
    assert!(plan(&wanted, &machine).is_empty());
}

#[test]
fn a_guard_says_yes_or_no_and_nothing_else() {
    let wanted = step("{ argv: [createdb, app], unless: [has-db, app] }");
    let with = |code| Machine::new().program_ends("has-db", code, "", "boom").program("createdb", "");
    assert!(plan(&wanted, &with(0)).is_empty());
    assert_eq!(plan(&wanted, &with(1)), ["run `createdb app` (`unless` says no)"]);
    for broken in [2, 126, 127] {
        let error = wanted.check(&with(broken).facts()).unwrap_err();
        assert!(error.to_string().contains("neither yes (0) nor no (1)"), "{error}");
        assert_eq!(error.last_lines(), ["boom"]);
    }
    assert_eq!(plan(&step("{ argv: [createdb, app], only_if: [has-db, app] }"), &with(1)), Vec::<String>::new());
    assert_eq!(plan(&step("{ argv: [createdb, app], only_if: [has-db, app] }"), &with(0)).len(), 1);
}

#[test]
fn a_dry_run_asks_no_guard_unless_told() {
    let mut machine = Machine::new();
    machine.guards = false;
    for yaml in ["{ argv: [a], unless: [b] }", "{ argv: [a], only_if: b }", "{ argv: [a], query: true }"] {
        let found = step(yaml).check(&machine.facts()).unwrap();
        assert!(found.unknown.is_some_and(|why| why.contains("--run-guards")), "{yaml}");
    }
    assert!(machine.calls().is_empty());
}

#[test]
fn a_change_runs_it_once() {
    let mut machine = Machine::new().program("migrate", "");
    machine.fingerprints.insert("code".into(), Some(Fingerprint([1; 32])));
    let wanted = step("{ argv: [migrate], on_change: [code] }");
    assert_eq!(plan(&wanted, &machine), ["run `migrate` (there is no record that it ever ran)"]);
    apply(&wanted, &machine).unwrap();
    assert!(plan(&wanted, &machine).is_empty());
    machine.fingerprints.insert("code".into(), Some(Fingerprint([2; 32])));
    assert_eq!(plan(&wanted, &machine), ["run `migrate` (what it depends on has changed since it last ran)"]);
    machine.fingerprints.insert("code".into(), None);
    assert!(wanted.check(&machine.facts()).unwrap().unknown.is_some_and(|why| why.contains("`code`")));
    assert_eq!(wanted.touches().after, ["code"]);
}

#[test]
fn a_failure_is_not_recorded_as_a_run() {
    let mut machine = Machine::new().program_ends("migrate", 3, "working\n", "broken\n");
    machine.fingerprints.insert("code".into(), Some(Fingerprint([1; 32])));
    let wanted = step("{ argv: [migrate], on_change: [code] }");
    let error = apply(&wanted, &machine).unwrap_err();
    assert!(error.to_string().contains("exited with 3"), "{error}");
    assert_eq!(error.last_lines(), ["working", "broken"]);
    assert_eq!(plan(&wanted, &machine).len(), 1);
}

#[test]
fn a_query_gives_its_output_and_changes_nothing() {
    let machine = Machine::new().program("id", " 1000 \n");
    let found = step("{ argv: [id, -u], query: true }").check(&machine.facts()).unwrap();
    assert!(found.is_done());
    let Some(Value::Known(text)) = found.outputs.get("stdout") else { panic!("{:?}", found.outputs) };
    assert_eq!(text, "1000");
    let failing = Machine::new().program_ends("id", 1, "", "");
    assert!(step("{ argv: [id], query: true }").check(&failing.facts()).is_err());
    assert!(step("{ argv: [id], query: true, exit_codes: [0, 1] }").check(&failing.facts()).unwrap().is_done());
}

#[test]
fn a_secret_output_is_seen_nowhere() {
    let machine = Machine::new().program("token", "s3cret-token-value\n");
    let found = step("{ argv: [token], query: true, output: secret }").check(&machine.facts()).unwrap();
    assert!(matches!(found.outputs.get("stdout"), Some(Value::Secret(_))));
    assert_eq!(machine.redactor().clean("it is s3cret-token-value"), "it is ***");
    let failing = Machine::new().program_ends("token", 1, "s3cret-token-value", "s3cret-token-value");
    let error = apply(&step("{ argv: [token], always: true, output: secret }"), &failing).unwrap_err();
    assert!(error.last_lines().is_empty() && failing.lines().is_empty());
}

#[test]
fn a_script_goes_to_the_shell_as_one_argument() {
    let machine = Machine::new().program("/bin/sh", "").program("bash", "");
    let plain = step("{ script: \"cd /srv\\nmake\", always: true, env: { A: b }, run_as: ubuntu, directory: /srv }");
    assert_eq!(plan(&plain, &machine), ["run the script `cd /srv …` (always)"]);
    assert!(!plain.is_rechecked());
    apply(&plain, &machine).unwrap();
    let ran = machine.invocations().pop().unwrap();
    assert_eq!(ran.arguments, ["-eu", "-c", "cd /srv\nmake"]);
    assert_eq!((ran.user.as_deref(), ran.live), (Some("ubuntu"), true));
    assert_eq!(ran.directory.as_deref(), Some(std::path::Path::new("/srv")));
    assert_eq!(ran.environment.get("A").map(Sensitive::expose), Some(&b"b"[..]));
    apply(&step("{ script: make, interpreter: [bash, -c], always: true }"), &machine).unwrap();
    assert_eq!(machine.calls().pop().unwrap(), "bash -c make");
}

#[test]
fn one_program_and_one_reason() {
    assert!(step("{ argv: [a], always: true }").problems().is_empty());
    for wrong in [
        "{ argv: [a] }",
        "{ argv: [a], always: true, query: true }",
        "{ argv: [a], script: b, always: true }",
        "{ always: true }",
        "{ argv: [], always: true }",
        "{ argv: [a], interpreter: [b], always: true }",
        "{ argv: [a], unless: [] }",
        "{ argv: [a], always: true, exit_codes: [] }",
    ] {
        assert!(!step(wrong).problems().is_empty(), "{wrong}");
    }
}
