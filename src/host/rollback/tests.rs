//! What is linked, recorded and restarted, on a scripted machine.

use super::*;
use crate::host::fakes::Machine;
use crate::step::Fingerprint;

const UP: &str = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nType=notify\n";

fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// A machine with these releases, and the first of them live.
fn machine(digits: &str) -> Machine {
    let machine = Machine::new().in_earnest(&[]).program("systemctl", UP);
    for digit in digits.chars() {
        std::fs::create_dir_all(machine.path("app/releases").join(commit(digit))).unwrap();
    }
    if let Some(first) = digits.chars().next() {
        link(&machine, first);
    }
    machine
}

fn link(machine: &Machine, digit: char) {
    let _ = std::fs::remove_file(machine.path("app/current"));
    std::os::unix::fs::symlink(Path::new("releases").join(commit(digit)), machine.path("app/current")).unwrap();
}

fn release(machine: &Machine, digit: char, slot: Option<&str>) -> Release {
    Release { place: machine.path("app"), commit: commit(digit), slot: slot.map(Into::into), is_latest: true }
}

fn live(machine: &Machine) -> Option<String> {
    machine.facts().linked_release(&machine.path("app"), CURRENT).unwrap()
}

fn restarts(machine: &Machine) -> Vec<String> {
    let verbs = machine.calls().into_iter().filter_map(|call| call.split_once("--quiet ").map(|(_, verb)| verb.to_owned()));
    verbs.filter(|verb| !verb.starts_with("reset-failed")).collect()
}

#[test]
fn a_release_that_fails_makes_room_for_the_last_healthy_one() {
    let machine = machine("ab");
    let (old, new) = (Fingerprint::of(&[b"a"]), Fingerprint::of(&[b"b"]));
    machine.host().record_start("unit app.service", &old).unwrap();
    assert_eq!(machine.host().prove(&release(&machine, 'a', None), "app.service").unwrap(), None);
    link(&machine, 'b');
    machine.host().record_start("unit app.service", &new).unwrap();
    let failed = release(&machine, 'b', None);
    let went = machine.host().go_back(&failed, "app.service", "refused", true, true).unwrap().unwrap();
    let place = machine.path("app").display().to_string();
    assert_eq!(went.to_string(), format!("`{place}` went back from `bbbbbbbbbb` to `aaaaaaaaaa`, its last healthy release"));
    assert_eq!((live(&machine), restarts(&machine)), (Some(commit('a')), vec!["restart -- app.service".to_owned()]));
    assert_eq!(machine.facts().started_with("unit app.service", &old).unwrap(), Some(true), "it runs what it ran before");
    let why = machine.facts().failed_before(&failed.place, &failed.commit).unwrap().unwrap();
    assert_eq!(why.because, "refused");
    let mut asked = machine;
    asked.retry_revision = true;
    assert_eq!(asked.facts().failed_before(&failed.place, &failed.commit).unwrap(), None);
}

#[test]
fn what_was_healthy_before_is_not_to_blame() {
    let machine = machine("a");
    let only = release(&machine, 'a', None);
    assert_eq!(machine.host().go_back(&only, "app.service", "refused", true, true).unwrap(), None, "there is none to go back to");
    assert!(machine.facts().failed_before(&only.place, &only.commit).unwrap().is_some());
    machine.host().prove(&only, "app.service").unwrap();
    assert_eq!(machine.facts().failed_before(&only.place, &only.commit).unwrap(), None);
    assert_eq!(machine.host().go_back(&only, "app.service", "refused", true, true).unwrap(), None);
    assert_eq!(machine.facts().failed_before(&only.place, &only.commit).unwrap(), None);
    assert_eq!(restarts(&machine), Vec::<String>::new());
}

#[test]
fn what_never_started_is_only_unlinked_and_not_blamed() {
    let machine = machine("ab");
    machine.host().prove(&release(&machine, 'a', None), "app.service").unwrap();
    link(&machine, 'b');
    let failed = release(&machine, 'b', None);
    assert!(machine.host().go_back(&failed, "app.service", "no packages", false, false).unwrap().is_some());
    assert_eq!((live(&machine), restarts(&machine)), (Some(commit('a')), Vec::new()));
    assert_eq!(machine.facts().failed_before(&failed.place, &failed.commit).unwrap(), None);
}

#[test]
fn a_candidate_becomes_live_when_it_is_healthy_and_is_stopped_when_it_is_not() {
    let machine = machine("abc");
    machine.host().prove(&release(&machine, 'a', Some("3001")), "app@3001.service").unwrap();
    let (better, broken) = (release(&machine, 'b', Some("3002")), release(&machine, 'c', Some("3001")));
    let said = machine.host().prove(&better, "app@3002.service").unwrap().unwrap();
    assert!(said.ends_with(&format!("app/current -> releases/{} (it is healthy)", commit('b'))), "{said}");
    assert_eq!(machine.host().prove(&better, "app@3002.service").unwrap(), None, "it is live already");
    let went = machine.host().go_back(&broken, "app@3001.service", "500", true, true).unwrap().unwrap();
    assert!(went.to_string().ends_with("was stopped, and `bbbbbbbbbb` stays live"), "{went}");
    assert_eq!((live(&machine), restarts(&machine)), (Some(commit('b')), vec!["stop -- app@3001.service".to_owned()]));
}

#[test]
fn a_healthy_release_that_stands_in_for_a_failed_one_does_not_absolve_it() {
    let machine = machine("ab");
    let stands_in = Release { is_latest: false, ..release(&machine, 'a', None) };
    machine.host().prove(&stands_in, "app.service").unwrap();
    machine.host().go_back(&release(&machine, 'b', None), "app.service", "refused", true, true).unwrap();
    machine.host().prove(&stands_in, "app.service").unwrap();
    assert!(machine.facts().failed_before(&machine.path("app"), &commit('b')).unwrap().is_some());
    machine.host().prove(&release(&machine, 'a', None), "app.service").unwrap();
    assert!(machine.facts().failed_before(&machine.path("app"), &commit('b')).unwrap().is_none(), "the branch came back to it");
}

#[test]
fn what_outputs_say_of_a_release() {
    let outputs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let (a, b) = (commit('a'), commit('b'));
    let path = format!("/srv/app/releases/{a}");
    let known: Outputs = outputs(&[("release", &path), ("commit", &a), ("latest", &b), ("slot", "blue")]);
    let found = Release::of(&known).unwrap();
    assert_eq!((found.place.to_str(), found.slot.as_deref(), found.is_latest), (Some("/srv/app"), Some("blue"), false));
    assert_eq!(Release::of(&outputs(&[("commit", &a)])), None);
}
