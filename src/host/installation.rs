//! What `agent install` leaves on the machine: the binary, and a local playbook with the files of its folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::Host;
use super::files::NewFile;
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::Secret;
use crate::secret::Sensitive;

/// A playbook's folder is small; more than this is somebody's home that the playbook happens to lie in.
const LARGEST: u64 = 64 << 20;
/// The same for the number of files.
const MOST: usize = 1000;

impl Host {
    /// Copies the binary that is running to this path, unless it is there already. Gives whether it copied.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy_own_binary(&self, to: &Path) -> Result<bool> {
        let running = Path::new("/proc/self/exe");
        let bytes = fs::read(running).doing(|| "reading the agent's own binary".into())?;
        if fs::read(to).is_ok_and(|there| there == bytes) {
            return Ok(false);
        }
        self.write_copy(to, bytes, 0o755)?;
        Ok(true)
    }

    /// Copies one file; only root may read the copy.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy_file(&self, from: &Path, to: &Path) -> Result<()> {
        let bytes = fs::read(from).doing(|| format!("reading `{}`", from.display()))?;
        self.write_copy(to, bytes, 0o600)
    }

    /// Copies a playbook and what lies beside and below it, which is what it may name. Hidden files stay behind, and links.
    ///
    /// # Errors
    /// When there is too much to be a playbook's folder, or it cannot be read or written.
    pub fn copy_playbook(&self, file: &Path, folder: &Path, to: &Path) -> Result<()> {
        let same = folder.canonicalize().ok().is_some_and(|from| to.canonicalize().is_ok_and(|to| from == to));
        if same {
            return Ok(());
        }
        let files = files_below(folder).map_err(|error| {
            error.doing(format!("copying what belongs to `{}`", file.display())).hint("put the playbook into a folder of its own")
        })?;
        for path in files {
            let below = path.strip_prefix(folder).map_err(|error| Error::from_source(Kind::Bug, &error))?;
            let copy = to.join(below);
            if let Some(parent) = copy.parent().filter(|parent| *parent != to) {
                self.make_directory(parent, &super::write::Attributes::default())?;
            }
            self.copy_file(&path, &copy)?;
        }
        Ok(())
    }

    fn write_copy(&self, to: &Path, bytes: Vec<u8>, mode: u32) -> Result<()> {
        let root = Some("root".to_owned());
        // Not that it were one: but these bytes need not be text.
        let content = Sensitive::Secret(Secret::new(bytes));
        self.write_file(&NewFile { path: to.to_owned(), content, owner: root.clone(), group: root, mode })
    }
}

/// The ordinary files in and below this folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut size) = (Vec::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let doing = || format!("looking into `{}`", folder.display());
        for entry in fs::read_dir(&folder).doing(doing)? {
            let entry = entry.doing(doing)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let facts = entry.metadata().doing(doing)?;
            if facts.is_dir() {
                folders.push(entry.path());
            } else if facts.is_file() {
                size += facts.len();
                files.push(entry.path());
            }
            if size > LARGEST || files.len() > MOST {
                let why = format!("there are more than {MOST} files or {} MiB beside the playbook", LARGEST >> 20);
                return Err(Error::new(Kind::Usage, why));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playbook_is_copied_with_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("playbook.yaml", "p"), ("vars/prod.yaml", "v"), (".git/config", "secret"), (".env", "secret")] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        std::os::unix::fs::symlink("/etc/shadow", folder.path().join("link")).unwrap();
        let found = files_below(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect();
        assert_eq!(names, ["playbook.yaml", "vars/prod.yaml"]);
    }

    #[test]
    fn a_home_is_no_playbook() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=MOST {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(files_below(folder.path()).unwrap_err().kind(), Kind::Usage);
    }
}
