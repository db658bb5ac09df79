//! The verdict on disk, written before it is said, so that no crash and no outage can lose it.

use serde::{Deserialize, Serialize};

use super::{Hook, Line};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Verdict;

const RECORD: &str = "verdict.json";
const VERSION: u32 = 1;

/// Which of the hook's calls it answers: a warm pool's instance is asked twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// On its way into service.
    Launching,
    /// On its way into a warm pool.
    Warming,
}

/// What was decided, and whether it has been said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredVerdict {
    version: u32,
    /// The instance it is about.
    pub instance: String,
    /// The boot whose run decided it.
    pub boot: String,
    /// Which call it answers.
    pub transition: Transition,
    /// What was decided.
    pub verdict: Verdict,
    /// Whom it is for; unknown when the hook could not be found.
    pub group: Option<String>,
    /// The hook's name.
    pub hook: Option<String>,
    /// How long the hook waits, in seconds.
    pub timeout: u64,
    /// The run that decided it.
    pub run: String,
    /// When, in milliseconds since 1970.
    pub decided_at: i64,
    /// Until when the instance is kept for debugging: another run must not say it before, in milliseconds since 1970.
    #[serde(default)]
    pub held_until: Option<i64>,
    /// Whether nothing is left to be said.
    pub settled: bool,
}

impl StoredVerdict {
    /// Decided now, not yet said.
    #[must_use]
    pub fn new(line: &Line, run: &str, transition: Transition, verdict: Verdict) -> Self {
        Self {
            version: VERSION,
            instance: line.instance.clone(),
            boot: line.boot.clone(),
            transition,
            verdict,
            group: None,
            hook: None,
            timeout: 0,
            run: run.to_owned(),
            decided_at: jiff::Timestamp::now().as_millisecond(),
            held_until: None,
            settled: false,
        }
    }

    /// The same, to be said only after this long: the instance is kept for debugging.
    #[must_use]
    pub fn held_for(mut self, span: std::time::Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.held_until = Some(jiff::Timestamp::now().as_millisecond().saturating_add(span));
        self
    }

    /// Whether it may be said by now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.held_until.is_none_or(|until| jiff::Timestamp::now().as_millisecond() >= until)
    }

    /// The same, for this hook.
    #[must_use]
    pub fn to(mut self, hook: &Hook) -> Self {
        self.group = Some(hook.group.clone());
        self.hook = Some(hook.name.clone());
        self.timeout = hook.timeout.as_secs();
        self
    }

    /// Whom it is for.
    #[must_use]
    pub fn addressee(&self) -> Option<Hook> {
        let timeout = std::time::Duration::from_secs(self.timeout);
        Some(Hook { group: self.group.clone()?, name: self.hook.clone()?, timeout })
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn write(&self, line: &Line) -> Result<()> {
        let content = serde_json::to_vec(self).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        line.state.write(RECORD, &content).doing(|| "writing the verdict down".to_owned())
    }

    /// What was decided last on this instance; another instance's verdict, or one we cannot read, is none.
    ///
    /// # Errors
    /// When the state folder cannot be read.
    pub fn read(line: &Line) -> Result<Option<Self>> {
        let content = line.state.read(RECORD)?;
        let stored: Option<Self> = content.and_then(|content| serde_json::from_slice(&content).ok());
        Ok(stored.filter(|stored| stored.version == VERSION && stored.instance == line.instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::scripted::Scripted;

    #[test]
    fn what_is_held_is_not_due_before_its_time() {
        let stored = StoredVerdict::new(&Scripted::new().line(), "run", Transition::Launching, Verdict::Abandon);
        assert!(stored.is_due());
        assert!(!stored.clone().held_for(std::time::Duration::from_mins(1)).is_due());
        assert!(stored.held_for(std::time::Duration::ZERO).is_due());
    }

    #[test]
    fn another_instances_verdict_is_none() {
        let mut line = Scripted::new().line();
        let scripted = Scripted::new();
        line.state = scripted.line().state;
        StoredVerdict::new(&line, "run", Transition::Launching, Verdict::Abandon).write(&line).unwrap();
        assert_eq!(StoredVerdict::read(&line).unwrap().unwrap().verdict, Verdict::Abandon);
        line.instance = "i-2".to_owned();
        assert!(StoredVerdict::read(&line).unwrap().is_none());
    }
}
