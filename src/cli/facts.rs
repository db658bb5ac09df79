//! `agent facts`: what expressions know of this machine. The JSON form is what `--facts` reads.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::terminal;
use crate::engine::environment::Surroundings;
use crate::engine::run::network_threads;
use crate::error::Result;
use crate::host::instance::looks_like_ec2;

/// Print what playbooks know of this machine: `os.*` and `instance.*`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent facts --json > facts.json")]
pub struct Arguments {
    /// Print JSON, as `agent run --facts` reads it
    #[arg(long)]
    json: bool,
    /// Read these facts over the machine's own
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = network_threads()?;
    // Where nothing says that this is an EC2 instance, one glance is enough.
    let found = Surroundings::discover(runtime.handle(), arguments.facts.as_deref(), !looks_like_ec2())?;
    runtime.shutdown_background();
    if arguments.json {
        let mut facts = json!({ "os": found.values.os });
        if let (Some(map), Some(instance)) = (facts.as_object_mut(), found.values.instance) {
            map.insert("instance".to_owned(), instance);
        }
        terminal::print(&format!("{facts:#}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = Vec::new();
    flatten("os", &found.values.os, &mut lines);
    match (&found.values.instance, &found.absent) {
        (Some(instance), _) => flatten("instance", instance, &mut lines),
        (None, Some(why)) => lines.push(format!("instance: unknown, {why}")),
        (None, None) => {}
    }
    terminal::print(&format!("{}\n", lines.join("\n")));
    Ok(ExitCode::SUCCESS)
}

/// One line per value, named as an expression names it.
fn flatten(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, lines)),
        Value::String(text) => lines.push(format!("{name} = {text}")),
        other => lines.push(format!("{name} = {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_named_as_expressions_name_them() {
        let mut lines = Vec::new();
        flatten("instance", &json!({ "id": "i-1", "tags": { "Name": "web" }, "cpus": 2 }), &mut lines);
        assert_eq!(lines, ["instance.id = i-1", "instance.tags.Name = web", "instance.cpus = 2"]);
    }
}
