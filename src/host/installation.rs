//! What `agent install` leaves on the machine: the binary, and a local playbook with the files of its folder.

use std::fs::{self, File};
use std::io::Seek as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Host;
use super::digest::Sha256;
use super::files::NewFile;
use super::tree::{self, Stop};
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
        let doing = || "reading the agent's own binary".to_owned();
        let mut running = File::open("/proc/self/exe").doing(doing)?;
        let ours = running.metadata().doing(doing)?;
        let same_file = fs::metadata(to).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        // It has many megabytes, so nobody holds it in memory.
        if same_file || self.file_digest(to)? == Some(Sha256::of_all(&mut running).doing(doing)?) {
            return Ok(false);
        }
        let ids = self.ids(Some("root"), Some("root"), Some(0o755))?;
        let copy = |file: &mut File| {
            running.rewind()?;
            Ok(std::io::copy(&mut running, file)?)
        };
        match tree::stage_with(to, ids, copy) {
            Ok((staged, _)) => self.put_in_place(to, staged, None, &[]).map(|()| true),
            Err(Stop::Failed(error)) => Err(error),
            // What root runs is in no user's tree.
            Err(Stop::Foreign(holder)) => self.check_owner(to, holder, ids.uid).map(|()| false),
        }
    }

    /// Whether the binary that is running is the one at this path.
    #[must_use]
    pub fn runs_from(&self, path: &Path) -> bool {
        let which = |path: &Path| fs::metadata(path).map(|there| (there.dev(), there.ino()));
        matches!((which(Path::new("/proc/self/exe")), which(path)), (Ok(ours), Ok(there)) if ours == there)
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
    use crate::host::fakes::{Machine, not_root};

    #[test]
    fn the_binary_is_copied_when_another_one_is_there() {
        if not_root() {
            return;
        }
        let machine = Machine::new();
        let to = machine.write("agent", "an older one");
        assert!(machine.host().copy_own_binary(&to).unwrap());
        let running = std::env::current_exe().unwrap();
        assert_eq!(fs::read(&to).unwrap(), fs::read(running).unwrap());
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o755);
        assert!(!machine.host().copy_own_binary(&to).unwrap());
    }

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
