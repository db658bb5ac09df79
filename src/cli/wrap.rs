//! `agent wrap -- SCRIPT`: the first step away from a script that somebody already has. The script stays as it is; it becomes the one
//! step of a playbook, so that heartbeats, verdict, logs and failure evidence are those of any other run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::json::JsonLines;
use super::run::carry_out_and_show;
use super::{STATE, terminal};
use crate::engine::event::Listener;
use crate::engine::options::{RunOptions, Trigger};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::state::StateFolder;
use crate::playbook::{Location, OnFailure, Overrides, literal};
use crate::step::fields::Span;

/// The playbook that is made, in the state folder.
const RECORD: &str = "wrap.yaml";

/// Run a script that you already have, and keep the hook waiting, answer it, ship the output, and leave evidence of a failure
///
/// The script runs with the environment and in the folder that this command has. Its exit code decides the verdict.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo agent wrap -- ./ansible.sh\n  \
    sudo agent wrap --group IaC-Prod --hook lifecycle-hook --timeout 450s --logs /aws/ec2/ansible -- bash -x bootstrap.sh prod\n\n\
    Exit codes: 0 the script ended with 0; 1 it did not; 2 the command line is wrong; 3 another run is under way.")]
pub struct Arguments {
    /// The Auto Scaling group [default: looked up]
    #[arg(long)]
    group: Option<String>,
    /// The launch hook [default: looked up]
    #[arg(long)]
    hook: Option<String>,
    /// The hook's heartbeat timeout [default: looked up]
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
    /// How long the script may take: the hook is kept waiting until then
    #[arg(long, value_name = "SPAN", default_value = "30m")]
    deadline: Span,
    /// Keep a failed instance for so long before it is given up
    #[arg(long, value_name = "SPAN")]
    hold_for: Option<Span>,
    /// What a failure means: `abandon` or `continue`
    #[arg(long, value_name = "VERDICT", default_value = "abandon", value_parser = on_failure)]
    on_failure: OnFailure,
    /// Ship the output to this log group
    #[arg(long, value_name = "GROUP")]
    logs: Option<String>,
    /// Ship this file too; may be given more than once
    #[arg(long, value_name = "FILE", requires = "logs")]
    log_file: Vec<String>,
    /// Print events as JSON lines
    #[arg(long)]
    json: bool,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
    /// The script and its arguments
    #[arg(last = true, required = true, value_name = "SCRIPT")]
    script: Vec<String>,
}

fn on_failure(text: &str) -> Result<OnFailure, String> {
    serde_json::from_value(json!(text)).map_err(|_| format!("`{text}` is neither `abandon` nor `continue`"))
}

/// Runs it as a boot run does, and gives its exit code.
///
/// # Errors
/// When the playbook cannot be written down, or another run is under way.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = std::env::current_dir().doing(|| "finding out where we are".to_owned())?;
    // What is no text is no variable that a playbook could hold.
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let playbook = playbook(arguments, &folder.display().to_string(), environment);
    let text = serde_json::to_string_pretty(&playbook).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    // Root's alone: an environment may hold what is nobody else's business.
    StateFolder::new(&arguments.state_dir).write(RECORD, text.as_bytes())?;
    let options = RunOptions {
        location: Location::Path(arguments.state_dir.join(RECORD)),
        overrides: Overrides::default(),
        only: Vec::new(),
        dry_run: false,
        online: false,
        run_guards: false,
        trigger: Trigger::Boot,
        state: arguments.state_dir.clone(),
        facts: None,
        secrets_from: None,
        retry_revision: false,
    };
    let listener: Arc<dyn Listener> = if arguments.json { Arc::new(JsonLines) } else { terminal::listener(false, true) };
    carry_out_and_show(&options, listener)
}

/// The script as a playbook of one step.
fn playbook(arguments: &Arguments, folder: &str, environment: impl Iterator<Item = (String, String)>) -> Value {
    let span = |span: &Option<Span>| span.map(|span| span.to_string());
    let environment: Map<String, Value> = environment.map(|(name, value)| (name, value.into())).collect();
    // A step's name is text, never an expression.
    let name = arguments.script.first().filter(|name| !name.contains("{{")).and_then(|name| name.rsplit('/').next());
    let step = json!({
        "id": "script",
        "name": name,
        "command": { "argv": arguments.script, "always": true, "directory": folder, "env": environment },
    });
    let logs = arguments.logs.as_ref().map(|group| {
        let sources: Vec<Value> = arguments.log_file.iter().map(|file| json!({ "file": file })).collect();
        json!({ "group": group, "sources": sources })
    });
    literal(json!({
        "version": 1,
        "name": "wrap",
        "lifecycle": { "group": arguments.group, "hook": arguments.hook, "timeout": span(&arguments.timeout) },
        "on_failure": if arguments.on_failure == OnFailure::Continue { "continue" } else { "abandon" },
        "deadline": arguments.deadline.to_string(),
        "hold_for": span(&arguments.hold_for),
        "logs": logs,
        "steps": [step],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Playbook;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn whatever_a_script_is_given_it_gets() {
        let words = ["wrap", "--group", "g", "--logs", "/l", "--log-file", "/var/log/a", "--", "./a.sh", "{{ x }}", "it's", "12"];
        let arguments = <Line as clap::Parser>::try_parse_from(words).unwrap().arguments;
        let environment = [("A".to_owned(), "{{ b }} 'c'".to_owned()), ("N".to_owned(), "08".to_owned())];
        let made = playbook(&arguments, "/srv", environment.into_iter());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORD);
        std::fs::write(&path, made.to_string()).unwrap();
        let read = Playbook::load(&Location::Path(path), &Overrides::default()).unwrap();
        let scope = crate::playbook::Scope::default();
        assert_eq!(read.lifecycle(&scope).unwrap().unwrap().group.as_deref(), Some("g"));
        assert_eq!(read.logs(&scope).unwrap().unwrap().sources.len(), 1);
        assert_eq!(read.deadline.to_string(), "30m");
        assert!(matches!(read.entries[0].render(&scope).unwrap(), crate::playbook::Rendered::Ready(_)));
    }
}
