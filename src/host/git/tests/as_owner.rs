//! As another user, in earnest: root sends a helper, and nothing in the tree is root's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::Server;
use super::{Project, has};
use crate::host::aws::Aws;
use crate::host::deadline::Deadline;
use crate::host::documents::Beside;
use crate::host::git::{Place, Source, Wish};
use crate::host::{Facts, Host, StepScope, World, WorldOptions};
use crate::secret::{Redactor, Sensitive};

/// A user that every system has.
const USER: &str = "nobody";

fn facts(runtime: &tokio::runtime::Runtime) -> Facts {
    let options = WorldOptions {
        online: true,
        guards: false,
        stay_on_revision: false,
        retry_revision: false,
        by_timer: false,
        environment: indexmap::IndexMap::new(),
        state: "/nonexistent".into(),
        redactor: Redactor::new(),
        runtime: runtime.handle().clone(),
    };
    let scope = StepScope {
        deadline: Deadline::at(Instant::now() + Duration::from_mins(1)),
        fingerprints: Arc::default(),
        lines: Arc::new(|_| {}),
        waiting: Arc::new(|_| {}),
        beside: Beside::Nothing,
    };
    Facts::new(World::new(options, Aws::new(runtime.handle().clone())), scope)
}

/// The groups that anything in the tree belongs to.
fn groups(tree: &Path) -> Vec<u32> {
    let (mut groups, mut waiting) = (Vec::new(), vec![tree.to_owned()]);
    while let Some(path) = waiting.pop() {
        let there = path.symlink_metadata().unwrap();
        groups.push(there.gid());
        if there.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[test]
fn a_checkout_belongs_to_its_owner_and_the_key_is_on_no_disk() {
    if !has(&["git", "sshd", "ssh-keygen"]) || !nix::unistd::geteuid().is_root() {
        std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED unless root\n").unwrap();
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, project, facts) = (Server::start(), Project::new(), facts(&runtime));
    let host = Host::new(facts.clone());
    let account = facts.user(USER).unwrap().unwrap();
    // On the way there, a stranger may walk.
    fs::set_permissions(project.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(project.tree(), Some(account.uid), Some(account.gid)).unwrap();
    let key = Sensitive::Secret(server.key("ed25519"));
    let url = server.url(&project.bare());
    let pins = [server.public("host")];
    let source = Source { url: &url, ssh_key: Some(&key), token: None, token_user: "", host_keys: &pins };
    let wish = Wish { url: url.clone(), ..project.wish(Some("main")) };
    host.bring_checkout(USER, None, &source, wish.clone()).unwrap();
    let Place::Repository(checkout) = facts.checkout(USER, &project.tree(), false).unwrap() else { panic!() };
    assert_eq!(checkout.commit, project.id("main"));
    let mut waiting = vec![project.tree()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let there = path.symlink_metadata().unwrap();
        assert_eq!((there.uid(), there.gid()), (account.uid, account.gid), "{}", path.display());
        assert_eq!(there.mode() & 0o022, 0, "{}", path.display());
        seen += 1;
        if there.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let content = fs::read(&path).unwrap();
            assert!(!content.windows(15).any(|part| part == b"BEGIN OPENSSH P"), "{}", path.display());
        }
    }
    assert!(seen > 10, "the walk found only {seen}");
    assert_eq!(fs::metadata(project.tree().join("one.txt")).unwrap().mode() & 0o777, 0o644);
    assert_eq!(groups(&project.tree()), [account.gid], "the owner's own");
    // All of it goes to another group, which the owner is not in, and what comes later is that group's at once.
    let other = facts.group("daemon").unwrap().unwrap().gid;
    host.give_checkout_to(USER, "daemon", &project.tree()).unwrap();
    assert_eq!(groups(&project.tree()), [other]);
    project.commit("later/four.txt", "four\n");
    project.push();
    let tip = Wish { revision: Some(project.id("main")), ..wish.clone() };
    host.bring_checkout(USER, Some("daemon"), &source, tip).unwrap();
    assert!(project.tree().join("later/four.txt").exists());
    assert_eq!(groups(&project.tree()), [other]);
    // The error of the helper comes through whole.
    let wrong = [server.public("other")];
    let source = Source { host_keys: &wrong, ..source };
    let wish = Wish { revision: Some("side".into()), ..wish };
    let error = host.bring_checkout(USER, None, &source, wish).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Denied);
    assert!(error.to_string().contains("not one of the 1 pinned") && error.advice().is_some(), "{error}");
}
