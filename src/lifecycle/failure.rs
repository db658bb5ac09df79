//! Why the instance died, in one compact record: it goes to the log stream and to the serial console before ABANDON.

use serde::Serialize;

/// So many lines of whatever was speaking are kept.
const MOST_LINES: usize = 40;
/// A line longer than this is cut: the console is slow and keeps 64 KB in all.
const LONGEST_LINE: usize = 400;

/// The failure record. Every text in it is redacted by whoever makes it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FailureRecord {
    /// The run.
    pub run: String,
    /// The instance.
    pub instance: String,
    /// The step that failed, if it was one.
    pub step: Option<String>,
    /// Where the playbook says so: file, line, column.
    pub place: Option<String>,
    /// What was being done and why it failed, in one line.
    pub error: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
    /// How long the run took, in milliseconds.
    pub milliseconds: u64,
    /// The steps that took longest, with their milliseconds: which one ate the time.
    pub slowest: Vec<(String, u64)>,
    /// The agent's version.
    pub agent: String,
    /// sha256 of the playbook.
    pub playbook_digest: String,
    /// The last lines of what was speaking.
    pub last_lines: Vec<String>,
}

impl FailureRecord {
    /// The same, small enough for a slow console.
    #[must_use]
    pub fn compact(mut self) -> Self {
        let skip = self.last_lines.len().saturating_sub(MOST_LINES);
        self.last_lines.drain(..skip);
        for line in &mut self.last_lines {
            if let Some((end, _)) = line.char_indices().nth(LONGEST_LINE) {
                line.truncate(end);
                line.push('…');
            }
        }
        self
    }

    /// One line for the log stream.
    #[must_use]
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Tagged<'r> {
            event: &'static str,
            #[serde(flatten)]
            record: &'r FailureRecord,
        }
        serde_json::to_string(&Tagged { event: "failure", record: self }).unwrap_or_else(|_| self.error.clone())
    }

    /// The same for a reader at the console: the reason first, then the machine's line.
    #[must_use]
    pub fn console_text(&self) -> String {
        let mut text = format!("bootstrap-agent: this instance failed to bootstrap: {}\n", self.error);
        if let Some(step) = &self.step {
            text = format!("{text}bootstrap-agent: step: {step}\n");
        }
        if let Some(hint) = &self.hint {
            text = format!("{text}bootstrap-agent: hint: {hint}\n");
        }
        for line in &self.last_lines {
            text = format!("{text}bootstrap-agent: | {line}\n");
        }
        format!("{text}bootstrap-agent: record: {}\n", self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let lines = (0..100).map(|number| format!("{number} {}", "é".repeat(1000))).collect();
        let record = FailureRecord { last_lines: lines, error: "it broke".to_owned(), ..FailureRecord::default() }.compact();
        assert_eq!(record.last_lines.len(), MOST_LINES);
        assert!(record.last_lines[0].starts_with("60 ") && record.last_lines[39].ends_with('…'));
        let parsed: serde_json::Value = serde_json::from_str(&record.line()).unwrap();
        assert_eq!((parsed["event"].as_str(), parsed["error"].as_str()), (Some("failure"), Some("it broke")));
        assert!(record.console_text().starts_with("bootstrap-agent: this instance failed to bootstrap: it broke\n"));
    }
}
