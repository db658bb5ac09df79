//! Real files, and where we are root, a real attacker.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Kind;
use crate::host::fakes::{Machine, not_root, skipped};
use crate::host::files::{FileKind, NewFile};
use crate::host::write::Attributes;
use crate::secret::Secret;

/// A user every Linux has and nobody logs in as.
const USER: (&str, u32) = ("daemon", 1);

fn file(path: &Path, content: &str) -> NewFile {
    NewFile { path: path.to_owned(), content: content.into(), owner: None, group: None, mode: 0o640 }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A folder of the user inside one of root's.
fn home_of_user(machine: &Machine) -> std::path::PathBuf {
    std::fs::set_permissions(machine.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let home = machine.path("home-of-user");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(USER.1), Some(USER.1)).unwrap();
    home
}

#[test]
fn a_file_is_replaced_whole_with_its_mode() {
    let machine = Machine::new();
    let host = machine.host();
    let path = machine.path("conf");
    assert_eq!(host.look(&path).unwrap(), None);
    host.write_file(&file(&path, "one")).unwrap();
    let first = std::fs::metadata(&path).unwrap();
    assert_eq!(first.mode() & 0o7777, 0o640);
    // A run that was killed left this behind.
    machine.write(".conf.bootstrap-agent.0123456789abcdef", "half");
    machine.write(".conf.bootstrap-agent.not-ours", "stays");
    host.write_file(&file(&path, "two")).unwrap();
    assert_eq!(host.read(&path).unwrap().unwrap(), b"two");
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), first.ino(), "renamed into place, not written over");
    let left: Vec<String> = names(&machine.path("")).into_iter().filter(|name| name.contains("conf")).collect();
    assert_eq!(left, [".conf.bootstrap-agent.not-ours", "conf"]);
}

#[test]
fn what_cannot_be_written_says_why() {
    let machine = Machine::new();
    let missing = machine.host().write_file(&file(&machine.path("no/such/file"), "x")).unwrap_err();
    assert_eq!(missing.kind(), Kind::Missing);
    assert!(missing.to_string().contains("no/such`"), "{missing}");
    std::fs::create_dir(machine.path("folder")).unwrap();
    assert!(machine.host().write_file(&file(&machine.path("folder"), "x")).is_err());
    let long = machine.path(&"n".repeat(250));
    machine.host().write_file(&file(&long, "long names have room for a temporary one")).unwrap();
    machine.host().write_file(&file(&long, "again")).unwrap();
    assert_eq!(machine.host().read(&long).unwrap().unwrap(), b"again");
}

#[test]
fn a_file_that_is_not_accepted_does_not_go_live() {
    let machine = Machine::new().program_does("check", |invocation| {
        let content = std::fs::read_to_string(&invocation.arguments[0]).unwrap();
        let code = i32::from(content.contains("bad"));
        Ok(crate::host::programs::Output {
            status: crate::host::programs::Status::Code(code),
            stdout: Vec::new(),
            stderr: b"line 1: bad\n".to_vec(),
        })
    });
    let path = machine.write("nginx.conf", "old");
    let validate = ["check".to_owned(), "%s".to_owned()];
    let error = machine.host().write_validated(&file(&path, "bad"), &validate).unwrap_err();
    assert_eq!(error.last_lines(), ["line 1: bad"]);
    assert_eq!(machine.content("nginx.conf"), "old");
    assert!(!names(&machine.path("")).iter().any(|name| name.contains("bootstrap-agent")));
    machine.host().write_validated(&file(&path, "good"), &validate).unwrap();
    assert_eq!(machine.content("nginx.conf"), "good");
}

#[test]
fn directories_and_links_are_made_and_removed() {
    let machine = Machine::new();
    let host = machine.host();
    let deep = machine.path("a/b/c");
    host.make_directory(&deep, &Attributes { mode: Some(0o700), ..Attributes::default() }).unwrap();
    assert_eq!(host.look(&deep).unwrap().unwrap().mode, 0o700);
    assert_eq!(host.look(&machine.path("a/b")).unwrap().unwrap().mode, 0o755);
    let link = machine.path("a/current");
    for target in ["b", "b/c"] {
        host.make_link(&link, Path::new(target), &Attributes::default()).unwrap();
        assert_eq!(host.look(&link).unwrap().unwrap().kind, FileKind::Link(target.into()));
    }
    machine.write("a/b/c/file", "x");
    machine.write("outside/file", "x");
    symlink(machine.path("outside"), machine.path("a/b/away")).unwrap();
    host.remove(&machine.path("a")).unwrap();
    host.remove(&machine.path("a")).unwrap();
    assert_eq!(host.look(&machine.path("a")).unwrap(), None);
    assert_eq!(machine.content("outside/file"), "x", "a link in the tree was followed");
}

#[test]
fn trusted_links_are_followed_and_loops_end() {
    let machine = Machine::new();
    machine.write("real/deep/file", "found");
    symlink("deep", machine.path("real/inner")).unwrap();
    symlink("real/inner/../inner", machine.path("way")).unwrap();
    symlink("loop", machine.path("loop")).unwrap();
    if !not_root() {
        std::fs::set_permissions(machine.path("real"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(machine.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    }
    assert_eq!(machine.facts().read(&machine.path("way/file")).unwrap().unwrap(), b"found");
    assert!(machine.facts().read(&machine.path("loop/file")).unwrap_err().to_string().contains("loop"));
    assert!(machine.facts().read(&machine.path("real")).is_err());
}

#[test]
fn hard_linked_files_keep_their_attributes() {
    let machine = Machine::new();
    let path = machine.write("one", "x");
    std::fs::hard_link(&path, machine.path("two")).unwrap();
    let error = machine.host().set_attributes(&path, &Attributes { mode: Some(0o777), ..Attributes::default() }).unwrap_err();
    assert!(error.to_string().contains("2 names"), "{error}");
}

#[test]
fn in_a_users_tree_that_user_does_the_work() {
    if not_root() {
        return;
    }
    let machine = Machine::real();
    let home = home_of_user(&machine);
    let host = machine.host();
    assert_eq!(host.holder(&home).unwrap(), None);
    assert_eq!(host.holder(&home.join("x")).unwrap(), Some(USER.1));
    let mut env = file(&home.join("app/.env"), "");
    env.content = crate::secret::Sensitive::Secret(Secret::new(b"binary \xff\x00 secret".to_vec()));
    env.mode = 0o600;
    host.make_directory(&home.join("app"), &Attributes::default()).unwrap();
    host.write_file(&env).unwrap();
    let meta = std::fs::metadata(&env.path).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (USER.1, USER.1, 0o600));
    assert_eq!(host.read(&env.path).unwrap().unwrap(), b"binary \xff\x00 secret");
    // Root's own files are not for the user's tree, and the user cannot be tricked into reading them for root.
    env.owner = Some("root".into());
    let error = host.write_file(&env).unwrap_err();
    assert!(error.advice().is_some_and(|hint| hint.contains("`owner: daemon`")), "{error}");
    let mine = machine.write("for-root-only", "x");
    std::fs::set_permissions(&mine, PermissionsExt::from_mode(0o600)).unwrap();
    symlink(&mine, home.join("link")).unwrap();
    std::os::unix::fs::lchown(home.join("link"), Some(USER.1), Some(USER.1)).unwrap();
    let error = host.read(&home.join("link")).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    host.remove(&home.join("app")).unwrap();
    assert_eq!(names(&home), ["link"]);
}

#[test]
fn an_attacker_who_swaps_links_changes_nothing_outside() {
    if not_root() {
        return;
    }
    let machine = Machine::real();
    let home = home_of_user(&machine);
    std::fs::create_dir(home.join("app")).unwrap();
    chown(home.join("app"), Some(USER.1), Some(USER.1)).unwrap();
    let outside = machine.path("outside");
    machine.write("outside/.env", "untouched");
    let picture = |folder: &Path| {
        let meta = std::fs::metadata(folder).unwrap();
        (meta.uid(), meta.mode(), names(folder), std::fs::read(folder.join(".env")).unwrap())
    };
    let before = picture(&outside);

    let stop = Arc::new(AtomicBool::new(false));
    let attacker = {
        let (stop, home, outside) = (stop.clone(), home.clone(), outside.clone());
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let _ = std::fs::rename(home.join("app"), home.join("aside"));
                let _ = symlink(&outside, home.join("app"));
                std::thread::yield_now();
                let _ = std::fs::remove_file(home.join("app"));
                let _ = std::fs::rename(home.join("aside"), home.join("app"));
                std::thread::sleep(std::time::Duration::from_micros(200));
                swaps += 1;
            }
            swaps
        })
    };
    let host = machine.host();
    let mut done = 0;
    for round in 0..60 {
        let path = home.join("app/.env");
        let results = [
            host.write_file(&file(&path, &format!("round {round}"))),
            host.set_attributes(&path, &Attributes { mode: Some(0o600), owner: Some(USER.0.into()), group: None }),
            host.make_directory(&home.join("app/made/deep"), &Attributes::default()),
            host.remove(&home.join("app/made")),
        ];
        done += results.iter().filter(|result| result.is_ok()).count();
    }
    // What the same attack does to who trusts the path; if it did nothing, this test would prove nothing.
    let fooled = (0..20_000).any(|_| {
        let _ = std::fs::write(home.join("app/fooled"), "x");
        outside.join("fooled").exists()
    });
    stop.store(true, Ordering::Relaxed);
    let swaps = attacker.join().unwrap();
    assert!(fooled, "the attack was too slow to be one ({swaps} swaps)");
    std::fs::remove_file(outside.join("fooled")).unwrap();
    assert!(done > 0 && swaps > 100, "{done} acts succeeded, {swaps} swaps");
    assert_eq!(picture(&outside), before);
}

#[test]
fn a_full_disk_keeps_the_old_content() {
    if not_root() {
        return;
    }
    let machine = Machine::new();
    let small = machine.path("small");
    std::fs::create_dir(&small).unwrap();
    if let Err(error) =
        nix::mount::mount(Some("tmpfs"), &small, Some("tmpfs"), nix::mount::MsFlags::empty(), Some("size=64k,mode=755"))
    {
        skipped(&format!("no file system may be mounted here: {error}"));
        return;
    }
    let path = small.join("conf");
    let outcome = std::panic::catch_unwind(|| {
        let host = machine.host();
        host.write_file(&file(&path, "old")).unwrap();
        let error = host.write_file(&file(&path, &"x".repeat(200_000))).unwrap_err();
        assert!(error.advice().is_some_and(|hint| hint.contains("disk is full")), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(&small), ["conf"]);
    });
    nix::mount::umount(&small).unwrap();
    outcome.unwrap();
}
