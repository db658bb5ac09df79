//! What happens in the tree, over no network: moving, local changes, runs that were cut short, submodules.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Project, access, bring_as, git, has};
use crate::error::Kind;
use crate::host::git::look::{Place, look};
use crate::host::git::mark::Mark;
use crate::host::git::releases::{self, Releases};

#[test]
fn a_checkout_follows_branch_tag_and_commit() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let first = project.bring(Some("main")).unwrap();
    let checkout = project.checkout();
    assert_eq!((checkout.commit.as_str(), checkout.branch.as_deref()), (project.id("main").as_str(), Some("main")));
    assert_eq!(first.commit, checkout.commit);
    assert_eq!(checkout.origin, Some(project.bare().display().to_string()));
    assert_eq!(fs::read_to_string(project.tree().join("dir/three.txt")).unwrap(), "three\n");
    let mode = |name: &str| fs::metadata(project.tree().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("one.txt")), (0o755, 0o644));
    assert_eq!(git(&project.tree(), &["status", "--porcelain", "--branch"]), "## main...origin/main");

    project.bring(Some("v1")).unwrap();
    assert_eq!((project.checkout().commit, project.checkout().branch), (project.id("v1"), None));
    assert!(!project.tree().join("dir").exists(), "what the tag does not have is gone");

    project.bring(Some(&project.id("main"))).unwrap();
    assert_eq!(project.checkout().commit, project.id("main"));

    // Somebody rewrote the branch: it is followed all the same.
    git(&project.work(), &["reset", "--quiet", "--hard", "v1"]);
    project.commit("other.txt", "other\n");
    project.push();
    project.bring(None).unwrap();
    assert_eq!((project.checkout().commit, project.checkout().branch), (project.id("main"), Some("main".into())));
}

#[test]
fn untracked_files_stay_and_are_never_overwritten() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    fs::write(project.tree().join(".env"), "SECRET=1\n").unwrap();
    project.bring(None).unwrap();
    fs::write(project.tree().join("new.txt"), "mine\n").unwrap();
    assert!(project.checkout().modified.is_empty());
    let before = project.checkout().commit;
    project.commit("new.txt", "theirs\n");
    project.commit("one.txt", "changed\n");
    project.push();
    let error = project.bring(None).unwrap_err();
    assert!(error.to_string().contains("`new.txt`"), "{error}");
    assert_eq!(fs::read_to_string(project.tree().join("one.txt")).unwrap(), "one\n", "nothing was written");
    assert_eq!(project.checkout().commit, before);
    fs::remove_file(project.tree().join("new.txt")).unwrap();
    // A file where the commit has a directory is in the way as well.
    project.commit(".env.d/file", "1\n");
    project.push();
    fs::write(project.tree().join(".env.d"), "mine\n").unwrap();
    assert!(project.bring(None).unwrap_err().to_string().contains("`.env.d`"));
    fs::remove_file(project.tree().join(".env.d")).unwrap();
    project.bring(None).unwrap();
    assert_eq!(fs::read_to_string(project.tree().join(".env")).unwrap(), "SECRET=1\n");
    assert_eq!(project.checkout().commit, project.id("main"));
}

#[test]
fn a_directory_with_files_of_the_same_name_is_not_cloned_into() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    fs::write(project.tree().join("one.txt"), "mine\n").unwrap();
    let error = project.bring(None).unwrap_err();
    assert!(error.to_string().contains("`one.txt`"), "{error}");
    assert!(!project.tree().join(".git").exists());
    fs::remove_file(project.tree().join("one.txt")).unwrap();
    project.bring(None).unwrap();
    assert!(project.checkout().modified.is_empty());
}

#[test]
fn modified_tracked_files_fail_with_a_diffstat_or_are_put_aside() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    project.bring(None).unwrap();
    fs::write(project.tree().join("one.txt"), "one\nlocal\n").unwrap();
    fs::remove_file(project.tree().join("run.sh")).unwrap();
    let lines = project.checkout().modified.join("\n");
    assert!(lines.contains("one.txt") && lines.contains("run.sh") && lines.contains("2 files changed"), "{lines}");
    project.commit("one.txt", "theirs\n");
    project.push();
    let error = project.bring(None).unwrap_err();
    assert!(error.last_lines().iter().any(|line| line.contains("one.txt")), "{error}");
    let wish = crate::host::git::Wish { stash: true, ..project.wish(None) };
    bring_as(&wish).unwrap();
    assert!(project.checkout().modified.is_empty());
    assert_eq!(fs::read_to_string(project.tree().join("one.txt")).unwrap(), "theirs\n");
    assert!(git(&project.tree(), &["stash", "show", "-p"]).contains("+local"));
}

#[test]
fn commits_made_here_are_not_lost() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    project.bring(None).unwrap();
    fs::write(project.tree().join("mine.txt"), "mine\n").unwrap();
    git(&project.tree(), &["add", "--all"]);
    git(&project.tree(), &["commit", "--quiet", "-m", "mine"]);
    let own = project.checkout();
    assert!(own.has_own_commits);
    project.commit("four.txt", "four\n");
    project.push();
    assert!(project.bring(None).unwrap_err().to_string().contains("was made here"));
    let wish = crate::host::git::Wish { stash: true, ..project.wish(None) };
    bring_as(&wish).unwrap();
    let kept = git(&project.tree(), &["for-each-ref", "--format=%(objectname)", "refs/bootstrap-agent/kept"]);
    assert_eq!(kept, own.commit);
    assert!(!project.checkout().has_own_commits);
}

#[test]
fn a_checkout_that_was_cut_short_is_finished_and_no_modification() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    project.bring(Some("v1")).unwrap();
    // The state that a kill in the middle of writing files leaves: mark, new objects, some files, a dead lock.
    project.bring(Some("main")).unwrap();
    let repository = git2::Repository::open(project.tree()).unwrap();
    let main = project.id("main");
    Mark { target: Some(main.clone()), branch: Some("main".into()) }.write(&repository).unwrap();
    fs::write(project.tree().join("one.txt"), "o").unwrap();
    fs::remove_file(project.tree().join("dir/three.txt")).unwrap();
    fs::write(project.tree().join(".git/index.lock"), "").unwrap();
    let checkout = project.checkout();
    assert_eq!((checkout.unfinished, checkout.modified.len()), (Some(main.clone()), 0));
    project.bring(Some("main")).unwrap();
    let checkout = project.checkout();
    assert_eq!((checkout.commit, checkout.unfinished, checkout.modified.len()), (main, None, 0));
    assert!(!project.tree().join(".git/index.lock").exists());
    assert_eq!(git(&project.tree(), &["status", "--porcelain"]), "");
}

#[test]
fn origin_follows_the_playbook() {
    if !has(&["git"]) {
        return;
    }
    let (old, new) = (Project::new(), Project::new());
    old.bring(None).unwrap();
    let wish = crate::host::git::Wish { path: old.tree(), ..new.wish(None) };
    bring_as(&wish).unwrap();
    assert_eq!(old.checkout().origin, Some(new.bare().display().to_string()));
    assert_eq!(old.checkout().commit, new.id("main"));
}

#[test]
fn submodules_follow_the_commit() {
    if !has(&["git"]) {
        return;
    }
    let (project, library, inner) = (Project::new(), Project::new(), Project::new());
    git(&library.work(), &["submodule", "--quiet", "add", inner.bare().to_str().unwrap(), "inner"]);
    library.commit("lib.txt", "1\n");
    library.push();
    git(&project.work(), &["submodule", "--quiet", "add", library.bare().to_str().unwrap(), "vendor/lib"]);
    project.commit("uses.txt", "lib\n");
    project.push();
    let wish = crate::host::git::Wish { submodules: true, ..project.wish(None) };
    bring_as(&wish).unwrap();
    assert_eq!(fs::read_to_string(project.tree().join("vendor/lib/lib.txt")).unwrap(), "1\n");
    assert!(project.tree().join("vendor/lib/inner/one.txt").exists());
    assert!(project.checkout().stale_submodules.is_empty());
    library.commit("lib.txt", "2\n");
    library.push();
    git(&project.work().join("vendor/lib"), &["pull", "--quiet", "origin", "main"]);
    project.commit("uses.txt", "lib 2\n");
    project.push();
    project.bring(None).unwrap();
    assert_eq!(project.checkout().stale_submodules, ["vendor/lib"]);
    bring_as(&wish).unwrap();
    assert_eq!(fs::read_to_string(project.tree().join("vendor/lib/lib.txt")).unwrap(), "2\n");
    assert!(project.checkout().stale_submodules.is_empty());
}

#[test]
fn a_release_is_a_checkout_that_git_itself_finds_no_fault_with() {
    if !has(&["git"]) {
        return;
    }
    let (project, library) = (Project::new(), Project::new());
    git(&project.work(), &["submodule", "--quiet", "add", library.bare().to_str().unwrap(), "vendor/lib"]);
    project.commit("uses.txt", "lib\n");
    project.push();
    let wish = crate::host::git::Wish { submodules: true, release: true, ..project.wish(Some("main")) };
    let made = releases::make(&wish, &access(&wish)).unwrap();
    // It was made under another name, which nothing in it remembers.
    let release = project.tree().join("releases").join(&made.commit);
    assert!(release.join("vendor/lib/one.txt").exists());
    assert_eq!(git(&release, &["status", "--porcelain", "--branch"]), "## main...origin/main");
    assert_eq!(git(&release.join("vendor/lib"), &["status", "--porcelain"]), "");
    let found = Releases::look(&project.tree()).unwrap();
    assert_eq!((found.commits.as_slice(), found.leftovers.len()), ([made.commit.clone()].as_slice(), 0));
    releases::remove(&project.tree(), &found.commits).unwrap();
    assert_eq!(Releases::look(&project.tree()).unwrap(), Releases::default());
}

#[test]
fn what_is_not_there_is_said() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let error = project.bring(Some("mian")).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Missing, Some("did you mean `main`?")));
    assert!(look(&project.tree(), false).unwrap() == Place::NoRepository);
    let error = project.bring(Some(&"1".repeat(40))).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
    let wish = crate::host::git::Wish { url: "/nowhere/p.git".into(), ..project.wish(None) };
    assert!(bring_as(&wish).is_err());
    fs::write(project.folder.path().join("file"), "").unwrap();
    assert_eq!(look(&project.folder.path().join("file"), false).unwrap(), Place::Occupied);
    fs::create_dir(project.tree().join(".git")).unwrap();
    assert!(matches!(look(&project.tree(), false).unwrap(), Place::Broken(_)));
}

#[test]
fn two_thousand_files_are_checked_out() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    for number in 0..2000 {
        let path = project.work().join(format!("many/{}/{number}.txt", number % 50));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{number}\n").repeat(20)).unwrap();
    }
    project.commit("last.txt", "last\n");
    project.push();
    project.bring(None).unwrap();
    assert_eq!(git(&project.tree(), &["ls-files", "many"]).lines().count(), 2000);
    assert!(project.checkout().modified.is_empty());
}
