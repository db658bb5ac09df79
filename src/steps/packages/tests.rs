//! Facts in, changes out; changes in, calls out.

use super::*;
use crate::error::Kind;
use crate::host::fakes::Machine;

const SEEN: &str = "nginx\tamd64\t1.18.0-6\tinstall\tinstalled\thttpd\ngit\tamd64\t1:2.39\thold\tinstalled\t\n";

fn step(yaml: &str) -> Packages {
    serde_yaml::from_str(yaml).unwrap()
}

fn machine(seen: &str) -> Machine {
    Machine::new().program("dpkg-query", seen)
}

fn plan(step: &Packages, machine: &Machine) -> Vec<String> {
    step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
}

#[test]
fn what_is_missing_is_installed_in_one_call() {
    let wanted = step("names: [git, python3-venv, nginx=1.22.*, httpd]");
    let machine = machine(SEEN).program("apt-get", "");
    assert_eq!(plan(&wanted, &machine), ["install `python3-venv`, `nginx=1.22.*` (now 1.18.0-6)"]);

    let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
    machine.forget_calls();
    wanted.apply(&change, &machine.host()).unwrap();
    let installs: Vec<String> = machine.calls().into_iter().filter(|call| call.contains(" install ")).collect();
    let [install] = installs.as_slice() else { panic!("{installs:?}") };
    assert!(install.ends_with("-- python3-venv nginx=1.22.*"), "{install}");
    for option in ["--force-confold", "Install-Recommends=false", "--allow-downgrades", "DPkg::Lock::Timeout="] {
        assert!(install.contains(option), "{option} in {install}");
    }
    let asked = machine.invocations().pop().unwrap();
    assert_eq!(asked.environment.get("DEBIAN_FRONTEND").map(crate::secret::Sensitive::expose), Some(&b"noninteractive"[..]));
}

#[test]
fn nothing_to_do_asks_dpkg_once() {
    let wanted = step("names: [git, nginx, httpd]");
    let machine = machine(SEEN);
    let found = wanted.check(&machine.facts()).unwrap();
    assert!(found.is_done() && found.fingerprint.is_some() && found.outputs.contains_key("versions"));
    assert_eq!(machine.calls().len(), 1);
}

#[test]
fn holds_and_removals_are_changes_of_their_own() {
    assert_eq!(plan(&step("{ names: [nginx, git], hold: true }"), &machine(SEEN)), ["hold `nginx`"]);
    assert_eq!(plan(&step("{ names: [nginx, git], hold: false }"), &machine(SEEN)), ["no longer hold `git`"]);
    assert_eq!(plan(&step("{ names: [nginx, exim4], state: absent }"), &machine(SEEN)), ["remove `nginx`"]);
}

#[test]
fn an_interrupted_dpkg_is_healed_first() {
    let seen = "nginx\tamd64\t1.18.0-6\tinstall\thalf-configured\t\n";
    let wanted = step("names: [nginx]");
    assert_eq!(plan(&wanted, &machine(seen)), ["finish the interrupted run of dpkg", "install `nginx` (now 1.18.0-6)"]);
    let machine = machine(seen).program("dpkg", "");
    wanted.apply(&Change::Heal, &machine.host()).unwrap();
    assert_eq!(machine.calls(), ["dpkg --configure --pending --force-confdef --force-confold"]);
}

#[test]
fn a_package_that_does_not_exist_is_named() {
    let wanted = step("names: [pyhton3-venv]");
    let machine = machine("")
        .program("apt-get", "")
        .program_does("apt-get --yes", |asked| {
            let code = if asked.arguments.iter().any(|word| word == "install") { 100 } else { 0 };
            let stderr = b"E: Unable to locate package pyhton3-venv\n".to_vec();
            let status = crate::host::programs::Status::Code(code);
            Ok(crate::host::programs::Output { status, stdout: Vec::new(), stderr })
        })
        .program("apt-cache pkgnames", "nginx\npython3-venv\nvim\n");
    let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
    let error = wanted.apply(&change, &machine.host()).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("no repository of this machine has package `pyhton3-venv`"), "{error}");
    assert_eq!(error.advice(), Some("did you mean `python3-venv`?"));
    let updates = machine.calls().iter().filter(|call| call.contains(" update ")).count();
    assert_eq!(updates, 1, "{:?}", machine.calls());
}

#[test]
fn a_version_that_does_not_exist_is_named_with_those_that_do() {
    let wanted = step("names: [nginx=9.*]");
    let machine = machine("")
        .program_ends("apt-get", 100, "", "E: Version '9.*' for 'nginx' was not found\n")
        .program("apt-cache pkgnames", "nginx\n")
        .program("apt-cache madison nginx", " nginx | 1.22.1-9 | somewhere\n");
    let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
    let error = wanted.apply(&change, &machine.host()).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Missing, Some("there is `1.22.1-9`")));
}

#[test]
fn without_apt_it_says_so() {
    let machine = Machine::new().program_does("dpkg-query", |_| Err(crate::error::Error::new(Kind::Missing, "no such program")));
    let error = step("names: [git]").check(&machine.facts()).unwrap_err();
    assert_eq!(error.to_string(), "there is no apt here");
}

#[test]
fn what_is_no_package_is_a_problem() {
    let problems = step(
        "names: [ngi_nx/, /srv/a.zip, { name: a1, version: 1, deb: 'http://x/a.deb', sha256: 'ab' }, \
         { name: a1, version: '1', deb: 'https://x/a.deb', sha256: 'ab' }, { name: a1, version: '1', sha256: 'ab' }, \
         { name: a1, version: '1', deb: 's3://b/a.deb', rpm: 's3://b/a.rpm', sha256: 'ab' }]",
    )
    .problems();
    assert_eq!(problems.len(), 6, "{problems:?}");
    assert!(serde_yaml::from_str::<Packages>("names: [{ name: a, nope: 1 }]").unwrap_err().to_string().contains("nope"));
}

#[test]
fn the_real_dpkg_is_understood() {
    // Without apt there is nothing real to ask; the lab asks on a machine that has it.
    let Ok(seen) = std::process::Command::new("dpkg-query")
        .args([
            "--show",
            "--showformat",
            "${Package}\t${Architecture}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t\n",
            "dpkg",
        ])
        .output()
    else {
        return;
    };
    let machine = machine(&String::from_utf8(seen.stdout).unwrap());
    assert!(plan(&step("names: [dpkg]"), &machine).is_empty());
}

const RPMS: &str = "nginx\tx86_64\t1\t1.24.0\t1.amzn2023\tnginx,webserver,\ngit\tx86_64\t0\t2.40.1\t1\tgit,\n";

/// Amazon Linux, on which these are installed.
fn amazon(seen: &str) -> Machine {
    let machine = Machine::new().program("rpm", seen);
    machine.write("etc/os-release", "ID=\"amzn\"\nID_LIKE=\"fedora\"\n");
    machine
}

#[test]
fn dnf_installs_what_is_missing_in_one_call() {
    let wanted = step("names: [git, python3-venv, nginx=1.26.*, webserver]");
    let machine = amazon(RPMS).program("dnf", "");
    assert_eq!(plan(&wanted, &machine), ["install `python3-venv`, `nginx=1.26.*` (now 1:1.24.0-1.amzn2023)"]);
    let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
    machine.forget_calls();
    wanted.apply(&change, &machine.host()).unwrap();
    let calls = machine.calls();
    let [install] = calls.as_slice() else { panic!("{calls:?}") };
    assert!(install.starts_with("dnf --assumeyes ") && install.ends_with(" python3-venv nginx-1.26.*"), "{install}");
    assert!(install.contains("install_weak_deps=False"), "{install}");
    assert!(step("names: [git=2.40.1, nginx=1.24.*, webserver]").check(&machine.facts()).unwrap().is_done());
}

#[test]
fn what_dnf_does_not_have_is_named_after_a_second_look() {
    let offered = "nginx\t1\t1.24.0\t1\n\npython3-venv\t0\t3.11\t1\n";
    for (asked, unknown, hint) in [
        ("pyhton3-venv", "`pyhton3-venv`", "did you mean `python3-venv`?"),
        ("nginx=9.*", "`nginx` in version `9.*`", "there is `1:1.24.0-1`"),
    ] {
        let machine = amazon("")
            .program_ends("dnf", 1, "", "Error: Unable to find a match\n")
            .program("dnf --quiet --cacheonly", offered)
            .program(
                "dnf --quiet --cacheonly --disableplugin=versionlock repoquery --available --queryformat \
                %{name}\\t%{epoch}\\t%{version}\\t%{release}\\n --whatprovides",
                "",
            );
        let wanted = step(&format!("names: ['{asked}']"));
        let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
        let error = wanted.apply(&change, &machine.host()).unwrap_err();
        assert_eq!((error.kind(), error.advice()), (Kind::Missing, Some(hint)));
        assert!(error.to_string().contains(unknown), "{error}");
        assert_eq!(machine.calls().iter().filter(|call| call.ends_with(" --refresh")).count(), 1);
    }
}

#[test]
fn dnf_holds_with_its_plugin_or_says_what_it_takes() {
    let wanted = step("{ names: [git], hold: true }");
    let error = wanted.check(&amazon(RPMS).facts()).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("versionlock"), "{error}");
    assert!(plan(&step("{ names: [git], hold: false }"), &amazon(RPMS)).is_empty());
    let machine = amazon(RPMS).program("dnf", "");
    machine.write("etc/dnf/plugins/versionlock.conf", "[main]\n");
    assert_eq!(plan(&wanted, &machine), ["hold `git`"]);
    let change = wanted.check(&machine.facts()).unwrap().changes.remove(0).change;
    wanted.apply(&change, &machine.host()).unwrap();
    assert!(machine.calls().pop().unwrap().ends_with("versionlock add git"));
    machine.write("etc/dnf/plugins/versionlock.list", "git-0:2.40.1-1.*\n");
    assert!(plan(&wanted, &machine).is_empty());
    assert_eq!(plan(&step("{ names: [git], hold: false }"), &machine), ["no longer hold `git`"]);
}

#[test]
fn a_file_of_another_package_manager_is_refused() {
    let error = step("names: [/srv/a.deb]").check(&amazon(RPMS).facts()).unwrap_err();
    assert!(error.to_string().contains("installs `.rpm` files"), "{error}");
    let error = step("names: [/srv/a.rpm]").check(&machine(SEEN).facts()).unwrap_err();
    assert!(error.to_string().contains("installs `.deb` files"), "{error}");
    let remote = step("names: [{ name: git, version: '2.40.1', rpm: 's3://b/a.rpm', sha256: 'ab' }]");
    assert!(remote.check(&machine(SEEN).facts()).is_err());
}
