//! The state folder: the only place where the agent keeps records of its own. Owner-only, written atomically, versioned by
//! whoever writes into it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};

/// What stands between the name of a record and the number of the process that writes it anew.
const TEMPORARY: &str = ".new-";
/// What starts the name of state that belongs to another instance.
const SET_ASIDE: &str = "set-aside-";
/// Stays where it is when state is set aside: somebody may wait for it.
pub const LOCK_FILE: &str = "run.lock";

/// The state folder. Nothing is made before something is written.
#[derive(Debug, Clone)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// The state folder at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is recorded under this name; `None` where there is nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.0.join(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("reading the record `{}`", self.0.join(name).display())),
        }
    }

    /// Records this under this name, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        self.make_folder(&path)
            .and_then(|()| replace(&path, content, true))
            .doing(|| format!("writing the record `{}`", path.display()))
    }

    /// The same for this kernel's lifetime only: a crash of ours loses nothing, a power cut may leave anything. Costs no disk access.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_lightly(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        self.make_folder(&path)
            .and_then(|()| replace(&path, content, false))
            .doing(|| format!("writing the record `{}`", path.display()))
    }

    /// Forgets what is recorded under this name. Nothing there is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).doing(|| format!("removing the record `{}`", self.0.join(name).display()))
            }
            _ => Ok(()),
        }
    }

    /// The names of the records in this folder of it, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.0.join(folder);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).doing(|| format!("looking into `{}`", path.display())),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.doing(|| format!("looking into `{}`", path.display()))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Removes what processes left that were killed while they wrote this record. Only for the one who writes it.
    ///
    /// # Errors
    /// When the folder cannot be read, or such a file not be removed.
    pub fn sweep(&self, record: &str) -> Result<()> {
        let left = |name: &&String| name.strip_prefix(record).is_some_and(|rest| rest.starts_with(TEMPORARY));
        self.names("")?.iter().filter(left).try_for_each(|name| self.remove(name))
    }

    /// Opens a record to which lines are appended. A torn last line, left by a crash, is cut off first.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn append(&self, name: &str) -> Result<Lines> {
        let path = self.0.join(name);
        let open = || {
            self.make_folder(&path)?;
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            if whole < content.len() {
                file.set_len(u64::try_from(whole).unwrap_or(0))?;
                file.seek(SeekFrom::End(0))?;
            }
            Ok::<_, std::io::Error>(Lines(file))
        };
        open().doing(|| format!("opening the record `{}`", path.display()))
    }

    /// Moves everything but the lock into a folder of its own, whose path it returns: it belongs to `whom`.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(&self, whom: &str) -> Result<PathBuf> {
        let safe: String = whom.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let mut target = self.0.join(format!("{SET_ASIDE}{safe}"));
        for number in 2.. {
            if !target.exists() {
                break;
            }
            target = self.0.join(format!("{SET_ASIDE}{safe}-{number}"));
        }
        let moved = || {
            DirBuilder::new().mode(0o700).create(&target)?;
            for entry in std::fs::read_dir(&self.0)? {
                let name = entry?.file_name();
                let keep = name.to_str().is_some_and(|name| name == LOCK_FILE || name.starts_with(SET_ASIDE));
                if !keep {
                    std::fs::rename(self.0.join(&name), target.join(&name))?;
                }
            }
            sync_folder(&self.0)
        };
        moved().doing(|| format!("setting aside the state in `{}`", self.0.display()))?;
        Ok(target)
    }

    fn make_folder(&self, of: &Path) -> std::io::Result<()> {
        let folder = of.parent().unwrap_or(&self.0);
        if folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }
}

/// A record to which lines are appended.
#[derive(Debug)]
pub struct Lines(File);

impl Lines {
    /// Appends one line, which survives the end of this process.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, line: &str) -> Result<()> {
        // One write, so that what is torn is at most the last line.
        self.0.write_all(format!("{line}\n").as_bytes()).doing(|| "writing a line into a record".to_owned())
    }

    /// Everything appended so far survives a power failure.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.0.sync_data().doing(|| "putting a record on the disk".to_owned())
    }
}

fn replace(path: &Path, content: &[u8], lasting: bool) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!("{TEMPORARY}{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        if lasting {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, path)?;
        path.parent().filter(|_| lasting).map_or(Ok(()), sync_folder)
    };
    written().inspect_err(|_| {
        // What is left of a failed try is in nobody's way.
        let _ = std::fs::remove_file(&temporary);
    })
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder() -> (tempfile::TempDir, StateFolder) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path().join("state"));
        (outer, state)
    }

    #[test]
    fn reading_makes_nothing() {
        let (_outer, state) = folder();
        assert_eq!(state.read("owner.json").unwrap(), None);
        assert!(state.names("runs").unwrap().is_empty());
        state.remove("owner.json").unwrap();
        assert!(!state.path().exists());
    }

    #[test]
    fn what_is_written_is_for_the_owner_only() {
        let (_outer, state) = folder();
        state.write("runs/a", b"one\n").unwrap();
        state.write("runs/a", b"two\n").unwrap();
        assert_eq!(state.read("runs/a").unwrap().unwrap(), b"two\n");
        assert_eq!(state.names("runs").unwrap(), ["a"], "no temporary file is left");
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(state.path().join("runs/a")), mode(state.path().to_owned())), (0o600, 0o700));
    }

    #[test]
    fn what_a_killed_process_left_is_swept_away() {
        let (_outer, state) = folder();
        state.write("state.json", b"whole").unwrap();
        std::fs::write(state.path().join("state.json.new-7"), b"ha").unwrap();
        std::fs::write(state.path().join("config.json.new-8"), b"ha").unwrap();
        state.sweep("state.json").unwrap();
        assert_eq!(state.names("").unwrap(), ["config.json.new-8", "state.json"], "others may be writing theirs");
    }

    #[test]
    fn a_torn_last_line_is_cut_off() {
        let (_outer, state) = folder();
        state.write("runs/a", b"whole\nto").unwrap();
        let mut lines = state.append("runs/a").unwrap();
        lines.push("next").unwrap();
        lines.sync().unwrap();
        assert_eq!(state.read("runs/a").unwrap().unwrap(), b"whole\nnext\n");
    }

    #[test]
    fn state_of_another_instance_is_moved_away_whole() {
        let (_outer, state) = folder();
        for _ in 0..2 {
            state.write("runs/a", b"").unwrap();
            state.write(LOCK_FILE, b"").unwrap();
            state.set_aside("i-0/1").unwrap();
        }
        assert_eq!(state.names("").unwrap(), [LOCK_FILE, "set-aside-i-0_1", "set-aside-i-0_1-2"]);
        assert_eq!(state.names("set-aside-i-0_1/runs").unwrap(), ["a"]);
    }
}
