//! The last words of a unit, for the error that its death becomes.

use std::time::{Duration, Instant};

use super::UnitFacts;
use crate::host::Facts;
use crate::host::programs::Invocation;

/// A line that a dying process wrote may take this long until the journal shows it.
const JOURNAL_DELAY: Duration = Duration::from_millis(300);

impl Facts {
    /// The last lines of the unit's journal since its last start; of this boot when it was restarted meanwhile. Empty where
    /// there is no journal: it is only ever an addition to an error.
    pub fn journal_tail(&self, unit: &str, lines: usize) -> Vec<String> {
        let patience = Instant::now() + JOURNAL_DELAY;
        let facts = self.unit(unit).unwrap_or_default();
        // Asks journald to take in what processes have written so far; only root may, and nothing is lost without it.
        let _ = self.ask(&Invocation::new("journalctl", &["--sync"]));
        loop {
            let tail = self.read_journal(unit, &facts, lines);
            if !tail.is_empty() || Instant::now() >= patience {
                return tail;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn read_journal(&self, unit: &str, facts: &UnitFacts, lines: usize) -> Vec<String> {
        let own = format!("_SYSTEMD_INVOCATION_ID={}", facts.invocation_id);
        let about = format!("INVOCATION_ID={}", facts.invocation_id);
        // A line that the journal comes to when its process is gone belongs to the unit, but to none of its starts. Then more is
        // shown, of earlier starts too, rather than systemd's words alone.
        if facts.restarts == 0 && !facts.invocation_id.is_empty() && !self.ask_journal(&[&own], 1).is_empty() {
            return self.ask_journal(&[&own, "+", &about], lines);
        }
        self.ask_journal(&[&format!("--unit={unit}")], lines)
    }

    /// The last lines of this boot that match.
    fn ask_journal(&self, matches: &[&str], lines: usize) -> Vec<String> {
        let count = format!("--lines={lines}");
        let mut asked = Invocation::new("journalctl", &["--quiet", "--no-pager", "--output=cat", "--boot", &count]);
        asked.arguments.extend(matches.iter().map(|word| (*word).to_owned()));
        match self.ask(&asked) {
            Ok(output) => output.text().lines().map(|line| self.world.options.redactor.clean(line).into_owned()).collect(),
            Err(_) => Vec::new(),
        }
    }
}
