//! Which binary carries out the run, for its record. It has many megabytes, so it is read beside the steps, and not at all where
//! an earlier record knows the same file. A run that is faster than the reading waits for it when all else is said and done.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::event::Event;
use super::record::{self, Recorder};
use crate::error::Result;
use crate::host::process;
use crate::host::state::StateFolder;

/// Our binary, while its digest is being found out.
pub struct OwnBinary(JoinHandle<()>);

impl OwnBinary {
    /// Begins to find out; the record is told as soon as it is known. `stamp` tells the same file without reading it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn find_out(state: StateFolder, stamp: String, recorder: Arc<Recorder>) -> Result<Self> {
        Self::find_out_with(state, stamp, recorder, process::own_digest)
    }

    fn find_out_with(
        state: StateFolder,
        stamp: String,
        recorder: Arc<Recorder>,
        read: impl FnOnce() -> Result<String> + Send + 'static,
    ) -> Result<Self> {
        let find_out = move || match recorded(&state, &stamp).map_or_else(read, Ok) {
            Ok(digest) => recorder.note(Event::Binary { digest }),
            Err(error) => tracing::warn!(%error, "the record does not say which binary this is"),
        };
        Ok(Self(std::thread::Builder::new().name("own-binary".into()).spawn(find_out)?))
    }

    /// Waits until the record knows it.
    pub fn wait(self) {
        // A panic there has been reported, and costs the record a line.
        let _ = self.0.join();
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
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::engine::record::Header;

    fn recorder(state: &StateFolder, run: &str, stamp: &str) -> Arc<Recorder> {
        Arc::new(Recorder::begin(state, &Header::new(run, None, "boot", stamp.to_owned())).unwrap())
    }

    fn digest(state: &StateFolder, run: &str) -> Option<String> {
        let records = record::all(state).unwrap();
        let found = records.iter().find(|record| record.header.run == run).unwrap();
        found.binary_digest().map(str::to_owned)
    }

    #[test]
    fn nobody_waits_for_a_slow_reading_before_the_end_and_the_record_has_it_then() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("state"));
        let (go_on, wait) = channel();
        let slow = move || {
            wait.recv_timeout(Duration::from_secs(20)).unwrap();
            Ok("late".into())
        };
        let binary = OwnBinary::find_out_with(state.clone(), "stamp".into(), recorder(&state, "1", "stamp"), slow).unwrap();
        assert_eq!(digest(&state, "1"), None, "the run goes on meanwhile");
        go_on.send(()).unwrap();
        binary.wait();
        assert_eq!(digest(&state, "1").as_deref(), Some("late"));
    }

    #[test]
    fn the_same_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path().join("state"));
        for (run, stamp, read, known) in [("1", "a", "x", "x"), ("2", "a", "y", "x"), ("3", "b", "z", "z")] {
            let recorder = recorder(&state, run, stamp);
            OwnBinary::find_out_with(state.clone(), stamp.into(), recorder, || Ok(read.into())).unwrap().wait();
            assert_eq!(digest(&state, run).as_deref(), Some(known), "{run}");
        }
    }
}
