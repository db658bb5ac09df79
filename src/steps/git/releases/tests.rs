//! Releases over a real repository on this machine.

use std::path::PathBuf;

use serde_json::json;

use super::super::tests::{commit, git, machine, output, settle, step};
use super::*;
use crate::host::fakes::Machine;
use crate::host::rollback::Release;

const UNIT: &str = "app.service";

fn of(machine: &Machine, releases: &serde_json::Value) -> Git {
    step(machine, json!({ "revision": "main", "releases": releases }))
}

fn place(machine: &Machine) -> PathBuf {
    machine.path("home/me/app")
}

fn target(machine: &Machine, link: &str) -> String {
    std::fs::read_link(place(machine).join(link)).unwrap().display().to_string()
}

fn names(machine: &Machine) -> Vec<String> {
    let entries = std::fs::read_dir(place(machine).join("releases")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The release that the step wishes, as the engine hears of it.
fn wished(step: &Git, machine: &Machine) -> Release {
    Release::of(&crate::step::Step::check(step, &machine.facts()).unwrap().outputs).unwrap()
}

fn prove(step: &Git, machine: &Machine) {
    machine.host().prove(&wished(step, machine), UNIT).unwrap();
}

fn fail(step: &Git, machine: &Machine) {
    machine.host().go_back(&wished(step, machine), UNIT, "500", true, false).unwrap();
}

#[test]
fn a_new_commit_is_a_new_release_and_old_ones_go() {
    let (machine, work) = machine();
    let step = of(&machine, &json!({ "keep": 2 }));
    let one = git(&work, &["rev-parse", "HEAD"]);
    let made = |commit: &str| format!("make release `{}` (`main`)", &commit[..10]);
    let first = format!("make the first release, of `main` from `{}`", work.display());
    assert_eq!(settle(&step, &machine).unwrap(), [first, "link `current` to it".to_owned()]);
    assert_eq!(settle(&step, &machine).unwrap(), Vec::<String>::new());
    assert_eq!(target(&machine, "current"), format!("releases/{one}"));
    let two = commit(&work, "two.txt", "two\n");
    settle(&step, &machine).unwrap();
    assert!(
        place(&machine).join("current/two.txt").exists() && !place(&machine).join("releases").join(&one).join("two.txt").exists()
    );
    let three = commit(&work, "three.txt", "three\n");
    let plan = settle(&step, &machine).unwrap();
    let linked = format!("link `current` to release `{}` (was `{}`)", &three[..10], &two[..10]);
    assert_eq!(plan, [made(&three), linked, format!("remove old releases: `{}`", &one[..10])]);
    let mut kept = vec![two, three.clone()];
    kept.sort();
    assert_eq!(names(&machine), kept);
    let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
    let path = |name: &str| Some(place(&machine).join(name).display().to_string());
    assert_eq!((output(&found, "path"), output(&found, "release")), (path("current"), path(&format!("releases/{three}"))));
}

#[test]
fn the_last_healthy_release_is_never_removed() {
    let (machine, work) = machine();
    let step = of(&machine, &json!({ "keep": 1 }));
    settle(&step, &machine).unwrap();
    prove(&step, &machine);
    let healthy = git(&work, &["rev-parse", "HEAD"]);
    commit(&work, "two.txt", "two\n");
    settle(&step, &machine).unwrap();
    let newest = commit(&work, "three.txt", "three\n");
    settle(&step, &machine).unwrap();
    let mut kept = vec![healthy, newest];
    kept.sort();
    assert_eq!(names(&machine), kept);
}

#[test]
fn a_revision_that_failed_stays_away_until_the_branch_moves_or_somebody_asks() {
    let (mut machine, work) = machine();
    let step = of(&machine, &json!({}));
    settle(&step, &machine).unwrap();
    prove(&step, &machine);
    let healthy = git(&work, &["rev-parse", "HEAD"]);
    let broken = commit(&work, "broken.txt", "");
    settle(&step, &machine).unwrap();
    fail(&step, &machine);
    assert_eq!(target(&machine, "current"), format!("releases/{healthy}"), "it went back");
    assert_eq!(settle(&step, &machine).unwrap(), Vec::<String>::new());
    let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
    assert_eq!((output(&found, "commit"), output(&found, "latest")), (Some(healthy.clone()), Some(broken.clone())));
    let notice = found.notice.unwrap();
    assert!(
        notice.contains("which failed on 20") && notice.contains(&broken[..10]) && notice.contains(&healthy[..10]),
        "{notice}"
    );
    machine.retry_revision = true;
    assert_eq!(crate::step::Step::check(&step, &machine.facts()).unwrap().changes.len(), 1, "the release is still there");
    machine.retry_revision = false;
    let fixed = commit(&work, "broken.txt", "not any more\n");
    settle(&step, &machine).unwrap();
    assert_eq!(target(&machine, "current"), format!("releases/{fixed}"));
}

#[test]
fn a_first_revision_that_failed_is_tried_again_because_there_is_no_other() {
    let (machine, _) = machine();
    let step = of(&machine, &json!({}));
    settle(&step, &machine).unwrap();
    fail(&step, &machine);
    let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
    assert!(found.is_done() && found.notice.is_none());
}

#[test]
fn a_candidate_gets_the_slot_that_the_live_release_does_not_have() {
    let (machine, work) = machine();
    let step = of(&machine, &json!({ "slots": ["blue", "green"] }));
    let slots = |machine: &Machine| {
        let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
        (output(&found, "slot").unwrap(), output(&found, "spare").unwrap())
    };
    let one = git(&work, &["rev-parse", "HEAD"]);
    settle(&step, &machine).unwrap();
    assert_eq!((target(&machine, "slots/blue"), place(&machine).join("current").exists()), (format!("../releases/{one}"), false));
    prove(&step, &machine);
    assert_eq!((target(&machine, "current"), slots(&machine)), (format!("releases/{one}"), ("blue".into(), "green".into())));
    let two = commit(&work, "two.txt", "two\n");
    assert_eq!(slots(&machine), ("green".into(), "blue".into()));
    settle(&step, &machine).unwrap();
    assert_eq!(
        (target(&machine, "current"), target(&machine, "slots/green")),
        (format!("releases/{one}"), format!("../releases/{two}"))
    );
    fail(&step, &machine);
    assert_eq!((slots(&machine), target(&machine, "current")), (("blue".into(), "green".into()), format!("releases/{one}")));
    let three = commit(&work, "three.txt", "three\n");
    settle(&step, &machine).unwrap();
    prove(&step, &machine);
    assert_eq!((slots(&machine), target(&machine, "current")), (("green".into(), "blue".into()), format!("releases/{three}")));
}

#[test]
fn what_is_found_in_a_release_is_judged_as_in_any_checkout() {
    let (machine, _) = machine();
    let step = of(&machine, &json!({}));
    settle(&step, &machine).unwrap();
    std::fs::write(place(&machine).join("current/untracked"), "").unwrap();
    assert_eq!(settle(&step, &machine).unwrap(), Vec::<String>::new());
    std::fs::write(place(&machine).join("current/one.txt"), "mine\n").unwrap();
    assert!(settle(&step, &machine).unwrap_err().last_lines().iter().any(|line| line.contains("one.txt")));
    let stash = super::super::tests::step(&machine, json!({ "revision": "main", "releases": {}, "local_changes": "stash" }));
    let plan = settle(&stash, &machine).unwrap();
    assert!(plan.len() == 1 && plan[0].ends_with("`: put local changes aside"), "{plan:?}");
}

#[test]
fn what_a_run_that_was_cut_short_left_is_no_release() {
    let (machine, work) = machine();
    let step = of(&machine, &json!({}));
    let (one, other) = (git(&work, &["rev-parse", "HEAD"]), "0".repeat(40));
    for half in [&one, &other] {
        machine.write(&format!("home/me/app/releases/.{half}.in-the-making/one.txt"), "half\n");
        machine.write(&format!("home/me/app/releases/{half}/half-removed"), "half\n");
    }
    let plan = crate::step::Step::check(&step, &machine.facts()).unwrap();
    plan.changes.iter().for_each(|planned| crate::step::Step::apply(&step, &planned.change, &machine.host()).unwrap());
    // What another revision left is seen as soon as there is a release.
    settle(&step, &machine).unwrap();
    assert_eq!(names(&machine), std::slice::from_ref(&one));
    assert_eq!(machine.content(&format!("home/me/app/releases/{one}/one.txt")), "one\n");
}

#[test]
fn a_plan_without_network_says_what_it_cannot_know() {
    let (mut machine, _) = machine();
    let step = of(&machine, &json!({ "slots": ["a", "b"] }));
    machine.online = false;
    let planned = crate::step::Step::check(&step, &machine.facts()).unwrap();
    assert!(
        planned.unknown.is_none()
            && planned.changes[0].change.to_string().starts_with("make the first release, of `main` from `")
    );
    machine.online = true;
    settle(&step, &machine).unwrap();
    prove(&step, &machine);
    machine.online = false;
    let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
    assert!(found.unknown.unwrap().contains("`main` has moved") && found.changes.is_empty());
    machine.stay_on_revision = true;
    let found = crate::step::Step::check(&step, &machine.facts()).unwrap();
    assert!(found.is_done(), "a run that stays has nobody to ask");
    assert_eq!(output(&found, "slot").as_deref(), Some("a"));
}

#[test]
fn wrong_values_are_told_at_once() {
    let problems = |fields: serde_json::Value| serde_json::from_value::<Releases>(fields).unwrap().problems();
    assert_eq!(problems(json!({ "keep": 1, "slots": ["3001", "3002"] })), Vec::<String>::new());
    for (fields, expected) in [
        (json!({ "keep": 0 }), "at least 1"),
        (json!({ "slots": ["a"] }), "two names or more"),
        (json!({ "slots": ["a", "a"] }), "two names or more"),
        (json!({ "slots": ["a", "../b"] }), "no name for a slot"),
    ] {
        let found = problems(fields.clone());
        assert!(found.len() == 1 && found[0].contains(expected), "{fields}: {found:?}");
    }
}
