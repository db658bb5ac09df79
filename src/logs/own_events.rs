//! What runs say of themselves, on its way to the log service: each run appends to a file of its own below the state, which is
//! shipped like any other log, so that a crash loses nothing; it is removed when its run is over and all of it has arrived.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Context as _, Result};
use crate::host::state::{Lines, StateFolder};

/// The folder below the state of the shipper.
const FOLDER: &str = "events";
const ENDING: &str = ".jsonl";
/// So many runs may wait for a service that cannot be reached; then the oldest are given up.
const MOST: usize = 200;

/// The pattern of all these files, as a source has it.
#[must_use]
pub fn pattern(state: &StateFolder) -> PathBuf {
    state.path().join(FOLDER).join(format!("*{ENDING}"))
}

/// One run's file. While this is there, the file is not over; a crash lets go of it, too.
pub struct OwnEvents {
    lines: Mutex<Lines>,
    /// Locked.
    _held: File,
}

impl OwnEvents {
    /// Begins a file for this run. Gives how many files of older runs were given up for want of room.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(state: &StateFolder, run: &str) -> Result<(Self, usize)> {
        let names = state.names(FOLDER)?;
        let mut given_up = 0;
        for name in names.iter().take((names.len() + 1).saturating_sub(MOST)) {
            if is_over(&state.path().join(FOLDER).join(name)) {
                state.remove(&format!("{FOLDER}/{name}"))?;
                given_up += 1;
            }
        }
        let name = format!("{FOLDER}/{run}{ENDING}");
        let lines = state.append(&name)?;
        let path = state.path().join(&name);
        let held = OpenOptions::new().read(true).open(&path).doing(|| format!("opening `{}`", path.display()))?;
        held.lock().doing(|| format!("locking `{}`", path.display()))?;
        Ok((Self { lines: Mutex::new(lines), _held: held }, given_up))
    }

    /// Appends one line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&self, line: &str) -> Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line)
    }
}

/// Removes the files of runs that are over, once `flush` has said that everything written so far has arrived.
///
/// # Errors
/// When they cannot be looked at or removed.
pub fn sweep(state: &StateFolder, flush: impl FnOnce() -> bool) -> Result<()> {
    let names = state.names(FOLDER)?;
    // First who is over, then whether all has arrived: nothing is appended in between.
    let over: Vec<String> = names.into_iter().filter(|name| is_over(&state.path().join(FOLDER).join(name))).collect();
    if over.is_empty() || !flush() {
        return Ok(());
    }
    over.iter().try_for_each(|name| state.remove(&format!("{FOLDER}/{name}")))
}

/// Whether nobody appends to it any more.
fn is_over(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock_shared().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("logs"));
        (folder, state)
    }

    #[test]
    fn a_file_goes_when_its_run_is_over_and_all_has_arrived() {
        let (_folder, state) = state();
        let (first, given_up) = OwnEvents::begin(&state, "run-1").unwrap();
        let (second, _) = OwnEvents::begin(&state, "run-2").unwrap();
        first.push("{\"a\":1}").unwrap();
        assert_eq!(state.read("events/run-1.jsonl").unwrap().unwrap(), b"{\"a\":1}\n");
        sweep(&state, || panic!("nobody is over")).unwrap();
        drop(first);
        sweep(&state, || false).unwrap();
        assert_eq!(state.names("events").unwrap().len(), 2, "it has not arrived");
        sweep(&state, || true).unwrap();
        assert_eq!(state.names("events").unwrap(), ["run-2.jsonl"]);
        assert_eq!(given_up, 0);
        drop(second);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (_folder, state) = state();
        let (held, _) = OwnEvents::begin(&state, "0-under-way").unwrap();
        for number in 0..MOST + 5 {
            state.write(&format!("events/{number:03}.jsonl"), b"{}\n").unwrap();
        }
        let (_new, given_up) = OwnEvents::begin(&state, "new").unwrap();
        let names = state.names("events").unwrap();
        assert!(given_up >= 5 && names.len() <= MOST + 1, "{given_up} of {}", names.len());
        assert!(names.contains(&"0-under-way.jsonl".to_owned()) && names.contains(&"204.jsonl".to_owned()));
        drop(held);
    }
}
