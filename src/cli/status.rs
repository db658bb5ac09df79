//! `agent status`: the last run, how long each step took, and what held it up.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::terminal::words::{ending, seconds};
use super::{STATE, terminal};
use crate::engine::summary::{Outcome, StepSummary, Summary};
use crate::engine::{record, shipping};
use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;
use crate::logs::figures::report;

/// Show the last run: what happened, how long each step took, what held it up
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo agent status --json\n\n\
                        With --json: one object with `run`, `trigger`, `playbook`, `started` (milliseconds since 1970), `milliseconds`,\n\
                        `outcome.is` (converged, failed, drifted, interrupted, cut_short), `steps`, `critical_path`, `failure`,\n\
                        `lifecycle` (what the hook was told), `notices`, `under_way` (who runs now, or null),\n\
                        `logs` (how shipping stands, or null)\n\n\
                        Exit codes: 0 the last run converged, or one is under way; 1 it did not, or there was none")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
}

/// What there is to say.
#[derive(Serialize)]
struct Status {
    /// Who runs now.
    under_way: Option<String>,
    /// How shipping the logs stands; null where nobody ships.
    logs: Option<report::Status>,
    /// The newest run.
    #[serde(flatten)]
    summary: Summary,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let state = StateFolder::new(&arguments.state_dir);
    let newest = record::newest(&state).map_err(|error| match error.kind() {
        Kind::Denied => error.hint("the records are root's: `sudo agent status`"),
        _ => error,
    })?;
    let Some(newest) = newest else {
        terminal::complain(&format!("no run is recorded in `{}`\n", arguments.state_dir.display()));
        return Ok(ExitCode::FAILURE);
    };
    let status = Status {
        under_way: state.run_lock_holder().map(|holder| holder.words),
        logs: report::Status::read(&StateFolder::new(arguments.state_dir.join(shipping::FOLDER)))?,
        summary: Summary::of(&newest),
    };
    let text = if arguments.json {
        let json = serde_json::to_string_pretty(&status);
        json.map_err(|error| Error::from_source(Kind::Bug, &error))? + "\n"
    } else {
        draw(&status)
    };
    terminal::print(&text);
    Ok(if is_well(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether whoever asks can leave it at that.
fn is_well(status: &Status) -> bool {
    match status.summary.outcome {
        Outcome::Converged => true,
        Outcome::CutShort { because: None } => status.under_way.is_some(),
        _ => false,
    }
}

fn draw(status: &Status) -> String {
    let summary = &status.summary;
    let when = summary.started.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let when = when.map_or("unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let mut text = format!(
        "{} run of {when}, playbook `{}`: {}\n",
        summary.trigger.as_deref().unwrap_or("a"),
        summary.playbook.as_deref().unwrap_or("unknown"),
        outcome(status)
    );
    if let Some(failure) = &summary.failure {
        let _ = writeln!(text, "  it did not come to its steps: {}", failure.because.join(": "));
    }
    let width = summary.steps.iter().map(|step| step.label.chars().count()).max().unwrap_or(0).min(40);
    let mut steps: Vec<&StepSummary> = summary.steps.iter().collect();
    steps.sort_by_key(|step| step.step);
    for step in steps {
        text += &line(step, width);
    }
    let path = &summary.critical_path;
    if !path.steps.is_empty() {
        let steps = path.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ");
        let _ = writeln!(
            text,
            "critical path: step {steps}, {} (the agent's own work on it: {:.1} % of the run)",
            seconds(path.milliseconds),
            path.own_share * 100.0
        );
    }
    text += &status.logs.as_ref().map(shipped).unwrap_or_default();
    for said in &summary.lifecycle {
        let _ = writeln!(text, "lifecycle: {said}");
    }
    for notice in &summary.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    text
}

/// How shipping stands, in a line.
fn shipped(logs: &report::Status) -> String {
    let behind = match (logs.gauges.backlog_bytes, logs.gauges.oldest_unshipped_seconds) {
        (0, _) => "all of it has arrived".to_owned(),
        (bytes, age) => format!("{bytes} bytes have not arrived, the oldest for {age} s"),
    };
    let trouble = logs.trouble.as_ref().map(|trouble| format!("; {trouble}")).unwrap_or_default();
    format!("logs: {behind}{trouble}\n")
}

fn outcome(status: &Status) -> String {
    let took = seconds(status.summary.milliseconds);
    match (&status.summary.outcome, &status.under_way) {
        (Outcome::CutShort { because: None }, Some(who)) => format!("under way ({who})"),
        (Outcome::CutShort { because: None }, None) => "cut short; the next run finishes its work".to_owned(),
        (Outcome::CutShort { because: Some(why) }, _) => format!("cut short: {why}"),
        (Outcome::Converged, _) => format!("converged in {took}"),
        (Outcome::Failed, _) => format!("failed after {took}"),
        (Outcome::Drifted, _) => format!("the machine differs from the playbook (seen in {took})"),
        (Outcome::Interrupted { by }, _) => format!("interrupted by {by} after {took}"),
    }
}

fn line(step: &StepSummary, width: usize) -> String {
    let timing = step.timing;
    let parts = [("lock", timing.locks), ("check", timing.check), ("apply", timing.apply), ("re-check", timing.recheck)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, ms)| *ms >= 100).map(|(name, ms)| format!("{name} {}", seconds(*ms))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!("  ({})", parts.join(", ")) };
    let why = step.reason.as_ref().map(|reason| format!("\n       {}", reason.because.join(": "))).unwrap_or_default();
    let ended = step.ending.map_or("did not end", ending);
    format!("  {:>3} {:width$}  {ended:<12} {:>8}{parts}{why}\n", step.step, step.label, seconds(step.milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Ending, Event, Failure, Stamped, Timing};
    use crate::engine::record::{Header, Record};

    #[test]
    fn the_last_run_is_told_with_what_held_it_up() {
        let timing = Timing { check: 200, apply: 1800, waited: 1900, ..Timing::default() };
        let (label, kind) = ("code".to_owned(), "git".to_owned());
        let events = [
            Event::Lifecycle { text: "told Auto Scaling to ABANDON".into() },
            Event::StepStarted { step: 1, label: label.clone(), kind, after: None },
            Event::StepFinished {
                step: 1,
                label,
                ending: Ending::Failed,
                changes: 0,
                milliseconds: 2000,
                timing,
                reason: Some(Failure::because("no such branch")),
                tentative: None,
            },
        ];
        let header = Header::new("r", None, "b", String::new());
        let stamped = |event| Stamped { at: 1_700_000_000_000, event };
        let record = Record { header, events: events.into_iter().map(stamped).collect() };
        let status = Status { under_way: None, logs: None, summary: Summary::of(&record) };
        assert!(!is_well(&status));
        let text = draw(&status);
        assert!(text.contains("2023-11-14 22:13:20 UTC"), "{text}");
        assert!(text.contains("cut short; the next run finishes its work"), "{text}");
        assert!(text.contains("1 code  failed          2.0 s  (check 0.2 s, apply 1.8 s)\n       no such branch"), "{text}");
        assert!(text.contains("critical path: step 1, 2.0 s"), "{text}");
        assert!(text.contains("lifecycle: told Auto Scaling to ABANDON\n"), "{text}");
    }

    #[test]
    fn how_shipping_stands_is_one_line() {
        let figures = crate::logs::figures::Figures::default();
        let gauges = report::Gauges::default();
        assert_eq!(shipped(&report::Status::new(0, &figures, &gauges, None)), "logs: all of it has arrived\n");
        let gauges = report::Gauges { backlog_bytes: 70, oldest_unshipped_seconds: 9, ..gauges };
        let status = report::Status::new(0, &figures, &gauges, Some("access is denied".to_owned()));
        assert_eq!(shipped(&status), "logs: 70 bytes have not arrived, the oldest for 9 s; access is denied\n");
    }

    #[test]
    fn only_a_run_that_converged_or_is_under_way_is_well() {
        let status = |outcome, under_way: Option<&str>| {
            let record = Record { header: Header::new("r", None, "b", String::new()), events: Vec::new() };
            let summary = Summary { outcome, ..Summary::of(&record) };
            is_well(&Status { under_way: under_way.map(str::to_owned), logs: None, summary })
        };
        assert!(status(Outcome::Converged, None));
        assert!(status(Outcome::CutShort { because: None }, Some("process 7")));
        assert!(!status(Outcome::CutShort { because: None }, None));
        assert!(!status(Outcome::Failed, None));
        assert!(!status(Outcome::Drifted, None));
    }
}
