//! Locations, what is fetched from them, and what lies beside it.

use super::*;
use crate::playbook::Playbook;

fn read(location: &Location) -> Result<Text, Problems> {
    fetch(location, Duration::from_secs(1))
}

#[test]
fn a_location_is_known_by_its_form() {
    for (text, location) in [
        ("a/b.yaml", Location::Path("a/b.yaml".into())),
        ("s3://b/k", Location::S3("s3://b/k".into())),
        ("ssm:/n", Location::Parameter("ssm:/n".into())),
        ("https://h/p#sha256=x", Location::Https("https://h/p#sha256=x".into())),
        ("user-data", Location::UserData),
    ] {
        assert_eq!(text.parse(), Ok(location));
    }
    assert!("http://h/p".parse::<Location>().unwrap_err().contains("cannot come from `http:`"));
}

#[test]
fn a_folder_has_a_playbook_and_gives_it_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("shop");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("playbook.yaml"), "abc").unwrap();
    let text = read(&Location::Path(own.clone())).unwrap();
    assert_eq!((text.stem.as_str(), text.content.as_str()), ("shop", "abc"));
    assert!(matches!(text.beside, Beside::Folder(folder) if folder == own));
    assert_eq!(text.digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let absent = read(&Location::Path(folder.path().join("none.yaml"))).err().unwrap();
    assert!(absent.0[0].message.contains("none.yaml"));
}

#[test]
fn a_vars_file_is_found_beside_the_playbook_wherever_the_agent_is_called() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("vars")).unwrap();
    std::fs::write(folder.path().join("vars/staging-of-a-test.yaml"), "port: 9000\n").unwrap();
    std::fs::write(folder.path().join("playbook.yaml"), "version: 1\nvars: { port: 8000 }\nsteps: []\n").unwrap();
    let with = |file: &str| Overrides { files: vec![file.into()], values: Vec::new() };
    let location = Location::Path(folder.path().to_owned());
    let playbook = Playbook::load(&location, &with("vars/staging-of-a-test.yaml")).unwrap();
    assert_eq!(playbook.vars["port"], 9000);
    let absent = Playbook::load(&location, &with("vars/none.yaml")).unwrap_err();
    assert!(absent.0[0].hint.as_ref().is_some_and(|hint| hint.contains("playbook's folder")), "{absent}");
}

#[test]
fn a_pin_is_compared_before_anything_is_read() {
    let pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(verified(Ok(b"abc".to_vec()), Some(pin)).unwrap(), b"abc");
    assert!(verified(Ok(b"abd".to_vec()), Some(pin)).unwrap_err().message.contains("not `ba7816bf"));
    assert_eq!(pinned(&format!("s3://b/k#sha256={pin}")).unwrap(), ("s3://b/k", Some(pin)));
    assert_eq!(pinned("s3://b/k#md5=1").unwrap_err().message, "`#md5=1` is no digest");
    let unpinned = read(&Location::Https("https://example.org/p.yaml".into())).err().unwrap();
    assert_eq!(unpinned.0[0].message, "`https://example.org/p.yaml` needs `#sha256=…`");
}

/// A `.tar.gz` of these files, in a folder `shop`.
fn archive_of(files: &[(&str, &str)], to: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join("shop").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let said = std::process::Command::new("tar").arg("-czf").arg(to).arg("-C").arg(folder.path()).arg("shop").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    Sha256::of(&std::fs::read(to).unwrap()).to_string()
}

const SHOP: &str = "version: 1\nvars: { port: { required: true } }\nsteps:\n  - file: { path: /a, template: t/a.j2 }\n  \
                    - file: { path: /b, source: files/b }\n";

#[test]
fn an_archive_is_a_playbook_with_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    // What it is called does not matter.
    let path = folder.path().join("artifact");
    let files = [("playbook.yaml", SHOP), ("t/a.j2", "{{ port }}"), ("files/b", "b"), ("vars/prod.yaml", "port: 1\n")];
    let digest = archive_of(&files, &path);
    let overrides = Overrides { files: vec!["vars/prod.yaml".into()], values: Vec::new() };
    let playbook = Playbook::load(&Location::Path(path.clone()), &overrides).unwrap();
    assert_eq!((playbook.name.as_str(), playbook.digest.as_str()), ("shop", digest.as_str()));
    assert_eq!(playbook.label, format!("{}/shop/playbook.yaml", path.display()));
    assert_eq!(playbook.vars["port"], 1);
    assert_eq!(playbook.beside().read(Path::new("files/b"), 1).unwrap(), b"b");
    assert!(playbook.beside().read(Path::new("t/a.j2"), 1).unwrap_err().to_string().ends_with("it is larger than 1 bytes"));
}

#[test]
fn everything_that_is_not_in_the_archive_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.tar.gz");
    archive_of(&[("playbook.yaml", SHOP)], &path);
    let overrides = Overrides { files: vec!["vars/prod.yaml".into()], values: vec![("port".into(), "1".into())] };
    let problems = Playbook::load(&Location::Path(path), &overrides).unwrap_err().0;
    let said: Vec<&str> = problems.iter().map(|problem| problem.message.rsplit(": ").next().unwrap()).collect();
    let absent = format!("there is no file `{}/shop.tar.gz/shop/files/b`", folder.path().display());
    assert_eq!(said, ["No such file or directory (os error 2)", "there is no such file in the archive", absent.as_str()]);
    assert_eq!(problems[0].hint.as_deref(), Some("it is not in the playbook's archive either"));
}

#[test]
fn a_playbook_that_came_alone_finds_nothing_of_this_machine() {
    let alone = |content: &str| whole("s3://b/p.yaml".into(), "p".into(), Beside::Nothing, content.into()).unwrap();
    let overrides = Overrides { files: Vec::new(), values: vec![("port".into(), "1".into())] };
    // Tests run in the package's folder: there is a README.
    let text = SHOP.replace("t/a.j2", "README.md").replace("files/b", "LICENSE");
    let problems = crate::playbook::document::read(alone(&text), &overrides, crate::steps::STEP_TYPES).unwrap_err().0;
    assert_eq!(problems.len(), 2, "{problems:?}");
    for problem in problems {
        assert!(problem.message.contains("this one came alone"), "{problem:?}");
        assert!(problem.hint.is_some_and(|hint| hint.contains("`.tar.gz`")));
    }
}

#[test]
fn what_is_neither_text_nor_an_archive_is_said_to_be_neither() {
    for bytes in [b"\xff\xfe".as_slice(), b"version: 1\0"] {
        let problems = whole("p".into(), "p".into(), Beside::Nothing, bytes.to_vec()).err().unwrap();
        assert_eq!(problems.0[0].message, "`p` is neither text in UTF-8 nor a `.tar.gz`");
    }
}

#[test]
fn an_address_is_shown_without_what_may_be_a_key_to_it() {
    for (address, label) in [
        ("https://h/a/p.yaml?X-Amz-Signature=1/2", "https://h/a/p.yaml"),
        ("https://user:word@h:8443/p", "https://h:8443/p"),
        ("s3://b/p@1.yaml", "s3://b/p@1.yaml"),
        ("ssm:/p", "ssm:/p"),
    ] {
        assert_eq!(shown(address), label);
    }
}
