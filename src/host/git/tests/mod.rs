//! Against the real things: repositories made by git itself, served by a real `sshd` and by git's own HTTP program.

mod as_owner;
mod http;
mod local;
mod over_ssh;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::address::Address;
use super::bring::{Wish, bring};
use super::look::{Checkout, Place, look};
use super::resolve::Resolved;
use crate::error::Result;

/// Whether the programs a test needs are here; says so if not, because a test that was skipped must be seen.
pub fn has(programs: &[&str]) -> bool {
    let is_there = |name: &str| Command::new("which").arg(name).output().is_ok_and(|output| output.status.success());
    let missing: Vec<&&str> = programs.iter().filter(|name| !is_there(name)).collect();
    if !missing.is_empty() {
        std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: needs {missing:?}\n").as_bytes()).unwrap();
    }
    missing.is_empty()
}

/// Runs git in a folder and gives what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "somebody")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "somebody@localhost")))
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Brings a checkout of a repository on this machine to where the wish says.
pub fn bring_as(wish: &Wish) -> Result<Resolved> {
    bring(wish, &access(wish))
}

/// A minute's access to where the wish comes from.
pub fn access(wish: &Wish) -> Arc<Access> {
    let address: Address = wish.url.parse().unwrap();
    Arc::new(Access::new(address, Duration::from_mins(1)).unwrap())
}

/// A project with history, and the bare repository it is pushed to.
pub struct Project {
    pub folder: tempfile::TempDir,
}

impl Project {
    /// With three commits on `main`, a tag `v1` on the second, and a branch `side`.
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        git(project.folder.path(), &["init", "--quiet", "--bare", "bare.git"]);
        git(project.folder.path(), &["init", "--quiet", "work"]);
        git(&project.work(), &["remote", "add", "origin", "../bare.git"]);
        project.commit("one.txt", "one\n");
        project.commit("run.sh", "#!/bin/sh\n");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(project.work().join("run.sh"), executable).unwrap();
        project.commit("two.txt", "two\n");
        git(&project.work(), &["tag", "-a", "v1", "-m", "first"]);
        git(&project.work(), &["branch", "side"]);
        project.commit("dir/three.txt", "three\n");
        project.push();
        project
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("bare.git")
    }

    /// Where the tests check out.
    pub fn tree(&self) -> PathBuf {
        let tree = self.folder.path().join("tree");
        std::fs::create_dir_all(&tree).unwrap();
        tree
    }

    pub fn commit(&self, name: &str, content: &str) -> String {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        git(&self.work(), &["add", "--all"]);
        git(&self.work(), &["commit", "--quiet", "-m", name]);
        self.id("HEAD")
    }

    pub fn id(&self, revision: &str) -> String {
        git(&self.work(), &["rev-parse", &format!("{revision}^{{commit}}")])
    }

    pub fn push(&self) {
        git(&self.work(), &["push", "--quiet", "--force", "--all", "origin"]);
        git(&self.work(), &["push", "--quiet", "--force", "--tags", "origin"]);
    }

    /// Brings `tree` to a revision of the bare repository, over no network.
    pub fn bring(&self, revision: Option<&str>) -> Result<Resolved> {
        bring_as(&self.wish(revision))
    }

    pub fn wish(&self, revision: Option<&str>) -> Wish {
        Wish {
            path: self.tree(),
            url: self.bare().display().to_string(),
            revision: revision.map(ToOwned::to_owned),
            resolved: None,
            depth: 1,
            submodules: false,
            stash: false,
            release: false,
        }
    }

    /// What stands at `tree`, which must be a repository, and one that git itself finds no fault with.
    pub fn checkout(&self) -> Checkout {
        git(&self.tree(), &["fsck", "--no-dangling"]);
        match look(&self.tree(), true).unwrap() {
            Place::Repository(checkout) => *checkout,
            other => panic!("{other:?}"),
        }
    }
}
