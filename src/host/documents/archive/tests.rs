//! Archives as people make them, and as somebody would make them who means harm.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::Header;

use super::*;

/// An entry as it stands, whatever its name.
fn entry(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(name, EntryType::Regular, content.as_bytes())
}

fn packed(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    entries.iter().for_each(|entry| gzip.write_all(entry).unwrap());
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

fn refused(entries: &[Vec<u8>]) -> String {
    Archive::unpack("a.tar.gz", &packed(entries)).unwrap_err().to_string()
}

#[test]
fn a_folder_is_found_however_it_was_packed() {
    for top in ["", "./", "shop/", "./shop/"] {
        let folder = entry(&format!("{top}templates/"), EntryType::Directory, b"");
        let bytes = packed(&[
            entry("pax_global_header", EntryType::XGlobalHeader, b"13 comment=x\n"),
            folder,
            file(&format!("{top}playbook.yaml"), "p"),
            file(&format!("{top}templates/a.j2"), "t"),
        ]);
        assert!(is_archive(&bytes));
        let archive = Archive::unpack("a.tar.gz", &bytes).unwrap();
        assert_eq!(archive.file(Path::new("playbook.yaml")), Some(b"p".as_slice()), "{top}");
        assert_eq!(archive.file(Path::new("./templates/./a.j2")), Some(b"t".as_slice()), "{top}");
        assert_eq!(archive.file(Path::new("templates")), None);
        assert_eq!(archive.folder(), Path::new(top.trim_start_matches("./").trim_end_matches('/')));
    }
}

#[test]
fn what_tar_makes_is_read_with_long_names() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/{}.j2", "folder".repeat(15), "name".repeat(20));
    for (name, content) in [("playbook.yaml", "p"), (long.as_str(), "t")] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    for format in ["gnu", "pax", "ustar"] {
        let mut tar = std::process::Command::new("tar");
        tar.arg(format!("--format={format}")).args(["-czf", "-", "-C"]).arg(folder.path()).arg(".");
        let said = tar.output().unwrap();
        assert!(said.status.success(), "{said:?}");
        let archive = Archive::unpack("a.tar.gz", &said.stdout).unwrap();
        assert_eq!(archive.file(Path::new(&long)), Some(b"t".as_slice()), "{format}");
    }
}

#[test]
fn nothing_leads_out_of_it() {
    let playbook = file("playbook.yaml", "p");
    for name in ["/etc/shadow", "../x", "a/../../x", "a/../x"] {
        let said = refused(&[playbook.clone(), file(name, "x")]);
        assert_eq!(said, format!("unpacking `a.tar.gz`: `{name}` in it leads out of it"));
    }
    for (kind, why) in [
        (EntryType::Symlink, "is a link"),
        (EntryType::Link, "is a link"),
        (EntryType::Fifo, "is neither a file nor a folder"),
        (EntryType::Char, "is neither a file nor a folder"),
    ] {
        let said = refused(&[playbook.clone(), entry("x", kind, b"")]);
        assert!(said.ends_with(&format!("`x` in it {why}")), "{said}");
    }
}

#[test]
fn it_is_bounded() {
    let playbook = file("playbook.yaml", "p");
    let within = |limit, entries: &[Vec<u8>]| Archive::unpack_within(limit, "a.tar.gz", &packed(entries)).map(|_| ());
    // 100 kB, which are a few hundred bytes as they come.
    let large = "x".repeat(100_000);
    let long_name = entry("x", EntryType::GNULongName, large.as_bytes());
    for bomb in [file("x", &large), long_name, vec![0; 100_000]] {
        let entries = [playbook.clone(), bomb];
        let said = within(99_000, &entries).unwrap_err().to_string();
        assert!(said.ends_with("it unpacks to more than 99000 bytes"), "{said}");
    }
    within(110_000, &[playbook.clone(), file("x", &large)]).unwrap();
    let many: Vec<_> = (0..=MOST).map(|number| file(&number.to_string(), "")).collect();
    assert!(refused(&many).ends_with("it holds more than 1000 files and folders"));
    assert!(refused(&[playbook.clone(), playbook]).ends_with("`playbook.yaml` is in it twice"));
}

#[test]
fn a_hole_cannot_claim_more_than_is_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("playbook.yaml"), "p").unwrap();
    std::fs::File::create(folder.path().join("x")).unwrap().set_len(1 << 40).unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.args(["--format=gnu", "--sparse", "-czf", "-", "-C"]).arg(folder.path()).arg(".");
    let said = tar.output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let said = Archive::unpack("a.tar.gz", &said.stdout).unwrap_err().to_string();
    assert!(said.ends_with("`x` in it is neither a file nor a folder"), "{said}");
}

#[test]
fn what_is_broken_is_not_used_in_part() {
    let whole = packed(&[file("playbook.yaml", "p"), file("x", &"y".repeat(5000))]);
    for cut in [12, whole.len() / 2, whole.len() - 4] {
        let said = Archive::unpack("a.tar.gz", &whole[..cut]).unwrap_err().to_string();
        assert!(said.contains("it is broken"), "{cut}: {said}");
    }
    let mut wrong = whole.clone();
    let checksum = wrong.len() - 6;
    wrong[checksum] ^= 1;
    assert!(Archive::unpack("a.tar.gz", &wrong).unwrap_err().to_string().contains("it is broken"));
}

#[test]
fn one_archive_is_one_playbook() {
    assert!(refused(&[file("shop.yaml", "p")]).contains("there is no `playbook.yaml` in it"));
    assert!(refused(&[file("a/b/playbook.yaml", "p")]).contains("there is no `playbook.yaml` in it"));
    assert!(refused(&[file("a/playbook.yaml", "p"), file("b/playbook.yaml", "p")]).contains("several folders"));
}
