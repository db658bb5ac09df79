//! One step as the engine sees it: what its common keys say, and how it becomes a typed step just before its check.
//!
//! The scheduler knows this trait and not the playbook, so that its rules are tested on steps that are scripted.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::playbook::{Entry, Rendered, Scope, Wanted};
use crate::step::Touches;

/// What the common keys of an entry say.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its number, from 1.
    pub number: usize,
    /// Its `id:`.
    pub id: Option<String>,
    /// What it is called in output.
    pub label: String,
    /// Its type.
    pub kind: &'static str,
    /// Ids it waits for; `None` means everything above it.
    pub needs: Option<Vec<String>>,
    /// Ids whose outputs it uses.
    pub uses: Vec<String>,
    /// Its own limit.
    pub timeout: Option<Duration>,
    /// How often apply and re-check are repeated.
    pub retries: u32,
    /// Whether the run goes on without it.
    pub may_fail: bool,
    /// Where it stands in the playbook.
    pub place: String,
}

impl About {
    /// The words that errors and plans name it with.
    #[must_use]
    pub fn name(&self) -> String {
        format!("step {} `{}`", self.number, self.label)
    }
}

impl From<&Entry> for About {
    fn from(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            id: entry.id.clone(),
            label: entry.label.clone(),
            kind: entry.step_type.kind,
            needs: entry.needs.clone(),
            uses: entry.uses.clone(),
            timeout: entry.timeout.map(|span| span.0),
            retries: entry.retries,
            may_fail: entry.may_fail,
            place: entry.position.to_string(),
        }
    }
}

/// One step, not yet evaluated.
pub trait Job: Send + Sync {
    /// What its common keys say.
    fn about(&self) -> &About;

    /// What it touches, as far as it can be told before the run.
    ///
    /// # Errors
    /// When its fields do not evaluate.
    fn touches(&self, scope: &Scope) -> Result<Option<Touches>>;

    /// Evaluates its `when`.
    ///
    /// # Errors
    /// When the expression fails.
    fn is_wanted(&self, scope: &Scope) -> Result<Wanted>;

    /// Evaluates its fields.
    ///
    /// # Errors
    /// When they do not evaluate or have the wrong type.
    fn render(&self, scope: &Scope) -> Result<Rendered>;
}

/// An entry of a playbook.
pub struct EntryJob {
    about: About,
    entry: Entry,
}

impl EntryJob {
    /// All entries of a playbook.
    #[must_use]
    pub fn all(entries: Vec<Entry>) -> Vec<Arc<dyn Job>> {
        entries.into_iter().map(|entry| Arc::new(Self { about: About::from(&entry), entry }) as Arc<dyn Job>).collect()
    }
}

impl Job for EntryJob {
    fn about(&self) -> &About {
        &self.about
    }

    fn touches(&self, scope: &Scope) -> Result<Option<Touches>> {
        self.entry.touches(scope)
    }

    fn is_wanted(&self, scope: &Scope) -> Result<Wanted> {
        self.entry.is_wanted(scope)
    }

    fn render(&self, scope: &Scope) -> Result<Rendered> {
        self.entry.render(scope)
    }
}
