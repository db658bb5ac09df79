//! What happens in a run, as values. The terminal, `--json`, the run record and the shipped log are listeners of the same events.

use std::sync::Arc;

use serde::Serialize;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Identifies the run in records and logs.
        run: String,
        /// The playbook's name.
        playbook: String,
        /// sha256 of the playbook as it was read.
        playbook_digest: String,
        /// sha256 of this binary.
        binary_digest: String,
        /// The agent's version.
        version: String,
        /// `boot`, `timer` or `manual`.
        trigger: String,
        /// Whether nothing will be written.
        dry_run: bool,
        /// How many steps there are.
        steps: usize,
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
    },
    /// A step waits for a named lock or for the time to look again.
    StepWaiting {
        /// Its number.
        step: usize,
        /// What for.
        reason: String,
    },
    /// A change that would be made (dry-run) or is being made.
    Change {
        /// The step's number.
        step: usize,
        /// The line of the plan.
        text: String,
        /// The unified diff, or the sizes; present where there is one.
        diff: Option<String>,
        /// Whether it is being made now.
        applying: bool,
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
        /// Why it failed, was skipped or cannot be told.
        reason: Option<Failure>,
    },
    /// What became of the lifecycle action, or of shipping the logs.
    Lifecycle {
        /// One sentence.
        text: String,
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
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
}

/// A failure in the parts that the terminal draws.
#[derive(Debug, Clone, Serialize)]
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

/// An event with its instant.
#[derive(Debug, Clone, Serialize)]
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

/// All listeners of a run.
#[derive(Clone, Default)]
pub struct Listeners(pub Vec<Arc<dyn Listener>>);

impl Listeners {
    /// Tells everybody.
    pub fn tell(&self, event: Event) {
        let stamped = Stamped { at: jiff::Timestamp::now().as_millisecond(), event };
        for listener in &self.0 {
            listener.hear(&stamped);
        }
    }
}
