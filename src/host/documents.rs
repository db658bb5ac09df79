//! Reads the files that make up a playbook (itself, vars, templates), bounded, before there is any step that could ask for them.

pub mod archive;
mod beside;
pub mod remote;

pub use beside::Beside;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::{Context as _, Error, Kind, Result};

/// What a playbook is called where a folder or an archive is given.
pub const PLAYBOOK: &str = "playbook.yaml";

/// The whole file, when it is an ordinary one and not larger than `limit` bytes.
///
/// # Errors
/// When it cannot be read, is no ordinary file, or is larger.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let doing = || format!("reading `{}`", path.display());
    let file = File::open(path).doing(doing)?;
    if file.metadata().doing(doing)?.is_dir() {
        return Err(Error::new(Kind::Failed, "it is a folder").doing(doing()));
    }
    let mut bytes = Vec::new();
    // A pipe such as `/dev/stdin` has no size to trust, so the reading itself is bounded.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).doing(doing)?;
    if bytes.len() > limit {
        return Err(Error::new(Kind::Failed, format!("it is larger than {limit} bytes")).doing(doing()));
    }
    Ok(bytes)
}

/// Whether there is an ordinary file at this path.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether there is a folder at this path.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_sensible_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        assert_eq!(read(&folder.path().join("b"), 5).unwrap_err().kind(), Kind::Missing);
        assert!(is_folder(folder.path()) && read(folder.path(), 5).unwrap_err().to_string().contains("it is a folder"));
    }
}
