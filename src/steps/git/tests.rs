//! The step over real repositories on this machine: what it says is different, and that nothing is once it was applied.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::*;
use crate::host::fakes::Machine;
use crate::step::Value;

pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "user.name=somebody", "-c", "user.email=somebody@localhost"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A machine, and on it a repository with one commit.
pub(super) fn machine() -> (Machine, PathBuf) {
    let machine = Machine::new().in_earnest(&[]);
    let work = machine.path("work");
    std::fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "--quiet"]);
    commit(&work, "one.txt", "one\n");
    (machine, work)
}

pub(super) fn commit(work: &Path, name: &str, content: &str) -> String {
    std::fs::write(work.join(name), content).unwrap();
    git(work, &["add", "--all"]);
    git(work, &["commit", "--quiet", "-m", name]);
    git(work, &["rev-parse", "HEAD"])
}

pub(super) fn step(machine: &Machine, more: serde_json::Value) -> Git {
    let mut fields = json!({ "url": machine.path("work"), "path": machine.path("home/me/app"), "owner": "me" });
    let serde_json::Value::Object(more) = more else { panic!("{more}") };
    fields.as_object_mut().unwrap().extend(more);
    serde_json::from_value(fields).unwrap()
}

/// Checks, applies every change, checks again in the same run, and gives the lines of the plan.
pub(super) fn settle(step: &Git, machine: &Machine) -> Result<Vec<String>> {
    let facts = machine.facts();
    let host = Host::new(facts.clone());
    let found = step.check(&facts)?;
    for planned in &found.changes {
        step.apply(&planned.change, &host)?;
    }
    assert!(step.check(&facts)?.is_done(), "applied, and not done");
    Ok(found.changes.iter().map(|planned| planned.change.to_string()).collect())
}

pub(super) fn output(finding: &Finding<GitChange>, name: &str) -> Option<String> {
    match finding.outputs.get(name) {
        Some(Value::Known(value)) => value.as_str().map(ToOwned::to_owned),
        _ => None,
    }
}

#[test]
fn a_checkout_is_made_and_then_follows_its_branch() {
    let (machine, work) = machine();
    let step = step(&machine, json!({ "revision": "main" }));
    let url = work.display();
    assert_eq!(settle(&step, &machine).unwrap(), [format!("clone `{url}` at `main`")]);
    assert_eq!(settle(&step, &machine).unwrap(), Vec::<String>::new());
    let before = step.check(&machine.facts()).unwrap();
    let old = git(&work, &["rev-parse", "HEAD"]);
    let new = commit(&work, "two.txt", "two\n");
    let planned = step.check(&machine.facts()).unwrap();
    assert_eq!(output(&planned, "commit"), Some(new.clone()));
    assert_eq!(planned.fingerprint, before.fingerprint, "a fingerprint is of what is there");
    assert_eq!(settle(&step, &machine).unwrap(), [format!("move from `{}` to `{}` (`main`)", &old[..10], &new[..10])]);
    let after = step.check(&machine.facts()).unwrap();
    assert_ne!(after.fingerprint, before.fingerprint);
    assert_eq!(output(&after, "short").as_deref(), Some(&new[..10]));
    assert_eq!(output(&after, "branch").as_deref(), Some("main"));
    assert_eq!(std::fs::read_to_string(machine.path("home/me/app/two.txt")).unwrap(), "two\n");
}

#[test]
fn what_is_pushed_during_the_run_waits_for_the_next() {
    let (machine, work) = machine();
    let step = step(&machine, json!({}));
    settle(&step, &machine).unwrap();
    commit(&work, "two.txt", "two\n");
    let facts = machine.facts();
    let planned = step.check(&facts).unwrap();
    let later = commit(&work, "three.txt", "three\n");
    step.apply(&planned.changes[0].change, &Host::new(facts.clone())).unwrap();
    assert!(step.check(&facts).unwrap().is_done(), "the branch was asked for again");
    assert!(!machine.path("home/me/app/three.txt").exists());
    settle(&step, &machine).unwrap();
    assert_eq!(output(&step.check(&machine.facts()).unwrap(), "commit"), Some(later));
}

#[test]
fn a_plan_without_network_says_what_it_cannot_know() {
    let (mut machine, work) = machine();
    let branch = step(&machine, json!({}));
    let commit_id = git(&work, &["rev-parse", "HEAD"]);
    let pinned = step(&machine, json!({ "revision": commit_id }));
    machine.online = false;
    let planned = branch.check(&machine.facts()).unwrap();
    assert!(planned.unknown.is_none() && planned.changes.len() == 1);
    assert_eq!((output(&planned, "commit"), output(&planned, "path").is_some()), (None, true));
    assert_eq!(output(&pinned.check(&machine.facts()).unwrap(), "commit"), Some(commit_id));
    machine.online = true;
    settle(&pinned, &machine).unwrap();
    machine.online = false;
    assert!(pinned.check(&machine.facts()).unwrap().is_done(), "a commit is a commit");
    let why = branch.check(&machine.facts()).unwrap().unknown.unwrap();
    assert!(why.contains("its default branch has moved") && why.contains("--online"), "{why}");
}

#[test]
fn a_run_that_only_repairs_stays_on_the_deployed_commit() {
    let (mut machine, work) = machine();
    let step = step(&machine, json!({ "local_changes": "stash" }));
    settle(&step, &machine).unwrap();
    let deployed = output(&step.check(&machine.facts()).unwrap(), "commit");
    let moved = commit(&work, "two.txt", "two\n");
    machine.stay_on_revision = true;
    let found = step.check(&machine.facts()).unwrap();
    assert!(found.is_done());
    assert_eq!((output(&found, "commit"), output(&found, "latest")), (deployed.clone(), Some(moved)), "told, not followed");
    std::fs::write(machine.path("home/me/app/one.txt"), "mine\n").unwrap();
    assert_eq!(settle(&step, &machine).unwrap(), ["put local changes aside"]);
    assert_eq!(std::fs::read_to_string(machine.path("home/me/app/one.txt")).unwrap(), "one\n");
    assert_eq!(output(&step.check(&machine.facts()).unwrap(), "commit"), deployed);
}

#[test]
fn local_changes_fail_with_a_diffstat() {
    let (machine, _) = machine();
    let step = step(&machine, json!({}));
    settle(&step, &machine).unwrap();
    std::fs::write(machine.path("home/me/app/untracked"), "").unwrap();
    assert!(step.check(&machine.facts()).unwrap().is_done());
    std::fs::write(machine.path("home/me/app/one.txt"), "mine\n").unwrap();
    let error = step.check(&machine.facts()).unwrap_err();
    assert!(error.last_lines().iter().any(|line| line.contains("one.txt")), "{error}");
}

#[test]
fn what_is_in_the_way_is_named() {
    let (machine, _) = machine();
    let checkout = step(&machine, json!({}));
    let path = machine.write("home/me/app", "a file");
    assert!(checkout.check(&machine.facts()).unwrap_err().to_string().contains("is not a directory"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join(".git")).unwrap();
    let error = checkout.check(&machine.facts()).unwrap_err();
    assert!(error.advice().unwrap().contains("move it away"), "{error}");
    let missing = step(&machine, json!({ "revision": "mian", "path": machine.path("home/me/other") }));
    let error = settle(&missing, &machine).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Missing, Some("did you mean `main`?")));
    assert!(error.activities().any(|doing| doing.contains("fetching `mian`")), "{error}");
}

#[test]
fn an_owner_that_is_still_missing_is_no_reason_not_to_plan() {
    let (machine, _) = machine();
    let step = step(&machine, json!({ "owner": "nobody-yet" }));
    let planned = step.check(&machine.facts()).unwrap();
    assert_eq!(planned.changes.len(), 1);
    assert_eq!(step.apply(&planned.changes[0].change, &machine.host()).unwrap_err().kind(), Kind::Missing);
}

#[test]
fn wrong_values_are_told_at_once() {
    let problems = |fields: serde_json::Value| serde_json::from_value::<Git>(fields).unwrap().problems();
    let fine = json!({ "url": "git@host:p.git", "path": "/srv/app", "ssh_key": "key", "revision": "feature/x" });
    assert_eq!(problems(fine), Vec::<String>::new());
    for (fields, expected) in [
        (json!({ "url": "http://host/p", "path": "/p" }), "encrypted"),
        (json!({ "url": "git@host:p.git", "path": "/p" }), "needs a key"),
        (json!({ "url": "/srv/p", "path": "/p", "group": "two words" }), "no name for a user or group"),
        (json!({ "url": "https://host/p", "path": "/p", "ssh_key": "k" }), "`ssh_key` is of no use"),
        (json!({ "url": "/srv/p", "path": "/p", "token": "t" }), "`token` is of no use"),
        (json!({ "url": "/srv/p", "path": "/p", "revision": "--upload-pack=x" }), "no branch, tag or whole commit"),
        (json!({ "url": "/srv/p", "path": "/p", "revision": "a..b" }), "no branch, tag or whole commit"),
    ] {
        let found = problems(fields.clone());
        assert!(found.len() == 1 && found[0].contains(expected), "{fields}: {found:?}");
    }
    assert!(serde_json::from_value::<Git>(json!({ "url": "/p", "path": "/p", "brunch": "x" })).is_err());
}
