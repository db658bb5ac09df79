//! What a package file says about itself. `dpkg-deb --field` unpacks into a temporary directory, and a dry-run writes nothing; the
//! archive of its control files goes to standard output instead, and is read here.

/// The size of a block of a tar archive.
const BLOCK: usize = 512;

/// A field of the file `control` in this tar archive.
pub(super) fn control_field(archive: &[u8], field: &str) -> Option<String> {
    let control = String::from_utf8_lossy(member(archive, "control")?).into_owned();
    control.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// The content of the member of this name.
fn member<'a>(mut archive: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    loop {
        let header = archive.get(..BLOCK)?;
        let size = text(header.get(124..136)?);
        let size = usize::from_str_radix(size.trim(), 8).ok()?;
        let content = archive.get(BLOCK..BLOCK.checked_add(size)?)?;
        let name = text(header.get(..100)?);
        if name.trim_start_matches("./") == wanted {
            return Some(content);
        }
        archive = archive.get(BLOCK + size.checked_next_multiple_of(BLOCK)?..)?;
    }
}

/// A field of a header: up to the first NUL.
fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archived(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, content) in files {
            let mut header = vec![0; BLOCK];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            archive.extend(header);
            archive.extend(content.as_bytes());
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }

    #[test]
    fn the_control_file_is_found_among_the_others() {
        let long = "x".repeat(600);
        let archive =
            archived(&[("./", ""), ("./md5sums", &long), ("./control", "Package: tool\nVersion: 1:2.0-1\n Version: no\n")]);
        assert_eq!(control_field(&archive, "Package").as_deref(), Some("tool"));
        assert_eq!(control_field(&archive, "Version").as_deref(), Some("1:2.0-1"));
        assert_eq!(control_field(&archive, "Depends"), None);
    }

    #[test]
    fn what_is_no_archive_has_no_fields() {
        for wrong in [
            &b""[..],
            b"short",
            &[b'x'; 2000],
            &archived(&[("other", "Package: x\n")]),
            &archived(&[("control", "Package: x\n")])[..520],
        ] {
            assert_eq!(control_field(wrong, "Package"), None);
        }
    }
}
