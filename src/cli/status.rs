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
use crate::host::rollback::{Record, short};
use crate::host::state::StateFolder;
use crate::logs::figures::report;

/// Show the last run: what happened, how long each step took, what held it up
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo agent status --json\n\n\
                        With --json: one object with `run`, `trigger`, `playbook`, `started` (milliseconds since 1970), `milliseconds`,\n\
                        `only` (the steps that were asked for, where it was not the whole playbook),\n\
                        `outcome.is` (converged, failed, drifted, interrupted, cut_short), `steps`, `critical_path`, `failure`,\n\
                        `drift` (what a timer run found changed: `step`, `label`, `change`, `repaired`),\n\
                        `lifecycle` (what the hook was told), `notices`, `under_way` (who runs now, or null),\n\
                        `held_back` (revisions that failed their health: `path`, `commit`, `at`, `because`, `stays_on`),\n\
                        `logs` (how shipping stands, or null)\n\n\
                        Exit codes: 0 the last run converged, or one is under way; 1 it did not, or there was none, or a revision is held back")]
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
    /// Revisions that failed and are not deployed: the machine differs from what the playbook means.
    held_back: Vec<HeldBack>,
    /// How shipping the logs stands; null where nobody ships.
    logs: Option<report::Status>,
    /// The newest run.
    #[serde(flatten)]
    summary: Summary,
}

/// A revision that failed.
#[derive(Serialize)]
struct HeldBack {
    /// The directory that holds the releases.
    path: PathBuf,
    /// The commit.
    commit: String,
    /// When it failed, in milliseconds since 1970.
    at: i64,
    /// Why.
    because: String,
    /// The last healthy release; null where there is none yet.
    stays_on: Option<String>,
}

impl HeldBack {
    /// Those that are recorded, the one that failed last at the end.
    fn read(state: &StateFolder) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for (path, standing) in Record::read(state)?.places {
            let stays_on = standing.healthy.map(|healthy| healthy.commit);
            all.extend(standing.failed.into_iter().map(|(commit, failed)| Self {
                path: path.clone(),
                commit,
                at: failed.at,
                because: failed.because,
                stays_on: stays_on.clone(),
            }));
        }
        all.sort_by_key(|held| held.at);
        Ok(all)
    }
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
        held_back: HeldBack::read(&state)?,
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
    let ended_well = match status.summary.outcome {
        Outcome::Converged => true,
        Outcome::CutShort { because: None } => status.under_way.is_some(),
        _ => false,
    };
    ended_well && status.held_back.is_empty()
}

fn draw(status: &Status) -> String {
    let summary = &status.summary;
    let mut text = format!("{}: {}\n", title(summary), outcome(summary, status.under_way.as_deref()));
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
    for drift in &summary.drift {
        let done = if drift.repaired { "repaired" } else { "left as it is" };
        let _ = writeln!(text, "drift: {} ({done}): {}", drift.label, drift.change);
    }
    status.held_back.iter().for_each(|held| text += &drifted(held));
    text += &status.logs.as_ref().map(shipped).unwrap_or_default();
    for said in &summary.lifecycle {
        let _ = writeln!(text, "lifecycle: {said}");
    }
    for notice in &summary.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    text
}

/// What keeps a revision away, in a line.
fn drifted(held: &HeldBack) -> String {
    let stays = held.stays_on.as_ref().map(|commit| format!(" stays on `{}`:", short(commit))).unwrap_or_default();
    let (path, commit) = (held.path.display(), short(&held.commit));
    format!("drift: `{path}`{stays} revision `{commit}` failed at {}: {}\n", when(Some(held.at)), held.because)
}

/// Which run it is.
pub(super) fn title(summary: &Summary) -> String {
    let only = summary.only.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>();
    let part = if only.is_empty() { String::new() } else { format!(", only {} of it", only.join(" and ")) };
    format!(
        "{} run of {}, playbook `{}`{part}",
        summary.trigger.as_deref().unwrap_or("a"),
        when(summary.started),
        summary.playbook.as_deref().unwrap_or("unknown")
    )
}

/// An instant, for a person.
pub(super) fn when(at: Option<i64>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or("unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
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

/// How it went.
pub(super) fn outcome(summary: &Summary, under_way: Option<&str>) -> String {
    let took = seconds(summary.milliseconds);
    match (&summary.outcome, under_way) {
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
        let status = Status { under_way: None, held_back: Vec::new(), logs: None, summary: Summary::of(&record) };
        assert!(!is_well(&status));
        let text = draw(&status);
        assert!(text.contains("2023-11-14 22:13:20 UTC"), "{text}");
        assert!(text.contains("cut short; the next run finishes its work"), "{text}");
        assert!(text.contains("1 code  failed          2.0 s  (check 0.2 s, apply 1.8 s)\n       no such branch"), "{text}");
        assert!(text.contains("critical path: step 1, 2.0 s"), "{text}");
        assert!(text.contains("lifecycle: told Auto Scaling to ABANDON\n"), "{text}");
    }

    #[test]
    fn a_revision_that_is_held_back_is_drift() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        let healthy = serde_json::json!({ "commit": "a".repeat(40) });
        let failed = |at: i64| serde_json::json!({ "at": at, "because": "refused" });
        let failed = serde_json::json!({ "b".repeat(40): failed(1_700_000_001_000), "c".repeat(40): failed(1_700_000_000_000) });
        let record = serde_json::json!({ "version": 1, "places": { "/srv/app": { "healthy": healthy, "failed": failed } } });
        state.write("releases.json", record.to_string().as_bytes()).unwrap();
        let held = HeldBack::read(&state).unwrap();
        let drift = "drift: `/srv/app` stays on `aaaaaaaaaa`: revision `bbbbbbbbbb` failed at 2023-11-14 22:13:21 UTC: refused\n";
        assert_eq!(held.iter().map(drifted).next_back().as_deref(), Some(drift));
        let record = Record { header: Header::new("r", None, "b", String::new()), events: Vec::new() };
        let summary = Summary { outcome: Outcome::Converged, ..Summary::of(&record) };
        assert!(!is_well(&Status { under_way: None, held_back: held, logs: None, summary }));
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
            is_well(&Status { under_way: under_way.map(str::to_owned), held_back: Vec::new(), logs: None, summary })
        };
        assert!(status(Outcome::Converged, None));
        assert!(status(Outcome::CutShort { because: None }, Some("process 7")));
        assert!(!status(Outcome::CutShort { because: None }, None));
        assert!(!status(Outcome::Failed, None));
        assert!(!status(Outcome::Drifted, None));
    }
}
