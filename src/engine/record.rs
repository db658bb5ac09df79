//! The run record: the run's own events, one JSON line each, written as they happen, so that a crash leaves what was known.
//!
//! First line: a header, written atomically. Last line: the end of the run. A record without its last line was cut short; the
//! next run finds it so, says so, and marks it.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::event::{Event, Listener, Stamped};
use crate::error::{Error, Kind, Result};
use crate::host::state::{Lines, StateFolder};

/// The version of what is written here.
const VERSION: u32 = 1;
/// The folder of the records.
const FOLDER: &str = "runs";
/// How many records are kept.
const KEPT: usize = 20;

/// The first line of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the record's form.
    pub record: u32,
    /// The run.
    pub run: String,
    /// The instance it ran on; `None` off EC2.
    pub instance: Option<String>,
    /// The boot it ran in.
    pub boot: String,
    /// The process that ran it.
    pub process: u32,
    /// What tells that the binary is still the same file.
    pub binary_stamp: String,
}

impl Header {
    /// The header of a run that begins now, in this process.
    #[must_use]
    pub fn new(run: &str, instance: Option<&str>, boot: &str, binary_stamp: String) -> Self {
        Self {
            record: VERSION,
            run: run.to_owned(),
            instance: instance.map(str::to_owned),
            boot: boot.to_owned(),
            process: std::process::id(),
            binary_stamp,
        }
    }
}

/// A record as it is found.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its first line.
    pub header: Header,
    /// What happened, as far as it was written.
    pub events: Vec<Stamped>,
}

/// What a new run is called. Sorts by time; two runs in one millisecond differ all the same.
#[must_use]
pub fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let millisecond = now.as_millisecond().rem_euclid(1000);
    format!("{}{millisecond:03}Z-{:04x}", now.strftime("%Y%m%dT%H%M%S"), rand::random::<u16>())
}

impl Record {
    /// Reads the lines of a record. What is torn is left out; without a whole header there is no record.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let mut lines = content.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let header: Header = serde_json::from_slice(lines.next()?).ok()?;
        let events = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Some(Self { header, events })
    }

    /// The events of a run that somebody kept, as `agent run --json` prints them; `None` where there is none among the lines.
    #[must_use]
    pub fn of_events(content: &[u8]) -> Option<Self> {
        let lines = content.split(|byte| *byte == b'\n');
        let events: Vec<Stamped> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let run = events.iter().find_map(|stamped| match &stamped.event {
            Event::RunStarted { run, .. } | Event::RunFinished { run, .. } => Some(run.clone()),
            _ => None,
        });
        let header = Header { run: run.unwrap_or_default(), process: 0, ..Header::new("", None, "", String::new()) };
        if events.is_empty() { None } else { Some(Self { header, events }) }
    }

    /// Whether the run said its last word, or another said it in its place.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.events.iter().any(|stamped| matches!(stamped.event, Event::RunFinished { .. } | Event::RunCutShort { .. }))
    }

    /// When it began, in milliseconds since 1970.
    #[must_use]
    pub fn started(&self) -> Option<i64> {
        self.events.first().map(|stamped| stamped.at)
    }

    /// What it was called with: `boot`, `timer`, `manual`.
    #[must_use]
    pub fn trigger(&self) -> Option<&str> {
        self.events.iter().find_map(|stamped| match &stamped.event {
            Event::RunStarted { trigger, .. } => Some(trigger.as_str()),
            _ => None,
        })
    }

    /// sha256 of the binary; a run that was killed may not have got to know it.
    #[must_use]
    pub fn binary_digest(&self) -> Option<&str> {
        self.events.iter().find_map(|stamped| match &stamped.event {
            Event::Binary { digest } => Some(digest.as_str()),
            _ => None,
        })
    }

    /// Steps that were started and did not end.
    #[must_use]
    pub fn open_steps(&self) -> Vec<(usize, &str)> {
        let mut open = Vec::new();
        for stamped in &self.events {
            match &stamped.event {
                Event::StepStarted { step, label, .. } => open.push((*step, label.as_str())),
                Event::StepFinished { step, .. } => open.retain(|(number, _)| number != step),
                _ => {}
            }
        }
        open
    }
}

/// Writes the record of the run that is under way.
pub struct Recorder(Mutex<Writing>);

struct Writing {
    lines: Lines,
    trouble: Option<Error>,
}

impl Recorder {
    /// Begins a record, and drops the oldest ones.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(state: &StateFolder, header: &Header) -> Result<Self> {
        let before = files(state)?;
        let number = before.last().map_or(1, |newest| newest.number.saturating_add(1));
        let name = format!("{FOLDER}/{number:06}-{}.jsonl", header.run);
        state.write(&name, format!("{}\n", json(header)?).as_bytes())?;
        for old in before.iter().take((before.len() + 1).saturating_sub(KEPT)) {
            state.remove(&old.path)?;
        }
        Ok(Self(Mutex::new(Writing { lines: state.append(&name)?, trouble: None })))
    }

    /// Why the record has holes, if it has: a full disk must not fail a run.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

impl Recorder {
    /// Writes down what nobody else needs to be told.
    pub fn note(&self, event: Event) {
        self.hear(&Stamped { at: jiff::Timestamp::now().as_millisecond(), event });
    }
}

impl Listener for Recorder {
    fn hear(&self, stamped: &Stamped) {
        let stamped = match &stamped.event {
            // Programs may print megabytes; the shipped log has it.
            Event::Output { .. } => return,
            // Contents of files belong to the files.
            Event::Change { step, text, applying, routine, .. } => {
                let event = Event::Change { step: *step, text: text.clone(), diff: None, applying: *applying, routine: *routine };
                &Stamped { at: stamped.at, event }
            }
            _ => stamped,
        };
        let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = json(stamped).and_then(|line| writing.lines.push(&line));
        let ends = matches!(stamped.event, Event::RunStarted { .. } | Event::StepFinished { .. } | Event::RunFinished { .. });
        let written = written.and_then(|()| if ends { writing.lines.sync() } else { Ok(()) });
        if let Err(error) = written {
            writing.trouble.get_or_insert(error);
        }
    }
}

/// The file of a record. They are numbered: whoever goes by the time is lost once the clock is set back.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RecordFile {
    number: u64,
    path: String,
}

/// The files of all records, oldest first.
fn files(state: &StateFolder) -> Result<Vec<RecordFile>> {
    let number = |name: &str| name.split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let named = |name: String| RecordFile { number: number(&name), path: format!("{FOLDER}/{name}") };
    let mut files: Vec<RecordFile> = state.names(FOLDER)?.into_iter().map(named).collect();
    files.sort();
    Ok(files)
}

fn read(state: &StateFolder, file: &RecordFile) -> Result<Option<Record>> {
    Ok(state.read(&file.path)?.as_deref().and_then(Record::parse))
}

/// All records, oldest first. What is no record is left out.
///
/// # Errors
/// When the state folder cannot be read.
pub fn all(state: &StateFolder) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for file in files(state)? {
        records.extend(read(state, &file)?);
    }
    Ok(records)
}

/// The newest record.
///
/// # Errors
/// When the state folder cannot be read.
pub fn newest(state: &StateFolder) -> Result<Option<Record>> {
    for file in files(state)?.iter().rev() {
        if let Some(record) = read(state, file)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Finds the runs that ended without a word, marks their records, and says what became of them. Only for who holds the lock.
///
/// # Errors
/// When the records cannot be read or marked.
pub fn mark_cut_short(state: &StateFolder, boot: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files(state)? {
        let Some(record) = read(state, &file)?.filter(|record| !record.is_finished()) else { continue };
        let header = &record.header;
        let because = if header.boot == boot {
            format!("its process ({}) crashed or was killed", header.process)
        } else {
            "the machine was restarted meanwhile".to_owned()
        };
        let event = Event::RunCutShort { run: header.run.clone(), because: because.clone() };
        let mut lines = state.append(&file.path)?;
        lines.push(&json(&Stamped { at: jiff::Timestamp::now().as_millisecond(), event })?)?;
        lines.sync()?;
        let steps = record.open_steps().iter().map(|(number, label)| format!(" in step {number} `{label}`")).collect::<Vec<_>>();
        let steps = steps.join(" and");
        found.push(format!("run {} was cut short{steps}: {because}; this run finishes its work", header.run));
    }
    Ok(found)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::from_source(Kind::Bug, &error).doing("writing the run record"))
}

#[cfg(test)]
mod tests;
