//! Follows a unit's journal: `journalctl` as a child, one JSON object a line, from a cursor on.

use std::io::{BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Context as _, Error, Kind, Result};

/// Entries that wait to be taken; when it is full, `journalctl` waits, and the journal keeps what comes.
const WAITING: usize = 1000;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands; asking from here on gives this entry first.
    pub cursor: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// What it says.
    pub message: String,
}

/// A running `journalctl`. Stopped when dropped.
pub struct Follow {
    child: Child,
    entries: Receiver<Entry>,
}

impl Follow {
    /// Follows this unit: from the entry at the cursor on (which comes first, again), else from the start of this boot.
    ///
    /// # Errors
    /// `Missing` where there is no `journalctl`.
    pub fn start(unit: &str, cursor: Option<&str>) -> Result<Self> {
        let mut command = Command::new("journalctl");
        // `--merge` lifts the limit to one boot that `--follow` brings along; an exclusive cursor would lose entries on some
        // versions when it stands on another unit's entry.
        command.args(["--follow", "--no-tail", "--all", "--quiet", "--no-pager", "--output=json"]);
        command.args(["--output-fields=MESSAGE", "--unit", unit]);
        match cursor {
            Some(cursor) => command.args(["--merge", "--cursor", cursor]),
            None => command.arg("--boot"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().doing(|| format!("following the journal of `{unit}`"))?;
        let output = child.stdout.take().ok_or_else(|| Error::new(Kind::Bug, "`journalctl` has no output"))?;
        let (sender, entries) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || read(BufReader::new(output), &sender))
            .doing(|| format!("following the journal of `{unit}`"))?;
        Ok(Self { child, entries })
    }

    /// The next entry that is there already.
    #[must_use]
    pub fn next(&self) -> Option<Entry> {
        self.entries.try_recv().ok()
    }

    /// Whether `journalctl` has ended, as it does when a journal file is rotated under it at the wrong moment.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// How long `journalctl` may take to say what is there.
const LOOK: Duration = Duration::from_secs(2);

/// The cursor of the unit's newest entry, after everything its processes have written so far was taken in; `None` when there is
/// none, or when it cannot be told in time.
#[must_use]
pub fn newest(unit: &str) -> Option<String> {
    // Only root may ask for it, and without it only the last instant is missing.
    let _ = output(&["--sync"]);
    let line =
        output(&["--boot", "--quiet", "--no-pager", "--lines=1", "--output=json", "--output-fields=PRIORITY", "--unit", unit])?;
    let object: Value = serde_json::from_str(line.trim()).ok()?;
    Some(object.get("__CURSOR")?.as_str()?.to_owned())
}

/// What `journalctl` prints, where that is little.
fn output(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("journalctl");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + LOOK;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= end {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    Some(text)
}

impl Drop for Follow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: impl std::io::BufRead, entries: &SyncSender<Entry>) {
    for line in output.lines().map_while(std::result::Result::ok) {
        let Some(mut entry) = parse(&line) else { continue };
        loop {
            match entries.try_send(entry) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => {
                    entry = back;
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

/// One line of `journalctl --output=json`. A message that is not UTF-8 comes as an array of bytes.
fn parse(line: &str) -> Option<Entry> {
    let object: Value = serde_json::from_str(line).ok()?;
    let message = match object.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    let micros: i64 = object.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
    Some(Entry { cursor: object.get("__CURSOR")?.as_str()?.to_owned(), at: micros / 1000, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_both_forms_of_a_message() {
        let line = r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1700000000123456","MESSAGE":"hello"}"#;
        assert_eq!(parse(line).unwrap(), Entry { cursor: "s=1;i=2".into(), at: 1_700_000_000_123, message: "hello".into() });
        let bytes = r#"{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1000","MESSAGE":[104,105,255]}"#;
        assert_eq!(parse(bytes).unwrap().message, "hi\u{fffd}");
        assert!(parse("-- No entries --").is_none());
    }
}
