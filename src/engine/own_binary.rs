//! Which binary carries out the run, for its record. It has many megabytes, so it is read beside the steps, and not at all where
//! an earlier record knows the same file.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::record;
use crate::error::Result;
use crate::host::process;
use crate::host::state::StateFolder;

/// How long the end of a run may wait for it: nobody delays a verdict for a digest.
const PATIENCE: Duration = Duration::from_millis(200);

/// Our binary, while its digest is being found out.
pub struct OwnBinary {
    stamp: String,
    digest: Receiver<Result<String>>,
}

impl OwnBinary {
    /// Begins to find out.
    ///
    /// # Errors
    /// When the binary cannot be looked at.
    pub fn find_out(state: StateFolder) -> Result<Self> {
        Self::find_out_with(state, process::own_stamp()?, process::own_digest)
    }

    fn find_out_with(state: StateFolder, stamp: String, read: impl FnOnce() -> Result<String> + Send + 'static) -> Result<Self> {
        let (sender, digest) = channel();
        let known = stamp.clone();
        std::thread::Builder::new().name("own-binary".into()).spawn(move || {
            // Nobody listens when the run was faster.
            let _ = sender.send(recorded(&state, &known).map_or_else(read, Ok));
        })?;
        Ok(Self { stamp, digest })
    }

    /// Tells, without its content, whether it is still the same file.
    #[must_use]
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// sha256 of it, if that is known by now.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        self.digest.recv_timeout(PATIENCE).ok()?.ok()
    }
}

/// The digest as an earlier run of the same file recorded it.
fn recorded(state: &StateFolder, stamp: &str) -> Option<String> {
    let records = record::all(state).ok()?;
    let mut same = records.iter().rev().filter(|record| record.header.binary_stamp == stamp);
    same.find_map(record::Record::binary_digest).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::engine::event::{Event, Teller};
    use crate::engine::record::{Header, Recorder};
    use crate::secret::Redactor;

    fn finished(run: &str, binary_digest: Option<&str>) -> Event {
        Event::RunFinished {
            run: run.into(),
            converged: true,
            changed: 0,
            failed: 0,
            unknown: 0,
            interrupted: None,
            milliseconds: 1,
            binary_digest: binary_digest.map(str::to_owned),
        }
    }

    #[test]
    fn the_same_file_is_read_once_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("state"));
        let start = Instant::now();
        let slow = OwnBinary::find_out_with(state.clone(), "stamp".into(), || {
            std::thread::sleep(Duration::from_secs(20));
            Ok("late".into())
        });
        let slow = slow.unwrap();
        assert_eq!((slow.stamp(), slow.digest()), ("stamp", None));
        assert!(start.elapsed() < Duration::from_secs(2), "the run ends without it");
        for (run, digest) in [("1", Some("known")), ("2", None)] {
            let recorder = Recorder::begin(&state, &Header::new(run, None, "boot", "stamp".into())).unwrap();
            let teller = Teller::new(Redactor::new());
            teller.add(Arc::new(recorder));
            teller.tell(finished(run, digest));
        }
        let digest = |stamp: &str| OwnBinary::find_out_with(state.clone(), stamp.into(), || Ok("read".into())).unwrap().digest();
        assert_eq!(digest("stamp").as_deref(), Some("known"));
        assert_eq!(digest("another").as_deref(), Some("read"));
    }
}
