//! What happens in a run, as values. The terminal, `--json`, the run record and the shipped log are listeners of the same events.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host::traffic::Traffic;
use crate::secret::Redactor;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing had to change.
    Unchanged,
    /// It was changed, and the check after it agrees.
    Changed,
    /// In a dry-run: it would change.
    WouldChange,
    /// In a dry-run: cannot be told yet.
    Unknown,
    /// Its `when` is false.
    Skipped,
    /// It failed.
    Failed,
    /// It failed, and `may_fail` lets the run go on.
    FailedButAllowed,
    /// It was not started because another step failed or time ran out.
    NotStarted,
}

/// One thing that happened. Every text is redacted before the event is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Identifies the run in records and logs.
        run: String,
        /// The playbook's name; where it comes from when it could not be understood.
        playbook: String,
        /// sha256 of the playbook as it was read; empty when it could not be understood.
        playbook_digest: String,
        /// The agent's version.
        version: String,
        /// `boot`, `timer` or `manual`.
        trigger: String,
        /// Whether nothing will be written.
        dry_run: bool,
        /// How many steps there are.
        steps: usize,
    },
    /// Only some steps of the playbook are carried out, with what they need; it follows the run's first word.
    Narrowed {
        /// The ids that were asked for.
        only: Vec<String>,
    },
    /// Something the user should know, which is no failure.
    Notice {
        /// One sentence.
        text: String,
    },
    /// A step's check begins.
    StepStarted {
        /// Its number, from 1.
        step: usize,
        /// Its label: id, name or what it is about.
        label: String,
        /// Its type.
        kind: String,
        /// The step whose end made this one ready: a link of the critical path.
        after: Option<usize>,
    },
    /// A step waits for a named lock or for the time to look again.
    StepWaiting {
        /// Its number.
        step: usize,
        /// What for.
        reason: String,
    },
    /// A change that is being made, or would be: by a run that may (a dry-run, or one that stays on its revision).
    Change {
        /// The step's number.
        step: usize,
        /// The line of the plan.
        text: String,
        /// The unified diff, or the sizes; present where there is one.
        diff: Option<String>,
        /// Whether it is being made now.
        applying: bool,
        /// Every run makes it, as the playbook says: it is no drift.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        routine: bool,
    },
    /// A line from a program that the step runs.
    Output {
        /// The step's number.
        step: usize,
        /// The line.
        line: String,
    },
    /// A step is being tried again.
    StepRetried {
        /// The step's number.
        step: usize,
        /// Which try comes now, from 2.
        attempt: u32,
        /// Why the last one failed.
        because: String,
    },
    /// What the machine moved, by whomever, while a step or the run was at work; said just before its last word.
    Traffic {
        /// The step's number; `None` for the run.
        step: Option<usize>,
        /// How much.
        #[serde(flatten)]
        moved: Traffic,
    },
    /// A step is over.
    StepFinished {
        /// Its number.
        step: usize,
        /// Its label.
        label: String,
        /// How it ended.
        ending: Ending,
        /// How many changes were made, or would be.
        changes: usize,
        /// How long it took, in milliseconds.
        milliseconds: u64,
        /// What the time went into.
        timing: Timing,
        /// Why it failed, was skipped or cannot be told.
        reason: Option<Failure>,
        /// In a dry-run: the pending step whose effects nobody can foresee, so that this answer is tentative.
        tentative: Option<usize>,
    },
    /// The hook took a heartbeat. Nobody is told but who looks at the run afterwards.
    Heartbeat,
    /// What became of the lifecycle action, or of shipping the logs.
    Lifecycle {
        /// One sentence.
        text: String,
    },
    /// Something kept the run from its steps.
    RunFailed {
        /// What.
        reason: Failure,
    },
    /// The run is over.
    RunFinished {
        /// The run.
        run: String,
        /// Whether the machine is as the playbook wishes.
        converged: bool,
        /// How many steps changed something, or would.
        changed: usize,
        /// How many steps failed.
        failed: usize,
        /// How many steps cannot be told.
        unknown: usize,
        /// The signal that ended the run before its time.
        interrupted: Option<String>,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// Which binary carries the run out. Only the record is told: it may be known after everybody's last word.
    Binary {
        /// sha256 of it, in hexadecimal.
        digest: String,
    },
    /// Written into the record of a run that ended without a word, by the run that found it so.
    RunCutShort {
        /// The run.
        run: String,
        /// What must have happened.
        because: String,
    },
}

/// What a step's time went into, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Ready, but not started: too many others at work, or a named lock was held.
    pub locks: u64,
    /// Looking.
    pub check: u64,
    /// Changing.
    pub apply: u64,
    /// Looking again, until it was so.
    pub recheck: u64,
    /// Of all this: waiting for a child, the network, or the time to look again.
    pub waited: u64,
}

/// A failure in the parts that the terminal draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The playbook's file, line and column.
    pub place: Option<String>,
    /// What was being done, outermost first.
    pub doing: Vec<String>,
    /// Why, outermost first.
    pub because: Vec<String>,
    /// The last lines of what was speaking.
    pub last_lines: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// The parts of this error; `place` is where the step stands in the playbook.
    #[must_use]
    pub fn of(error: &Error, place: Option<String>) -> Self {
        Self {
            place,
            doing: error.activities().map(str::to_owned).collect(),
            because: error.causes().map(str::to_owned).collect(),
            last_lines: error.last_lines().to_vec(),
            hint: error.advice().map(str::to_owned),
        }
    }

    /// A reason that is no error: why a step was skipped, or cannot be told.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self { place: None, doing: Vec::new(), because: vec![reason.into()], last_lines: Vec::new(), hint: None }
    }

    fn map_text(&mut self, clean: &dyn Fn(&mut String)) {
        self.doing.iter_mut().chain(&mut self.because).chain(&mut self.last_lines).chain(&mut self.hint).for_each(clean);
        self.place.iter_mut().for_each(clean);
    }
}

impl Event {
    /// Puts every free text through `clean`. Digests, run ids and kinds are ours and stay.
    fn map_text(&mut self, clean: &dyn Fn(&mut String)) {
        match self {
            Self::RunStarted { playbook, .. } => clean(playbook),
            Self::Notice { text } | Self::Lifecycle { text } => clean(text),
            Self::StepStarted { label, .. } => clean(label),
            Self::StepWaiting { reason, .. } => clean(reason),
            Self::Change { text, diff, .. } => {
                clean(text);
                diff.iter_mut().for_each(clean);
            }
            Self::Output { line, .. } => clean(line),
            Self::StepRetried { because, .. } | Self::RunCutShort { because, .. } => clean(because),
            Self::StepFinished { label, reason, .. } => {
                clean(label);
                if let Some(reason) = reason {
                    reason.map_text(clean);
                }
            }
            Self::RunFailed { reason } => reason.map_text(clean),
            Self::RunFinished { interrupted, .. } => interrupted.iter_mut().for_each(clean),
            Self::Binary { .. } | Self::Traffic { .. } | Self::Narrowed { .. } | Self::Heartbeat => {}
        }
    }
}

/// An event with its instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Whoever wants to know what happens. Called from several threads; must not block for long.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn hear(&self, event: &Stamped);
}

/// Tells all listeners of a run, and lets no secret through to any of them. Clones share the list.
#[derive(Clone, Default)]
pub struct Teller {
    redactor: Redactor,
    listeners: Arc<RwLock<Vec<Arc<dyn Listener>>>>,
}

impl Teller {
    /// Tells nobody yet.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, listeners: Arc::default() }
    }

    /// From now on, this one is told too.
    pub fn add(&self, listener: Arc<dyn Listener>) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells everybody.
    pub fn tell(&self, mut event: Event) {
        event.map_text(&|text| {
            if let Cow::Owned(clean) = self.redactor.clean(text) {
                *text = clean;
            }
        });
        let stamped = Stamped { at: jiff::Timestamp::now().as_millisecond(), event };
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener.hear(&stamped);
        }
    }

    /// Tells everybody one sentence.
    pub fn notice(&self, text: impl Into<String>) {
        self.tell(Event::Notice { text: text.into() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::error::Kind;
    use crate::secret::Secret;

    #[derive(Default)]
    struct Memory(Mutex<Vec<String>>);

    impl Listener for Memory {
        fn hear(&self, event: &Stamped) {
            self.0.lock().unwrap().push(serde_json::to_string(event).unwrap());
        }
    }

    #[test]
    fn no_text_of_any_event_carries_a_secret() {
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("hunter2-hunter2"));
        let teller = Teller::new(redactor);
        let memory = Arc::new(Memory::default());
        teller.add(memory.clone());
        let leak = || "x hunter2-hunter2 y".to_owned();
        let error = Error::new(Kind::Failed, leak()).doing(leak()).hint(leak()).tail([leak()]);
        teller.notice(leak());
        teller.tell(Event::Lifecycle { text: leak() });
        teller.tell(Event::StepStarted { step: 1, label: leak(), kind: "file".into(), after: None });
        teller.tell(Event::StepWaiting { step: 1, reason: leak() });
        teller.tell(Event::Change { step: 1, text: leak(), diff: Some(leak()), applying: true, routine: false });
        teller.tell(Event::Output { step: 1, line: leak() });
        teller.tell(Event::StepRetried { step: 1, attempt: 2, because: leak() });
        teller.tell(Event::RunCutShort { run: "r".into(), because: leak() });
        teller.tell(Event::RunFailed { reason: Failure::of(&error, None) });
        teller.tell(Event::StepFinished {
            step: 1,
            label: leak(),
            ending: Ending::Failed,
            changes: 0,
            milliseconds: 1,
            timing: Timing::default(),
            reason: Some(Failure::of(&error, Some(leak()))),
            tentative: None,
        });
        let heard = memory.0.lock().unwrap();
        assert_eq!(heard.len(), 10);
        for line in heard.iter() {
            assert!(line.contains("x *** y") && !line.contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        let event = Stamped { at: 5, event: Event::Notice { text: "as it is".into() } };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(text, r#"{"at":5,"event":"notice","text":"as it is"}"#);
        assert_eq!(serde_json::from_str::<Stamped>(&text).unwrap(), event);
    }
}
