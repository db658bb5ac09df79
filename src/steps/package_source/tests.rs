//! Facts in, changes out; changes in, files and calls out.

use super::*;
use crate::host::digest::Sha256;
use crate::host::fakes::Machine;

/// `gpg --armor --export` of a key made for tests, which signs nothing.
const KEY: &str = include_str!("../../host/openpgp/test-key.asc");
const FINGERPRINT: &str = "BB773FB426F5AC901F93ABA31742CAE77F70986A";
const OTHER: &str = "385E7C3CADDF0CF838445DEF26383B0C292530FC";

fn step(more: &str) -> PackageSource {
    serde_yaml::from_str(&format!(
        "{{ name: tool, uris: ['https://a.example.com/deb'], suites: [stable], components: [main], {more} }}"
    ))
    .unwrap()
}

fn with_key(more: &str) -> PackageSource {
    PackageSource { key: Some(KEY.into()), ..step(more) }
}

fn plan(step: &PackageSource, machine: &Machine) -> Vec<String> {
    let etc = format!("{}/", machine.path("etc").display());
    let found = step.check(&machine.facts()).unwrap();
    found
        .changes
        .iter()
        .map(|planned| planned.change.to_string().replace(&etc, "").split(" (").next().unwrap_or_default().to_owned())
        .collect()
}

fn apply(step: &PackageSource, machine: &Machine) -> Result<()> {
    for planned in step.check(&machine.facts())?.changes {
        step.apply(&planned.change, &machine.host())?;
    }
    Ok(())
}

#[test]
fn key_source_and_lists_follow_each_other_and_then_nothing_is_left_to_do() {
    let machine = Machine::new().program("apt-get", "");
    let step = with_key("");
    let written = ["create apt/keyrings/tool.asc", "create apt/sources.list.d/tool.sources", "fetch the lists of its packages"];
    assert_eq!(plan(&step, &machine), written);
    apply(&step, &machine).unwrap();
    assert!(step.check(&machine.facts()).unwrap().is_done());
    let [update] = &machine.calls()[..] else { panic!("{:?}", machine.calls()) };
    let list = machine.path("etc/apt/sources.list.d/tool.sources");
    for option in [&format!("-oDir::Etc::SourceList={}", list.display()), "-oDir::Etc::SourceParts=-"] {
        assert!(update.contains(option), "{update}");
    }
    let text = machine.content("etc/apt/sources.list.d/tool.sources");
    assert!(text.ends_with(&format!("Signed-By: {}\n", machine.path("etc/apt/keyrings/tool.asc").display())), "{text}");
    PublicKeys::stored(machine.content("etc/apt/keyrings/tool.asc").as_bytes()).unwrap();
}

#[test]
fn what_changed_and_what_was_cut_short_is_fetched_again() {
    let machine = Machine::new().program("apt-get", "");
    apply(&with_key(""), &machine).unwrap();
    let wider = PackageSource { components: vec!["main".into(), "extra".into()], ..with_key("") };
    assert_eq!(plan(&wider, &machine), ["update apt/sources.list.d/tool.sources", "fetch the lists of its packages"]);
    // The run ended between the file and the lists: the file alone does not make it done.
    let change = wider.check(&machine.facts()).unwrap().changes.remove(0).change;
    wider.apply(&change, &machine.host()).unwrap();
    assert_eq!(plan(&wider, &machine), ["fetch the lists of its packages"]);
}

#[test]
fn a_failed_refresh_is_not_taken_for_done() {
    let said = "W: GPG error: x: NO_PUBKEY 1742CAE77F70986A\nE: The repository 'x' is not signed.\n";
    let machine = Machine::new().program_ends("apt-get", 100, "", said);
    let error = apply(&with_key(""), &machine).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.advice().unwrap().contains("not signed with the key that is trusted"));
    assert_eq!(plan(&with_key(""), &machine), ["fetch the lists of its packages"]);
}

#[test]
fn the_key_is_the_one_that_is_pinned_or_nothing_is_written() {
    let machine = Machine::new();
    for pin in [format!("fingerprint: {OTHER}"), format!("sha256: {}", Sha256::of(b"other"))] {
        let error = with_key(&pin).check(&machine.facts()).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{error}");
    }
    let right = format!("fingerprint: {FINGERPRINT}, sha256: {}", Sha256::of(KEY.as_bytes()));
    assert_eq!(plan(&with_key(&right), &machine).len(), 3);
    assert!(!machine.path("etc/apt").exists());
}

#[test]
fn a_key_from_elsewhere_is_fetched_until_the_pinned_one_is_there() {
    let machine = Machine::new().program("apt-get", "");
    let step = step(&format!("key_source: 'https://a.example.com/key', fingerprint: {FINGERPRINT}"));
    assert_eq!(plan(&step, &machine)[0], "fetch apt/keyrings/tool.asc from https://a.example.com/key");
    let keys = PublicKeys::published(KEY.as_bytes()).unwrap();
    machine.write("etc/apt/keyrings/tool.asc", &keys.text());
    assert_eq!(plan(&step, &machine)[0], "create apt/sources.list.d/tool.sources");
    machine.write("etc/apt/keyrings/tool.asc", KEY);
    assert_eq!(plan(&step, &machine)[0], "fetch apt/keyrings/tool.asc from https://a.example.com/key", "not as it was written");
}

#[test]
fn dnf_gets_a_repository_of_its_own_form() {
    let machine = Machine::new().program("dnf", "");
    machine.write("etc/os-release", "ID=amzn\n");
    let mut step = with_key("");
    (step.suites, step.components) = (Vec::new(), Vec::new());
    assert_eq!(
        plan(&step, &machine),
        ["create pki/rpm-gpg/RPM-GPG-KEY-tool", "create yum.repos.d/tool.repo", "fetch the lists of its packages"]
    );
    apply(&step, &machine).unwrap();
    assert!(step.check(&machine.facts()).unwrap().is_done());
    assert!(machine.calls().iter().any(|call| call.ends_with("makecache --refresh --repo tool")), "{:?}", machine.calls());
}

#[test]
fn what_shall_be_absent_goes_source_first() {
    let machine = Machine::new().program("apt-get", "");
    apply(&with_key("username: me, password: hunter2-hunter2"), &machine).unwrap();
    let gone: PackageSource = serde_yaml::from_str("{ name: tool, absent: true }").unwrap();
    assert!(gone.problems().is_empty());
    let removed = ["remove apt/sources.list.d/tool.sources", "remove apt/auth.conf.d/tool.conf", "remove apt/keyrings/tool.asc"];
    assert_eq!(plan(&gone, &machine), removed);
    apply(&gone, &machine).unwrap();
    assert!(gone.check(&machine.facts()).unwrap().is_done());
}

#[test]
fn what_cannot_be_trusted_is_a_problem() {
    assert!(with_key("").problems().is_empty());
    for (wrong, why) in [
        (step(""), "exactly one of `key` and `key_source`"),
        (step("key_source: 'https://a/key'"), "needs its `fingerprint` or `sha256`"),
        (step("key_source: 'http://a/key', sha256: ab"), "is not supported"),
        (with_key("fingerprint: 7F70986A"), "never the short id"),
        (PackageSource { uris: vec!["https://me:hunter2@a/deb".into()], ..with_key("") }, "must hold no password"),
        (PackageSource { uris: vec!["ftp://a/deb".into()], ..with_key("") }, "no address of packages"),
        (PackageSource { name: "../x".into(), ..with_key("") }, "no name for its files"),
        (PackageSource { components: Vec::new(), ..with_key("") }, "needs `components`"),
        (PackageSource { uris: vec!["http://a/deb".into()], ..with_key("username: a, password: b") }, "over `https://` only"),
        (with_key("username: a"), "belong together"),
    ] {
        let problems = wrong.problems();
        assert!(problems.iter().any(|problem| problem.contains(why)), "{why}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("hunter2")));
    }
}
