//! Which of the generated lines have come, how often, in which order, and how long after they were written.

use std::collections::HashMap;

use serde_json::{Value, json};

/// What came of everybody's lines.
#[derive(Default)]
pub struct Tally {
    sources: HashMap<Vec<u8>, Source>,
    /// Milliseconds from written to received, at most a minute.
    delays: Vec<u64>,
    lines: u64,
    foreign: u64,
}

#[derive(Default)]
struct Source {
    /// One bit a line.
    seen: Vec<u64>,
    came: u64,
    duplicates: u64,
    /// Lines that came for the first time after a later one.
    late: u64,
    next: u64,
}

const LONGEST_DELAY: usize = 60_000;

impl Tally {
    /// One stored message. Whether it is a generated line.
    pub fn take(&mut self, message: &[u8], now: u64) -> bool {
        self.lines += 1;
        let mut words = message.splitn(4, |byte| *byte == b' ');
        let (Some(source), Some(number), Some(written)) = (words.next(), number(words.next()), number(words.next())) else {
            self.foreign += 1;
            return false;
        };
        if !self.sources.contains_key(source) {
            self.sources.insert(source.to_vec(), Source::default());
        }
        let Some(known) = self.sources.get_mut(source) else { return false };
        known.take(number);
        let delay = usize::try_from(now.saturating_sub(written) / 1000).unwrap_or(LONGEST_DELAY).min(LONGEST_DELAY);
        if self.delays.is_empty() {
            self.delays = vec![0; LONGEST_DELAY + 1];
        }
        self.delays[delay] += 1;
        true
    }

    /// The counts, for whoever generated the lines.
    pub fn figures(&self) -> Value {
        let sources: serde_json::Map<String, Value> =
            self.sources.iter().map(|(name, source)| (String::from_utf8_lossy(name).into_owned(), source.figures())).collect();
        json!({
            "lines": self.lines,
            "foreign": self.foreign,
            "sources": sources,
            "delay_ms": { "p50": self.delay(0.5), "p99": self.delay(0.99), "longest": self.delay(1.0) },
        })
    }

    fn delay(&self, share: f64) -> Option<usize> {
        let all: u64 = self.delays.iter().sum();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let wanted = (all as f64 * share).ceil() as u64;
        let mut so_far = 0;
        self.delays.iter().position(|count| {
            so_far += count;
            *count > 0 && so_far >= wanted
        })
    }
}

impl Source {
    fn take(&mut self, number: u64) {
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(0), 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.duplicates += 1;
            return;
        }
        self.seen[word] |= bit;
        self.came += 1;
        if number < self.next {
            self.late += 1;
        }
        self.next = self.next.max(number + 1);
    }

    /// `holes`: lines before the last one that came which did not.
    fn figures(&self) -> Value {
        json!({ "came": self.came, "next": self.next, "holes": self.next - self.came, "duplicates": self.duplicates, "late": self.late })
    }
}

fn number(word: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        let mut tally = Tally::default();
        for line in ["a 0 1000 x", "a 2 1000 x", "a 2 1000 x", "a 1 1000 x", "a 5 1000 x", "b 0 1000 x", "no number"] {
            tally.take(line.as_bytes(), 8_000);
        }
        let figures = tally.figures();
        let a = json!({ "came": 4, "next": 6, "holes": 2, "duplicates": 1, "late": 1 });
        assert_eq!(figures["sources"]["a"], a);
        assert_eq!((&figures["lines"], &figures["foreign"]), (&json!(7), &json!(1)));
        assert_eq!(figures["delay_ms"], json!({ "p50": 7, "p99": 7, "longest": 7 }));
    }
}
