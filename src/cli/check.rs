//! `agent check`: everything that is wrong with a playbook, before any machine is touched.

use std::io::Write;

use serde_json::json;

use super::overrides::OverrideArguments;
use crate::engine::graph::Graph;
use crate::error::Result;
use crate::playbook::{Location, Playbook, Problem, Problems, Scope};

/// Checks a playbook: all problems at once, each with its place.
///
/// Asks nobody and changes nothing: no AWS, no network but for fetching the playbook itself.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  agent check playbooks/background-removal.yaml\n  \
                        agent check --order --set environment=dev playbooks/background-removal.yaml\n\n\
                        Exit codes: 0 in order (warnings are no problems), 2 problems found")]
pub struct CheckArguments {
    /// A file, a folder with `playbook.yaml` or its `.tar.gz`, `s3://…`, `ssm:…`, `https://…#sha256=…` or `user-data`
    playbook: Location,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// Also show the resolved order: which step waits for which, and why
    #[arg(long)]
    order: bool,
    /// Problems, warnings and order as JSON lines on stdout
    #[arg(long)]
    json: bool,
}

impl CheckArguments {
    /// Writes data to `out` and everything else to `err`; gives the exit code.
    ///
    /// # Errors
    /// When one of the two does not take it.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<u8> {
        let playbook = match Playbook::load(&self.playbook, &self.overrides.overrides()) {
            Ok(playbook) => playbook,
            Err(Problems(problems)) => return self.refuse(&problems, out, err),
        };
        let scope = Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), ..Scope::default() };
        let graph = match self.order.then(|| order(&playbook, &scope)).transpose() {
            Ok(graph) => graph,
            Err(error) => return self.refuse(&[Problem::nowhere(error.to_string())], out, err),
        };
        for warning in &playbook.warnings {
            self.report("warning", warning, out, err)?;
        }
        for line in graph.iter().flatten() {
            if self.json {
                writeln!(out, "{}", line.json)?;
            } else {
                write!(out, "{}", line.text)?;
            }
        }
        let count = playbook.entries.len();
        writeln!(err, "{} is in order: {count} {}", playbook.label, if count == 1 { "step" } else { "steps" })?;
        Ok(0)
    }

    fn refuse(&self, problems: &[Problem], out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<u8> {
        for problem in problems {
            self.report("error", problem, out, err)?;
        }
        writeln!(err, "{} {}", problems.len(), if problems.len() == 1 { "problem" } else { "problems" })?;
        Ok(2)
    }

    fn report(&self, severity: &str, problem: &Problem, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<()> {
        if !self.json {
            return writeln!(err, "{}", problem.draw(severity));
        }
        let place = problem.position.as_ref();
        let line = json!({
            "severity": severity,
            "file": place.map(|at| at.file.to_string()),
            "line": place.map(|at| at.line),
            "column": place.map(|at| at.column),
            "message": problem.message,
            "hint": problem.hint,
        });
        writeln!(out, "{line}")
    }
}

/// A step of the order, for people and for programs.
struct Line {
    text: String,
    json: serde_json::Value,
}

fn order(playbook: &Playbook, scope: &Scope) -> Result<Vec<Line>> {
    let graph = Graph::of_entries(&playbook.entries, scope)?;
    let mut lines = Vec::new();
    for (index, entry) in playbook.entries.iter().enumerate() {
        let kind = entry.step_type.kind;
        // A step without a name is called by its type already.
        let of_type = if entry.label.starts_with(kind) { String::new() } else { format!(" ({kind})") };
        let mut text = format!("{:>3}  {}{of_type}\n", entry.number, entry.label);
        let mut after = Vec::new();
        for edge in graph.essential_edges(index) {
            let why: Vec<String> = edge.reasons.iter().map(ToString::to_string).collect();
            let other = playbook.entries.get(edge.from);
            let (number, label) = other.map_or((edge.from + 1, ""), |other| (other.number, other.label.as_str()));
            text = format!("{text}       after {number}  {label}: {}\n", why.join("; "));
            after.push(json!({ "step": number, "because": why }));
        }
        if after.is_empty() {
            text += "       starts at once\n";
        }
        let json = json!({ "step": entry.number, "label": entry.label, "type": kind, "after": after });
        lines.push(Line { text, json });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, order: bool, json: bool) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        std::fs::write(&path, text).unwrap();
        let arguments = CheckArguments { playbook: Location::Path(path), overrides: OverrideArguments::default(), order, json };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = arguments.run(&mut out, &mut err).unwrap();
        let clean = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", folder.path().display()), "");
        (code, clean(out), clean(err))
    }

    #[test]
    fn problems_are_drawn_on_stderr_and_end_with_2() {
        let (code, out, err) = run("version: 1\nstpes: []\non_failure: stop\n", false, false);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(
            err.contains(
                "error: p.yaml:2:1: unknown key `stpes`\n   |\n 2 | stpes: []\n   | ^\n   hint: did you mean `steps`?\n"
            ),
            "{err}"
        );
        assert!(err.contains("error: p.yaml:3:13: `stop` is not one of `abandon`, `continue`"), "{err}");
        assert!(err.ends_with("3 problems\n"), "{err}");
    }

    #[test]
    fn as_json_they_are_lines_on_stdout() {
        let (code, out, _) = run("version: 1\nstpes: []\nsteps: []\n", false, true);
        let line: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
        assert_eq!((code, &line["line"], &line["hint"]), (2, &json!(2), &json!("did you mean `steps`?")));
    }

    #[test]
    fn a_playbook_in_order_ends_with_0() {
        let (code, out, err) = run("version: 1\nsteps: []\n", true, false);
        assert_eq!((code, out.as_str(), err.as_str()), (0, "", "p.yaml is in order: 0 steps\n"));
    }
}
