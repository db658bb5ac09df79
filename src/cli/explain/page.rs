//! A run explained as a page: one file that asks nobody for anything, and runs no program. The template escapes every text it is given,
//! and the page's own policy lets no script run and nothing be fetched, should one ever get through.

mod axis;
mod parts;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use super::why;
use crate::cli::status::{outcome, when};
use crate::cli::terminal::words::{bytes, seconds, tame};
use crate::engine::event::Failure;
use crate::engine::explanation::{About, Explanation};
use crate::engine::summary::Outcome;
use crate::error::{Error, Kind, Result};
use parts::{Figure, Mark, Named, Row};

/// So much of a digest tells it from any other.
const SHORT: usize = 12;

/// What the template shows.
#[derive(Serialize)]
struct Page {
    /// The style sheet: ours, and the only thing that is not escaped.
    style: &'static str,
    name: String,
    outcome: String,
    tone: &'static str,
    facts: Vec<String>,
    failures: Vec<Evidence>,
    figures: Vec<Figure>,
    sentences: Vec<String>,
    tick: String,
    ticks: Vec<axis::Tick>,
    marks: Vec<Mark>,
    rows: Vec<Row>,
    said: Vec<Line>,
}

/// A failure with what is known of it.
#[derive(Serialize)]
struct Evidence {
    title: String,
    parts: Vec<Named>,
    last_lines: String,
    hint: Option<String>,
}

/// Something that was said of the run.
#[derive(Serialize)]
struct Line {
    at: String,
    about: About,
    word: &'static str,
    text: String,
}

/// Draws the page.
///
/// # Errors
/// `Bug` when the template does not fit what it is given.
pub fn draw(run: &Explanation, under_way: Option<&str>) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let drawn = environment
        .template_from_str(include_str!("page.html"))
        .and_then(|template| template.render(Value::from(Serde(&page(run, under_way)))));
    drawn.map_err(|error| Error::from_source(Kind::Bug, &error).doing("drawing the page"))
}

fn page(run: &Explanation, under_way: Option<&str>) -> Page {
    let summary = &run.summary;
    let scale = axis::Scale::new(run.end);
    Page {
        style: include_str!("page.css"),
        name: tame(summary.playbook.as_deref().unwrap_or("a run")),
        outcome: tame(&outcome(summary, under_way)),
        tone: match summary.outcome {
            Outcome::Converged => "good",
            Outcome::Drifted => "change",
            Outcome::CutShort { because: None } if under_way.is_some() => "unknown",
            Outcome::Failed | Outcome::Interrupted { .. } | Outcome::CutShort { .. } => "bad",
        },
        facts: facts(run),
        failures: failures(run),
        figures: figures(run),
        sentences: why::sentences(run).iter().map(|sentence| sentence_case(&tame(sentence))).collect(),
        tick: scale.tick(),
        ticks: scale.ticks(),
        marks: run.said.iter().map(|said| Mark::of_run(said, &scale)).collect(),
        rows: Row::all(run, &scale),
        said: run.said.iter().filter(|said| said.about != About::Heartbeat).map(line).collect(),
    }
}

/// A sentence of its own begins with a capital.
fn sentence_case(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

fn facts(run: &Explanation) -> Vec<String> {
    let summary = &run.summary;
    let digest = |name: &str, digest: &Option<String>| {
        let short: String = digest.iter().flat_map(|digest| digest.chars().take(SHORT)).collect();
        if short.is_empty() { None } else { Some(format!("{name} {short}")) }
    };
    let only = summary.only.join(", ");
    let facts = [
        Some(format!("{} run", summary.trigger.as_deref().unwrap_or("a"))),
        run.dry_run.then(|| "nothing was written".to_owned()),
        (!only.is_empty()).then(|| format!("only {only}, with what it takes")),
        Some(when(summary.started)),
        run.instance.clone(),
        Some(format!("run {}", summary.run)).filter(|_| !summary.run.is_empty()),
        run.agent.as_ref().map(|agent| format!("agent {agent}")),
        digest("playbook", &summary.playbook_digest),
        digest("binary", &summary.binary_digest),
    ];
    facts.into_iter().flatten().map(|fact| tame(&fact)).collect()
}

fn failures(run: &Explanation) -> Vec<Evidence> {
    let whole = run.summary.failure.iter().map(|failure| evidence("The run did not come to its steps", failure));
    let steps = run.failed().map(|(lane, failure)| {
        let kind = if lane.kind.is_empty() { String::new() } else { format!(" ({})", lane.kind) };
        evidence(&format!("Step {} {}{kind} is not done", lane.step, lane.label), failure)
    });
    whole.chain(steps).collect()
}

fn evidence(title: &str, failure: &Failure) -> Evidence {
    let where_it_stands = failure.place.iter().map(|place| Named::new("where", place));
    let doing = failure.doing.iter().map(|doing| Named::new("while", doing));
    let because = failure.because.iter().map(|because| Named::new("because", because));
    Evidence {
        title: tame(title),
        parts: where_it_stands.chain(doing).chain(because).collect(),
        last_lines: failure.last_lines.iter().map(|line| tame(line)).collect::<Vec<_>>().join("\n"),
        hint: failure.hint.as_deref().map(tame),
    }
}

fn figures(run: &Explanation) -> Vec<Figure> {
    let summary = &run.summary;
    let path = &summary.critical_path;
    let share = |part: u64| Some(why::percent(part.min(summary.milliseconds), summary.milliseconds));
    let locks: u64 = run.timeline.iter().map(|lane| lane.timing.locks).sum();
    let retries: usize = run.timeline.iter().map(crate::engine::explanation::Lane::retries).sum();
    let mut figures = vec![
        Figure::new("took", seconds(summary.milliseconds), None),
        Figure::new("on the critical path", seconds(path.milliseconds), share(path.milliseconds)),
        Figure::new("of it our own work", seconds(path.own_milliseconds), share(path.own_milliseconds)),
        Figure::new("waited for locks", if locks == 0 { "–".to_owned() } else { seconds(locks) }, None),
        Figure::new("tried again", retries.to_string(), None),
    ];
    if let Some(moved) = run.moved {
        figures.push(Figure::new("machine received", bytes(moved.received), None));
        figures.push(Figure::new("read from disk", bytes(moved.read), None));
        figures.push(Figure::new("written to disk", bytes(moved.written), None));
    }
    figures
}

fn line(said: &crate::engine::explanation::Said) -> Line {
    let word = match said.about {
        About::Lifecycle => "lifecycle",
        About::Failure => "failure",
        _ => "note",
    };
    Line { at: format!("+{}", seconds(said.at)), about: said.about, word, text: tame(&said.text) }
}

#[cfg(test)]
mod tests;
