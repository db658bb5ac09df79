//! Over a real SSH connection: keys of every kind, host keys that are wrong, shallow fetches, a helper that is killed.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::Server;
use super::{Project, git, has};
use crate::error::{Kind, Result};
use crate::host::git::access::Access;
use crate::host::git::bring::{Wish, ask, bring};
use crate::host::git::pins::Pins;
use crate::host::git::resolve::Resolved;
use crate::secret::Secret;

const PROGRAMS: [&str; 3] = ["git", "sshd", "ssh-keygen"];

fn access(server: &Server, project: &Project, key: Secret, pin: &str) -> Arc<Access> {
    let address = server.url(&project.bare()).parse().unwrap();
    let mut access = Access::new(address, Duration::from_mins(1)).unwrap();
    access.pins = Pins::find("127.0.0.1", server.port, &[server.public(pin)]).unwrap();
    access.ssh_key = Some(key);
    Arc::new(access)
}

fn wish(server: &Server, project: &Project, revision: Option<&str>) -> Wish {
    Wish { url: server.url(&project.bare()), ..project.wish(revision) }
}

fn bring_over(server: &Server, project: &Project, revision: Option<&str>) -> Result<Resolved> {
    bring(&wish(server, project, revision), &access(server, project, server.key("ed25519"), "host"))
}

fn commits_here(project: &Project) -> usize {
    git(&project.tree(), &["rev-list", "--count", "HEAD"]).parse().unwrap()
}

#[test]
fn every_kind_of_key_is_let_in() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    for key in ["ed25519", "ecdsa", "rsa", "pem", "pkcs8"] {
        let found = ask(&access(&server, &project, server.key(key), "host"), Some("main"));
        let found = found.unwrap_or_else(|error| panic!("{key}: {error}\n{}", server.log()));
        assert_eq!(found.commit, project.id("main"), "{key}");
    }
    // As it often comes out of a parameter store.
    let mangled = String::from_utf8(server.key("ed25519").expose().to_vec()).unwrap().replace('\n', "\\n");
    assert!(ask(&access(&server, &project, Secret::new(mangled), "host"), None).is_ok());
}

#[test]
fn a_host_key_that_is_not_pinned_is_refused_and_named() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    let error = ask(&access(&server, &project, server.key("ed25519"), "other"), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("the server's host key is not one of the 1 pinned for `127.0.0.1`"), "{error}");
    assert!(error.advice().unwrap().contains("host_keys"));
    assert!(!server.log().contains("Accepted"), "the key was used on a server we do not know");
    // Another type of key is pinned than the server has.
    let error = ask(&access(&server, &project, server.key("ed25519"), "rsa"), None).unwrap_err();
    assert!(error.to_string().contains("not one of the 1 pinned"), "{error}");
    let mut nothing = Access::new(server.url(&project.bare()).parse().unwrap(), Duration::from_secs(10)).unwrap();
    nothing.ssh_key = Some(server.key("ed25519"));
    assert!(ask(&Arc::new(nothing), None).unwrap_err().to_string().contains("no host key"));
}

#[test]
fn who_is_not_let_in_is_told_why() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    let error = ask(&access(&server, &project, server.key("other"), "host"), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("refused the key"), "{error}");
    let error = ask(&access(&server, &project, Secret::new("no key"), "host"), None).unwrap_err();
    assert!(error.to_string().contains("`ssh_key` is not a private key") && !error.to_string().contains("no key"), "{error}");
    let address = server.url(&project.folder.path().join("absent.git")).parse().unwrap();
    let mut elsewhere = Access::new(address, Duration::from_secs(30)).unwrap();
    elsewhere.pins = Pins(vec![server.public("host")]);
    elsewhere.ssh_key = Some(server.key("ed25519"));
    let error = ask(&Arc::new(elsewhere), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
    assert!(error.to_string().contains("absent.git"), "{error}");
    // Nobody there at all.
    let closed = format!("ssh://git@127.0.0.1:1{}", project.bare().display()).parse().unwrap();
    let mut closed = Access::new(closed, Duration::from_secs(10)).unwrap();
    closed.pins = Pins(vec![server.public("host")]);
    closed.ssh_key = Some(server.key("ed25519"));
    let error = ask(&Arc::new(closed), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains("connection refused") && !error.to_string().contains("os error"), "{error}");
}

#[test]
fn a_server_that_says_nothing_does_not_hold_us() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ssh://git@127.0.0.1:{}/p.git", listener.local_addr().unwrap().port()).parse().unwrap();
    let mut access = Access::new(address, Duration::from_secs(1)).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO";
    access.pins = Pins(vec![key.into()]);
    let generated = russh::keys::PrivateKey::random(&mut russh::keys::key::safe_rng(), russh::keys::Algorithm::Ed25519).unwrap();
    let text = generated.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
    access.ssh_key = Some(Secret::new(text.as_bytes()));
    let started = Instant::now();
    let error = ask(&Arc::new(access), None).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn history_is_left_out_and_the_checkout_still_moves() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    bring_over(&server, &project, Some("main")).unwrap();
    assert_eq!((project.checkout().commit, commits_here(&project)), (project.id("main"), 1));
    // Forward, to a tag, to a commit that is no tip, and back.
    project.commit("four.txt", "four\n");
    project.commit("five.txt", "five\n");
    project.push();
    for revision in ["main", "v1", &project.id("main~1"), &project.id("v1~1"), "side", "main"] {
        bring_over(&server, &project, Some(revision)).unwrap_or_else(|error| panic!("{revision}: {error}"));
        assert_eq!(project.checkout().commit, project.id(revision), "{revision}");
        assert!(!project.checkout().has_own_commits && project.checkout().modified.is_empty(), "{revision}");
    }
    // The branch moves between the question and the fetch: what was asked about is what is deployed.
    let asked = ask(&access(&server, &project, server.key("ed25519"), "host"), Some("main")).unwrap();
    project.commit("six.txt", "six\n");
    project.push();
    let wish = Wish { resolved: Some(asked.clone()), ..wish(&server, &project, Some("main")) };
    let second = tempfile::tempdir().unwrap();
    let wish = Wish { path: second.path().to_owned(), ..wish };
    bring(&wish, &access(&server, &project, server.key("ed25519"), "host")).unwrap();
    assert_eq!(git(second.path(), &["rev-parse", "HEAD"]), asked.commit);
}

#[test]
fn the_key_goes_to_its_own_host_only() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, other, project) = (Server::start(), Server::start(), Project::new());
    let foreign = other.url(&project.bare());
    git(&project.work(), &["config", "-f", ".gitmodules", "submodule.lib.path", "lib"]);
    git(&project.work(), &["config", "-f", ".gitmodules", "submodule.lib.url", &foreign]);
    let id = project.id("main");
    git(&project.work(), &["update-index", "--add", "--cacheinfo", &format!("160000,{id},lib")]);
    git(&project.work(), &["add", ".gitmodules"]);
    git(&project.work(), &["commit", "--quiet", "-m", "foreign submodule"]);
    project.push();
    let wish = Wish { submodules: true, ..wish(&server, &project, None) };
    let error = bring(&wish, &access(&server, &project, server.key("ed25519"), "host")).unwrap_err();
    assert!(error.to_string().contains("for its own host only"), "{error}");
    assert!(!other.log().contains("Connection from"), "{}", other.log());
}

#[test]
fn a_submodule_beside_its_repository_is_found_with_the_same_key() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    git(project.folder.path(), &["clone", "--quiet", "--bare", "bare.git", "lib.git"]);
    git(&project.work(), &["config", "-f", ".gitmodules", "submodule.lib.path", "lib"]);
    git(&project.work(), &["config", "-f", ".gitmodules", "submodule.lib.url", "../lib.git"]);
    let id = project.id("v1");
    git(&project.work(), &["update-index", "--add", "--cacheinfo", &format!("160000,{id},lib")]);
    git(&project.work(), &["add", ".gitmodules"]);
    git(&project.work(), &["commit", "--quiet", "-m", "submodule beside"]);
    project.push();
    let wish = Wish { submodules: true, ..wish(&server, &project, None) };
    bring(&wish, &access(&server, &project, server.key("ed25519"), "host")).unwrap();
    assert_eq!(git(&project.tree().join("lib"), &["rev-parse", "HEAD"]), id);
    assert!(project.checkout().stale_submodules.is_empty());
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by `a_clone_that_is_killed_is_finished_by_the_next_run`"]
fn child_that_clones() {
    let text = std::env::var("BRING").unwrap();
    serde_json::from_str::<crate::host::git::GitErrand>(&text).unwrap().perform().unwrap();
}

#[test]
fn a_clone_that_is_killed_is_finished_by_the_next_run() {
    if !has(&PROGRAMS) {
        return;
    }
    let (server, project) = (Server::start(), Project::new());
    for number in 0..250_u32 {
        // Hardly compressible, so that the pack is of some size.
        let mix = |at: u32| at.wrapping_mul(2_654_435_761).wrapping_add(number * 97).to_be_bytes();
        let noise: Vec<u8> = (0..1500_u32).flat_map(mix).collect();
        std::fs::write(project.work().join(format!("{number}.bin")), noise).unwrap();
    }
    project.commit("last.txt", "last\n");
    project.push();
    let errand = crate::host::git::GitErrand::Bring {
        server: crate::host::git::Server {
            url: server.url(&project.bare()),
            ssh_key: Some(server.key("ed25519")),
            token: None,
            token_user: String::new(),
            pins: Pins(vec![server.public("host")]),
            limit: Duration::from_mins(1),
        },
        wish: wish(&server, &project, Some("main")),
    };
    let text = serde_json::to_string(&errand).unwrap();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host::git::tests::over_ssh::child_that_clones", "--ignored"])
            .env("BRING", &text)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // How long a whole one takes tells where to cut.
    let begun = Instant::now();
    assert!(start().wait().unwrap().success());
    let whole = begun.elapsed();
    let mut cut = 0;
    for part in 3..9_u32 {
        std::fs::remove_dir_all(project.tree()).unwrap();
        project.tree();
        let mut child = start();
        std::thread::sleep(whole * part / 10);
        child.kill().unwrap();
        cut += usize::from(!child.wait().unwrap().success());
        bring_over(&server, &project, Some("main")).unwrap_or_else(|error| panic!("after {part}/10: {error}"));
        let checkout = project.checkout();
        assert_eq!((checkout.commit, checkout.unfinished, checkout.modified.len()), (project.id("main"), None, 0));
        assert_eq!(git(&project.tree(), &["status", "--porcelain"]), "", "after {part}/10");
    }
    assert!(cut >= 3, "only {cut} of them were cut short");
}
