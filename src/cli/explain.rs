//! `agent explain`: what a run did and why it took so long, as text, as JSON, and as a page that needs nothing but itself.

mod page;
mod text;
mod why;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::status::{outcome, when};
use super::terminal::words::seconds;
use super::{STATE, terminal};
use crate::engine::explanation::Explanation;
use crate::engine::record::{self, Record};
use crate::engine::summary::Summary;
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::private_file;
use crate::host::state::StateFolder;

/// So many runs are named where a prefix fits several.
const MOST_NAMED: usize = 5;

/// Explain a run: what it did, and why it took so long
///
/// The critical path, what waited for locks, what was tried again, how much the machine moved, and what of all this was the agent's own
/// work. Of the last run, unless told; the records of the last 20 runs are kept.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sudo agent explain\n  \
    sudo agent explain --list\n  \
    sudo agent explain 20260801T0912 --json\n  \
    sudo agent explain --html run.html\n  \
    agent explain --events dry-run.jsonl\n\n\
    A dry-run leaves no record: keep what `agent run --dry-run --json` prints, and give it with --events.\n\n\
    The page of --html is one file that asks nobody for anything: it can be mailed, kept and printed. It is its owner's alone (0600);\n\
    `sudo agent explain --html - > run.html` makes it yours.\n\n\
    With --json: what `agent status --json` says of the run, and `timeline` (each step: `ready`, `began`, `ended` in milliseconds since\n\
    the run began, `timing`, `own`, `critical`, `moved`, `said`, `changes`), `said`, `moved` (bytes that the machine moved, by whomever:\n\
    `received`, `sent`, `read`, `written`), `end`, `clock_was_set`\n\n\
    Exit codes: 0 it is explained, however it went; 1 no run is recorded; 2 there is no such run, or there are several")]
pub struct Arguments {
    /// The run: its id, or enough of its beginning [default: the last one]
    run: Option<String>,
    /// List the runs that are recorded
    #[arg(long, conflicts_with_all = ["run", "json", "html", "events"])]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a page with a timeline for a browser (`-`: to standard output)
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Explain what `agent run --json` printed into this file (`-`: standard input), not a record
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    events: Option<PathBuf>,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(file) = &arguments.events {
        return show(&kept(file)?, None, arguments);
    }
    let state = StateFolder::new(&arguments.state_dir);
    let records = record::all(&state).map_err(|error| match error.kind() {
        Kind::Denied => error.hint("the records are root's: `sudo agent explain`"),
        _ => error,
    })?;
    let Some(newest) = records.last() else {
        terminal::complain(&format!("no run is recorded in `{}`\n", arguments.state_dir.display()));
        return Ok(ExitCode::FAILURE);
    };
    let holder = state.run_lock_holder().filter(|_| !newest.is_finished()).map(|holder| holder.words);
    if arguments.list {
        terminal::print(&list(&records, holder.as_deref()));
        return Ok(ExitCode::SUCCESS);
    }
    let record = arguments.run.as_ref().map_or(Ok(newest), |wanted| find(&records, wanted))?;
    let is_newest = record.header.run == newest.header.run;
    show(record, holder.as_deref().filter(|_| is_newest), arguments)
}

/// Explains this record in the form that was asked for.
fn show(record: &Record, under_way: Option<&str>, arguments: &Arguments) -> Result<ExitCode> {
    let explanation = Explanation::of(record, under_way.map(|_| jiff::Timestamp::now().as_millisecond()));
    let text = if let Some(file) = &arguments.html {
        let page = page::draw(&explanation, under_way)?;
        if file.as_os_str() != "-" {
            private_file::write(file, page.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        page
    } else if arguments.json {
        let json = serde_json::to_string_pretty(&explanation);
        json.map_err(|error| Error::from_source(Kind::Bug, &error))? + "\n"
    } else {
        text::draw(&explanation, under_way, terminal::style())
    };
    terminal::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// The events that somebody kept in a file.
fn kept(file: &Path) -> Result<Record> {
    let mut content = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut content).doing(|| "reading standard input".to_owned())?;
    } else {
        content = std::fs::read(file).doing(|| format!("reading `{}`", file.display()))?;
    }
    Record::of_events(&content).ok_or_else(|| {
        Error::new(Kind::Usage, format!("`{}` holds no events of a run", file.display()))
            .hint("give it what `agent run --json` prints on standard output")
    })
}

/// The run with this id, or the only one whose id begins so.
fn find<'r>(records: &'r [Record], wanted: &str) -> Result<&'r Record> {
    let fits: Vec<&Record> = records.iter().filter(|record| record.header.run.starts_with(wanted)).collect();
    let exact = fits.iter().find(|record| record.header.run == wanted);
    match (exact, fits.as_slice()) {
        (Some(record), _) | (None, [record]) => Ok(record),
        (None, []) => {
            Err(Error::new(Kind::Usage, format!("no run `{wanted}` is recorded"))
                .hint("`agent explain --list` shows those that are"))
        }
        (None, several) => {
            let named: Vec<String> =
                several.iter().rev().take(MOST_NAMED).map(|record| format!("`{}`", record.header.run)).collect();
            let more = if several.len() > MOST_NAMED { " and others" } else { "" };
            Err(Error::new(Kind::Usage, format!("`{wanted}` begins the ids of {} runs", several.len()))
                .hint(format!("one of {}{more}", named.join(", "))))
        }
    }
}

/// A line for each run, the newest last.
fn list(records: &[Record], under_way: Option<&str>) -> String {
    let newest = records.len().saturating_sub(1);
    let line = |(index, record): (usize, &Record)| {
        let summary = Summary::of(record);
        let (trigger, playbook) = (summary.trigger.as_deref().unwrap_or("?"), summary.playbook.as_deref().unwrap_or("unknown"));
        let went = outcome(&summary, under_way.filter(|_| index == newest));
        let steps = summary.steps.len();
        let took = seconds(summary.milliseconds);
        let (run, at) = (&summary.run, when(summary.started));
        terminal::words::tame(&format!("{run}  {at}  {trigger:<6} {took:>8}  {steps:>3} steps  `{playbook}`: {went}")) + "\n"
    };
    records.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Header;

    fn records(ids: &[&str]) -> Vec<Record> {
        let record = |id: &&str| Record { header: Header::new(id, None, "b", String::new()), events: Vec::new() };
        ids.iter().map(record).collect()
    }

    #[test]
    fn a_run_is_named_by_enough_of_its_id() {
        let records = records(&["20260801T1-a", "20260801T2-b", "20260801T2"]);
        let found =
            |wanted: &str| find(&records, wanted).map(|record| record.header.run.clone()).map_err(|error| error.to_string());
        assert_eq!(found("20260801T1").as_deref(), Ok("20260801T1-a"));
        assert_eq!(found("20260801T2").as_deref(), Ok("20260801T2"), "what is whole is meant");
        assert_eq!(found("20260801").unwrap_err(), "`20260801` begins the ids of 3 runs");
        assert_eq!(found("2027").unwrap_err(), "no run `2027` is recorded");
        let error = find(&records, "2026").unwrap_err();
        assert_eq!((error.kind(), error.advice()), (Kind::Usage, Some("one of `20260801T2`, `20260801T2-b`, `20260801T1-a`")));
    }

    #[test]
    fn every_run_is_listed_even_one_of_which_nothing_is_known() {
        let text = list(&records(&["one", "two"]), Some("process 7"));
        assert!(text.contains("one  unknown  ?"), "{text}");
        assert!(text.lines().next().is_some_and(|line| line.ends_with("cut short; the next run finishes its work")), "{text}");
        assert!(text.ends_with("`unknown`: under way (process 7)\n"), "{text}");
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events");
        std::fs::write(&file, "hello\n").unwrap();
        let error = kept(&file).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().ends_with("holds no events of a run"), "{error}");
        assert!(kept(&folder.path().join("absent")).is_err());
    }
}
