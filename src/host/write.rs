//! Changing files: atomically, with owner and mode right from the first byte, and never as root inside a tree that another user
//! can change (there, a helper running as that user does it).

use std::path::Path;

use super::Host;
use super::files::NewFile;
use crate::error::Result;

/// Ownership and permission bits as they shall be; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Owner's name.
    pub owner: Option<String>,
    /// Group's name.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
}

impl Host {
    /// Writes the file: temporary name in the same directory, synced, renamed, directory synced.
    ///
    /// # Errors
    /// When it cannot be written; the old content is then still there, whole.
    pub fn write_file(&self, file: &NewFile) -> Result<()> {
        let _ = file;
        todo!()
    }

    /// Makes the directory and those above it (these: root's, 0755).
    ///
    /// # Errors
    /// When it cannot be made, or something else stands there.
    pub fn make_directory(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let _ = (path, attributes);
        todo!()
    }

    /// Makes the link, replacing an older link atomically.
    ///
    /// # Errors
    /// When it cannot be made, or something that is no link stands there.
    pub fn make_link(&self, path: &Path, target: &Path, attributes: &Attributes) -> Result<()> {
        let _ = (path, target, attributes);
        todo!()
    }

    /// Sets owner, group and mode without following links.
    ///
    /// # Errors
    /// When it cannot.
    pub fn set_attributes(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let _ = (path, attributes);
        todo!()
    }

    /// Removes a file, a link, or a directory with all that is in it. Nothing there is fine.
    ///
    /// # Errors
    /// When it cannot.
    pub fn remove(&self, path: &Path) -> Result<()> {
        let _ = path;
        todo!()
    }
}
