//! Archives as people make them, and as somebody would make them who means harm.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;
use crate::host::fakes::{Machine, not_root};

/// One entry: name, kind, content or where it leads, mode.
type Made<'e> = (&'e str, EntryType, &'e str, u32);

fn packed(entries: &[Made<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, content, mode) in entries {
        let mut header = Header::new_ustar();
        // As it stands, whatever its name: the crate would refuse some of them.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn wish(machine: &Machine, archive: &[u8]) -> Unpacked {
    machine.write("playbook/a", "");
    std::fs::write(machine.path("playbook/a"), archive).unwrap();
    Unpacked {
        path: machine.path("opt"),
        origin: Origin::Beside("a".into()),
        sha256: Some(Sha256::of(archive)),
        strip: 1,
        owner: None,
        group: None,
    }
}

/// A user every Linux has and nobody logs in as.
const USER: (&str, u32) = ("daemon", 1);

const RUNTIME: &[Made<'_>] = &[
    ("node/", EntryType::Directory, "", 0o755),
    ("node/bin/node", EntryType::Regular, "a program", 0o6775),
    ("node/lib/npm.js", EntryType::Regular, "npm", 0o664),
    ("node/lib/npm.js", EntryType::Regular, "npm, as it was written last", 0o664),
    ("node/bin/npm", EntryType::Symlink, "../lib/npm.js", 0o777),
    ("node/lib/same.js", EntryType::Link, "node/lib/npm.js", 0o644),
    ("node/empty", EntryType::Directory, "", 0o700),
    ("README", EntryType::Regular, "left out by strip", 0o644),
];

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_archive_becomes_a_directory_and_is_known_again() {
    for archive in [packed(RUNTIME), gzipped(&packed(RUNTIME))] {
        let machine = Machine::new();
        let wish = wish(&machine, &archive);
        assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), Some(Lacking::Everything));
        machine.host().unpack(&wish).unwrap();
        assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), None);
        let opt = machine.path("opt");
        assert_eq!(names(&opt), [".bootstrap-agent-archive.json", "bin", "empty", "lib"]);
        assert_eq!(machine.content("opt/bin/npm"), "npm, as it was written last");
        assert_eq!(machine.content("opt/lib/same.js"), "npm, as it was written last");
        let meta = |name: &str| std::fs::metadata(opt.join(name)).unwrap();
        assert_eq!(meta("bin/node").mode() & 0o7777, 0o755);
        assert_eq!(meta("bin/node").mtime(), 1_000_000_000);
        assert_eq!((meta("lib/npm.js").mode() & 0o7777, meta("lib/same.js").nlink()), (0o644, 1));
        assert_eq!(meta("empty").mode() & 0o7777, 0o700);
        assert_eq!(names(&machine.path("")).iter().filter(|name| name.starts_with(".opt")).count(), 0);
    }
}

#[test]
fn what_was_changed_is_unpacked_again_and_what_was_added_stays() {
    let machine = Machine::new();
    let mut wish = wish(&machine, &packed(RUNTIME));
    machine.host().unpack(&wish).unwrap();
    machine.write("opt/cache/added", "by the application");
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), None);
    machine.write("opt/lib/npm.js", "npm, as it was edited later");
    std::fs::set_permissions(machine.path("opt/bin/node"), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::remove_file(machine.path("opt/bin/npm")).unwrap();
    let found = machine.facts().compare_unpacked(&wish).unwrap();
    assert_eq!(found, Some(Lacking::Files(vec!["bin/node".into(), "bin/npm".into(), "lib/npm.js".into()])));
    machine.host().unpack(&wish).unwrap();
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), None);
    wish.strip = 0;
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), Some(Lacking::Version));
    machine.host().unpack(&wish).unwrap();
    assert_eq!(names(&machine.path("opt")), [".bootstrap-agent-archive.json", "README", "node"]);
    // What a run left that was killed between the exchange and the end.
    std::fs::create_dir(machine.path(".opt.bootstrap-agent.0123456789abcdef")).unwrap();
    machine.write(".opt.bootstrap-agent.0123456789abcdef/old", "x");
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), Some(Lacking::Cleaning));
    machine.host().unpack(&wish).unwrap();
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), None);
    assert!(!machine.path(".opt.bootstrap-agent.0123456789abcdef").exists());
}

#[test]
fn a_directory_that_is_somebody_elses_is_not_replaced() {
    let machine = Machine::new();
    let wish = wish(&machine, &packed(RUNTIME));
    std::fs::create_dir(machine.path("opt")).unwrap();
    assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), Some(Lacking::Everything), "an empty one is nobody's");
    machine.write("opt/data", "x");
    assert!(machine.facts().compare_unpacked(&wish).unwrap_err().advice().unwrap().contains("a directory of its own"));
    // A record that whoever owns the tree has forged leads nowhere else.
    let forged =
        format!(r#"{{"version":1,"sha256":"{}","strip":1,"entries":{{"../../etc/passwd":"directory"}}}}"#, wish.sha256.unwrap());
    machine.write("opt/.bootstrap-agent-archive.json", &forged);
    assert!(machine.facts().compare_unpacked(&wish).is_err());
}

#[test]
fn nothing_gets_out_of_the_directory_and_nothing_is_left_of_a_refused_one() {
    let file = EntryType::Regular;
    let evil: [(&[Made<'_>], &str); 9] = [
        (&[("a/ok", file, "x", 0o644), ("a/../../escaped", file, "x", 0o644)], "leads out of it"),
        (&[("/escaped", file, "x", 0o644)], "leads out of it"),
        (&[("a/link", EntryType::Symlink, "/etc", 0o777)], "leads out of it"),
        (&[("a/link", EntryType::Symlink, "../..", 0o777)], "leads out of it"),
        (&[("a/d", EntryType::Symlink, ".", 0o777), ("a/d/file", file, "x", 0o644)], "no directory"),
        (&[("a/hard", EntryType::Link, "/etc/passwd", 0o644)], "leads out of it"),
        (&[("a/hard", EntryType::Link, "a/none", 0o644)], "not in the archive before it"),
        (&[("a/device", EntryType::Char, "", 0o644)], "neither a file nor a directory"),
        (&[("a/.bootstrap-agent-archive.json", file, "{}", 0o644)], "the name of the record"),
    ];
    for (entries, said) in evil {
        let machine = Machine::new();
        let wish = wish(&machine, &packed(entries));
        let before = names(&machine.path(""));
        let error = machine.host().unpack(&wish).unwrap_err();
        assert!(error.to_string().contains(said) || error.causes().any(|cause| cause.contains(said)), "{said}: {error:?}");
        assert_eq!(names(&machine.path("")), before, "{said}");
    }
}

#[test]
fn what_is_broken_or_empty_or_too_large_leaves_what_was_there() {
    let machine = Machine::new();
    let good = wish(&machine, &packed(RUNTIME));
    machine.host().unpack(&good).unwrap();
    let cut = gzipped(&packed(RUNTIME));
    let only_top: &[Made<'_>] = &[("README", EntryType::Regular, "x", 0o644)];
    for bad in [cut[..cut.len() - 9].to_vec(), packed(only_top), b"<html>not found</html>".to_vec()] {
        let error = machine.host().unpack(&wish(&machine, &bad)).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{error}");
        assert_eq!(machine.content("opt/bin/node"), "a program");
    }
    let errand = UnpackErrand { path: machine.path("opt"), strip: 1, ids: Ids::default() };
    let Err(Stop::Failed(error)) = unpack::unpack_within(9, &errand, packed(RUNTIME).as_slice()) else {
        panic!("it was unpacked");
    };
    assert!(error.causes().any(|cause| cause.contains("unpacks to more than")), "{error:?}");
    assert_eq!(machine.content("opt/bin/node"), "a program");
}

#[test]
fn in_a_users_tree_that_user_unpacks_and_roots_archive_can_be_given_away() {
    if not_root() {
        return;
    }
    let machine = Machine::real();
    std::fs::set_permissions(machine.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(machine.path("home-of-user")).unwrap();
    chown(machine.path("home-of-user"), Some(USER.1), Some(USER.1)).unwrap();
    for path in ["home-of-user/opt", "opt"] {
        let mut wish = wish(&machine, &gzipped(&packed(RUNTIME)));
        wish.path = machine.path(path);
        wish.owner = Some(USER.0.into());
        machine.host().unpack(&wish).unwrap();
        assert_eq!(machine.facts().compare_unpacked(&wish).unwrap(), None);
        for name in ["", "bin", "bin/node", "bin/npm", "empty", ".bootstrap-agent-archive.json"] {
            let meta = std::fs::symlink_metadata(wish.path.join(name)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (USER.1, USER.1), "{path}/{name}");
        }
    }
    let mut other = wish(&machine, &packed(RUNTIME));
    other.path = machine.path("home-of-user/other");
    other.owner = Some("root".into());
    assert_eq!(machine.host().unpack(&other).unwrap_err().kind(), Kind::Denied);
}
