//! The verdict's way out, in the one order that loses nothing: decide, write it down, leave the evidence, flush the logs, say it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{FailureRecord, Found, Line, StoredVerdict, Told, Transition, Watch, report};
use crate::host::aws::Verdict;
use crate::host::console::{CONSOLE, write_to_console};
use crate::playbook::OnFailure;

/// How long the logs may take before CONTINUE, and before ABANDON, after which they would be gone.
const FLUSH_BEFORE_CONTINUE: Duration = Duration::from_secs(5);
const FLUSH_BEFORE_ABANDON: Duration = Duration::from_secs(20);
/// Of a hook's time, what is kept for saying the verdict; less is left for the logs then, but never nothing.
const TO_SAY_IT: Duration = Duration::from_secs(3);
const SHORTEST_FLUSH: Duration = Duration::from_secs(1);
/// The verdict is said again and again for at least, and at most, this long.
const SHORTEST_REPORT: Duration = Duration::from_mins(2);
const LONGEST_REPORT: Duration = Duration::from_mins(5);

/// Where the failure record goes, and what is flushed before the verdict. The shipper, or nobody.
pub trait LogFlush {
    /// One more line, at this instant in milliseconds since 1970.
    fn line(&self, at: i64, text: String);

    /// Ships what there is, for at most this long. Failing to ship never fails a run.
    fn flush(&self, limit: Duration);
}

/// How the run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run.
    pub run: String,
    /// Why it failed; `None` when the machine is as the playbook wishes.
    pub failure: Option<FailureRecord>,
    /// What the verdict says when it failed.
    pub on_failure: OnFailure,
    /// How long a failed instance is kept before ABANDON.
    pub hold_for: Option<Duration>,
    /// Which of the hook's calls it answers.
    pub transition: Transition,
}

impl Outcome {
    /// What is said.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (&self.failure, self.on_failure) {
            (Some(_), OnFailure::Abandon) => Verdict::Abandon,
            _ => Verdict::Continue,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Conclusion {
    /// What was decided.
    pub verdict: Verdict,
    /// What Auto Scaling said to it.
    pub told: Told,
    /// Whether the service has to stay and watch for the second pass of a warm pool.
    pub second_pass: bool,
}

/// Concludes a boot run. Holds no lock, and is called without one: `hold_for` may take long.
pub fn conclude(watch: &Watch, outcome: &Outcome, logs: &dyn LogFlush, say: &dyn Fn(&str)) -> Conclusion {
    conclude_at(watch, outcome, logs, say, Path::new(CONSOLE))
}

fn conclude_at(watch: &Watch, outcome: &Outcome, logs: &dyn LogFlush, say: &dyn Fn(&str), console: &Path) -> Conclusion {
    let (line, verdict) = (watch.line(), outcome.verdict());
    let mut stored = StoredVerdict::new(line, &outcome.run, outcome.transition, verdict);
    write_down(&stored, line, say);
    if let Some(failure) = &outcome.failure {
        let record = failure.clone().compact();
        logs.line(stored.decided_at, record.line());
        if let Err(error) = write_to_console(console, &record.console_text()) {
            say(&format!("the failure is not on the console: {error}"));
        }
    }
    let found = watch.whom_to_tell(line.now() + SHORTEST_REPORT);
    if let Ok(Found::Hook(hook)) = &found {
        stored = stored.to(hook);
        let held = outcome.hold_for.filter(|_| verdict == Verdict::Abandon);
        if let Some(span) = held {
            stored = stored.held_for(span);
        }
        write_down(&stored, line, say);
        if let Some(span) = held {
            say(&format!("this instance is kept for {} s for debugging before ABANDON", span.as_secs()));
            logs.flush(FLUSH_BEFORE_CONTINUE);
            watch.hold(hook.clone(), line.now() + span);
        }
    }
    say(&format!("decided: {}", verdict.word()));
    logs.flush(flush_for(watch, verdict));
    let told = match found {
        Ok(Found::Hook(hook)) => {
            let told = report(line, &hook, verdict, limit(watch, line.now()));
            watch.stop();
            told
        }
        Ok(Found::Nobody(why)) => Told::Nobody(why),
        Err(error) => Told::NotSent(error),
    };
    stored.settled = told.is_settled();
    write_down(&stored, line, say);
    say(&told.sentence(verdict));
    let second_pass = outcome.transition == Transition::Warming && verdict == Verdict::Continue && told.is_settled();
    Conclusion { verdict, told, second_pass }
}

/// How long the logs may take: a verdict that comes after the hook's time is none.
fn flush_for(watch: &Watch, verdict: Verdict) -> Duration {
    let most = if verdict == Verdict::Abandon { FLUSH_BEFORE_ABANDON } else { FLUSH_BEFORE_CONTINUE };
    match watch.expires().map(|expires| expires.saturating_duration_since(watch.line().now())) {
        Some(left) if !left.is_zero() => most.min(left.saturating_sub(TO_SAY_IT)).max(SHORTEST_FLUSH),
        _ => most,
    }
}

/// How long the report is tried: while the hook waits, within limits.
fn limit(watch: &Watch, now: Instant) -> Instant {
    let expires = watch.expires().unwrap_or(now);
    expires.clamp(now + SHORTEST_REPORT, now + LONGEST_REPORT)
}

fn write_down(stored: &StoredVerdict, line: &Line, say: &dyn Fn(&str)) {
    // Without the record a crash would lose the verdict; not saying it at all would lose it for certain.
    if let Err(error) = stored.write(line) {
        say(&format!("the verdict is not on disk: {error}"));
    }
}

#[cfg(test)]
mod tests;
