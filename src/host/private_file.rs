//! A file that a person asked for by name: whole or not at all, and nobody's but theirs. The folder may be anybody's, so nothing that
//! waits there under a name that can be guessed is followed or written into.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Context as _, Result};

/// Writes it, in the place of what is there.
///
/// # Errors
/// When it cannot be written; what was there is still there then.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", rand::random::<u64>()));
    let temporary = path.with_file_name(name);
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    written()
        .inspect_err(|_| {
            // What is left of a failed try is in nobody's way.
            let _ = std::fs::remove_file(&temporary);
        })
        .doing(|| format!("writing `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn it_takes_the_place_of_a_link_and_leaves_its_target_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("target"), folder.path().join("page.html"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        write(&path, b"page").unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), std::fs::read(&path).unwrap()), (b"precious".to_vec(), b"page".to_vec()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_said_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("page.html")).unwrap();
        let error = write(&folder.path().join("page.html"), b"page").unwrap_err();
        assert!(error.activities().any(|doing| doing.contains("page.html")), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(Path::new("/"), b"x").is_err());
    }
}
