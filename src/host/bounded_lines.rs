//! A file of lines that never grows beyond its limit, each of which is on the disk when it is said to be.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};

/// The file. Nothing is made before something is written.
#[derive(Debug)]
pub struct BoundedLines {
    path: PathBuf,
    limit: u64,
    open: Option<File>,
}

impl BoundedLines {
    /// The file at this path, for the owner only, of at most so many bytes.
    pub fn new(path: impl Into<PathBuf>, limit: u64) -> Self {
        Self { path: path.into(), limit, open: None }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line without its end; `false` where there is no room for it.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it is in the file then.
    pub fn push(&mut self, line: &[u8]) -> Result<bool> {
        let pushed = self.append(line);
        if pushed.is_err() {
            self.open = None;
        }
        pushed.doing(|| format!("writing to `{}`", self.path.display()))
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<bool> {
        let limit = self.limit;
        let file = self.file()?;
        let end = file.seek(SeekFrom::End(0))?;
        let more = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
        if end.saturating_add(more) > limit {
            return Ok(false);
        }
        let written = file.write_all(line).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line is no use; where it cannot be cut off, the next one begins on a line of its own.
            let _ = file.set_len(end);
            return Err(error);
        }
        Ok(true)
    }

    fn file(&mut self) -> std::io::Result<&mut File> {
        if self.open.is_none() {
            if let Some(folder) = self.path.parent().filter(|folder| !folder.is_dir()) {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
            end_torn_line(&mut file)?;
            self.open = Some(file);
        }
        self.open.as_mut().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// A crash may have left half a line at the end.
fn end_torn_line(file: &mut File) -> std::io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    std::io::Read::read_exact(file, &mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_whole_lines_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/lines");
        let mut lines = BoundedLines::new(&path, 8);
        assert!(lines.push(b"one").unwrap());
        assert!(!lines.push(b"too long").unwrap());
        assert!(BoundedLines::new(&path, 8).push(b"two").unwrap());
        assert!(!lines.push(b"").unwrap(), "somebody else's lines count");
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_torn_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "to").unwrap();
        assert!(BoundedLines::new(&path, 100).push(b"next").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"to\nnext\n");
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        let mut lines = BoundedLines::new("/dev/full", u64::MAX);
        let error = lines.push(b"one").unwrap_err();
        assert!(error.advice().is_some_and(|hint| hint.contains("disk is full")), "{error}");
    }
}
