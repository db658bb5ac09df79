//! What a check found: the changes still to make, what later steps may use, and what the thing looks like now.

use indexmap::IndexMap;

use crate::secret::{Secret, Sensitive};

/// What a check found. No changes and nothing unknown means: done.
#[derive(Debug)]
pub struct Finding<C> {
    /// What is still different, in the order in which it will be applied.
    pub changes: Vec<Planned<C>>,
    /// Values for `steps.<id>.*`; they exist whether or not anything changes.
    pub outputs: Outputs,
    /// What is there, for `restart_on` and `on_change`.
    pub fingerprint: Option<Fingerprint>,
    /// Why it cannot tell (no network in a dry-run, a guard that must not run). The plan's third answer.
    pub unknown: Option<String>,
    /// While the engine polls: what is missing, for the last line of a time-out.
    pub not_yet: Option<String>,
    /// What the operator should know, which is no difference.
    pub notice: Option<String>,
    /// What differs and this run may not repair, as a line of the plan: a new revision, where a timer run stays on the old one.
    pub behind: Option<String>,
}

impl<C> Finding<C> {
    /// Nothing to do.
    #[must_use]
    pub fn done() -> Self {
        Self {
            changes: Vec::new(),
            outputs: Outputs::new(),
            fingerprint: None,
            unknown: None,
            not_yet: None,
            notice: None,
            behind: None,
        }
    }

    /// Cannot tell, for this reason.
    #[must_use]
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { unknown: Some(why.into()), ..Self::done() }
    }

    /// One more change.
    pub fn change(&mut self, change: C) {
        self.changes.push(Planned { change, diff: None });
    }

    /// One more change, with the difference in a file's content.
    pub fn change_with_diff(&mut self, change: C, diff: Diff) {
        self.changes.push(Planned { change, diff: Some(diff) });
    }

    /// The same with one more output.
    #[must_use]
    pub fn with_output(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.to_owned(), value.into());
        self
    }

    /// The same with this fingerprint, made of the things that matter to whoever depends on the step.
    #[must_use]
    pub fn with_fingerprint(mut self, of: &[&[u8]]) -> Self {
        self.fingerprint = Some(Fingerprint::of(of));
        self
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.changes.is_empty() && self.unknown.is_none()
    }
}

/// A change, and the diff that explains it.
#[derive(Debug)]
pub struct Planned<C> {
    /// The change.
    pub change: C,
    /// What it does to a file's content.
    pub diff: Option<Diff>,
}

/// How a file's content changes. Shown as a unified diff, or as sizes only where the content is nobody's business.
#[derive(Debug, Clone)]
pub enum Diff {
    /// Ordinary content, before and after; `None` where there is no file.
    Text {
        /// Which file.
        path: String,
        /// What it holds now.
        before: Option<String>,
        /// What it will hold.
        after: Option<String>,
    },
    /// Content that holds a secret, that others may not read, or that is not text: sizes in bytes.
    Private {
        /// Which file.
        path: String,
        /// Its size now.
        before: Option<usize>,
        /// Its size to be.
        after: Option<usize>,
    },
}

/// A digest of what a step stands for. Kept in memory; only a keyed form of it ever reaches the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of these parts, in this order; the parts' borders count.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// The values of `steps.<id>.*`, in the order they were declared.
pub type Outputs = IndexMap<String, Value>;

/// One output.
#[derive(Debug, Clone)]
pub enum Value {
    /// An ordinary value.
    Known(serde_json::Value),
    /// A value that expressions may use and nobody may see.
    Secret(Secret),
    /// Not known before something has run.
    Unknown,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Known(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Known(text.into())
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::Known(value)
    }
}

impl From<Sensitive> for Value {
    fn from(text: Sensitive) -> Self {
        match text {
            Sensitive::Plain(text) => text.into(),
            Sensitive::Secret(secret) => Self::Secret(secret),
        }
    }
}
