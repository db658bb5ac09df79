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
        let count = format!("--lines={lines}");
        let mut asked = Invocation::new("journalctl", &["--quiet", "--no-pager", "--output=cat", "--boot", &count]);
        if facts.restarts == 0 && !facts.invocation_id.is_empty() {
            // What its processes wrote, and what systemd wrote about them.
            asked.arguments.push(format!("_SYSTEMD_INVOCATION_ID={}", facts.invocation_id));
            asked.arguments.push("+".into());
            asked.arguments.push(format!("INVOCATION_ID={}", facts.invocation_id));
        } else {
            asked.arguments.push(format!("--unit={unit}"));
        }
        match self.ask(&asked) {
            Ok(output) => output.text().lines().map(|line| self.world.options.redactor.clean(line).into_owned()).collect(),
            Err(_) => Vec::new(),
        }
    }
}
