//! `command`: a program or script of the user's own, with a reason to run it that can be checked.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::guard::{Guard, UserProgram};
use crate::host::{Answer, Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::{AbsolutePath, Program, in_shell};
use crate::step::{Finding, Fingerprint, Step, Thing, Touches, Value};

/// The kernel takes no longer single argument, and a script is one.
const LONGEST_SCRIPT: usize = 120 * 1024;

/// A program of the user's own: `argv`, run as it is written, or a `script` for `/bin/sh -eu`.
///
/// Exactly one of `creates`, `unless`, `only_if`, `on_change`, `query` and `always` says when it runs. After it has run, the same
/// question must say that there is nothing left to do (but for `always`), else the step has failed. A guard ends with 0 (yes) or
/// 1 (no); anything else is an error, never a skip. A dry-run asks guards and queries only with `--run-guards`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments. No shell reads them.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// A shell script, in place of `argv`.
    #[serde(default)]
    script: Option<String>,
    /// What runs the script, which becomes its last argument: `[/bin/sh, -eu, -c]` unless told.
    #[serde(default)]
    interpreter: Option<Vec<String>>,
    /// Runs when nothing is at this path; there must be something afterwards.
    #[serde(default)]
    creates: Option<AbsolutePath>,
    /// Runs when this says no (1); it must say yes (0) afterwards. A list is a program, a text a shell script.
    #[serde(default)]
    unless: Option<Program>,
    /// Runs when this says yes (0); it must say no (1) afterwards. A list is a program, a text a shell script.
    #[serde(default)]
    only_if: Option<Program>,
    /// Ids of earlier steps: runs when what they stand for is not what it last ran with.
    #[serde(default)]
    #[schemars(extend("x-steps" = true))]
    on_change: Vec<String>,
    /// Only looks: runs at every check, changes nothing, and gives `stdout` and `exit_code`.
    #[serde(default)]
    query: bool,
    /// Runs in every run, and counts as a change.
    #[serde(default)]
    always: bool,
    /// Added to its environment. Takes secrets.
    #[serde(default)]
    env: IndexMap<String, Sensitive>,
    /// What it reads on standard input. Takes a secret.
    #[serde(default)]
    stdin: Option<Sensitive>,
    /// Where it runs; `/` unless told.
    #[serde(default)]
    directory: Option<AbsolutePath>,
    /// Who runs it; root, or whoever we are, unless told. Guards too.
    #[serde(default)]
    run_as: Option<String>,
    /// `plain` (shown), `secret` (not shown; the output of a `query` is then a secret) or `none` (not shown).
    #[serde(default)]
    output: Shown,
    /// Exit codes that mean success; `[0]` unless told.
    #[serde(default)]
    exit_codes: Option<Vec<i32>>,
}

/// What may be seen of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Shown {
    #[default]
    Plain,
    Secret,
    None,
}

/// The one change there is: to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    what: String,
    because: String,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} ({})", self.what, self.because)
    }
}

impl Command {
    fn argv(&self) -> Vec<String> {
        match (&self.argv, &self.script, &self.interpreter) {
            (Some(argv), ..) => argv.clone(),
            (None, Some(script), Some(interpreter)) => interpreter.iter().chain([script]).cloned().collect(),
            (None, script, _) => in_shell(script.as_deref().unwrap_or_default()),
        }
    }

    fn program(&self) -> UserProgram {
        UserProgram {
            argv: self.argv(),
            environment: self.env.clone(),
            stdin: self.stdin.clone(),
            directory: self.directory.as_ref().map(|path| path.as_path().to_owned()),
            user: self.run_as.clone(),
            timeout: None,
            shown: self.output == Shown::Plain,
            secret: self.output == Shown::Secret,
        }
    }

    /// A guard sees what the command sees, but for its standard input.
    fn guard(&self, program: &Program) -> Guard {
        Guard::new(UserProgram { argv: program.argv(), stdin: None, ..self.program() })
    }

    fn exit_codes(&self) -> &[i32] {
        self.exit_codes.as_deref().unwrap_or(&[0])
    }

    /// How a plan calls it: a script is known by its first line.
    fn what(&self) -> String {
        match (&self.argv, &self.script) {
            (Some(argv), _) => format!("`{}`", argv.join(" ")),
            (None, script) => {
                let script = script.as_deref().unwrap_or_default().trim();
                let first = script.lines().next().unwrap_or_default();
                if script == first { format!("`{first}`") } else { format!("the script `{first} …`") }
            }
        }
    }

    fn must_run(&self, because: impl Into<String>) -> Finding<Run> {
        let mut finding = self.done();
        finding.change(Run { what: self.what(), because: because.into() });
        finding
    }

    fn done(&self) -> Finding<Run> {
        let argv = self.argv();
        Finding::done().with_fingerprint(&argv.iter().map(String::as_bytes).collect::<Vec<_>>())
    }

    /// Names the record of the last run: two commands that are written alike are one.
    fn record(&self) -> String {
        let argv = self.argv();
        let mut parts: Vec<&[u8]> = argv.iter().map(String::as_bytes).collect();
        parts.extend(self.run_as.as_deref().map(str::as_bytes));
        parts.extend(self.on_change.iter().map(String::as_bytes));
        let digest = Fingerprint::of(&parts);
        digest.0.iter().take(16).fold("command:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    fn run_query(&self, facts: &Facts) -> Result<Finding<Run>> {
        match facts.query(&Guard::new(self.program()), self.exit_codes())? {
            Answer::Unknown(why) => {
                let unknown = Finding::unknown(why).with_output("stdout", Value::Unknown);
                Ok(unknown.with_output("exit_code", Value::Unknown))
            }
            Answer::Known((text, code)) => {
                let digest = facts.fingerprint_of_answer(&text);
                let mut finding = self.done().with_output("stdout", text);
                finding.fingerprint = Some(digest);
                Ok(finding.with_output("exit_code", serde_json::Value::from(code)))
            }
        }
    }
}

impl Step for Command {
    const KIND: &'static str = "command";
    const EXAMPLE: &'static str = r#"steps:
  - command: { argv: [openssl, dhparam, -out, /etc/nginx/dh.pem, "2048"], creates: /etc/nginx/dh.pem }
"#;
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[
        ("stdout", "What it, or its last run, printed; only with `query: true`."),
        ("exit_code", "How it ended; only with `query: true`."),
    ];
    type Change = Run;

    fn touches(&self) -> Touches {
        let mut touches = Touches::nothing().read(Thing::Programs).read_user(self.run_as.as_deref()).after(&self.on_change);
        if let Some(path) = &self.creates {
            touches = touches.write_path(path.as_path());
        }
        match &self.directory {
            Some(path) => touches.read_path(path.as_path()),
            None => touches,
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.argv.is_some() == self.script.is_some() {
            problems.push("exactly one of `argv` and `script` says what runs".into());
        }
        if self.argv.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
            problems.push("`argv` names no program".into());
        }
        if self.interpreter.is_some() && self.script.is_none() {
            problems.push("`interpreter` belongs to `script`".into());
        }
        if self.interpreter.as_ref().is_some_and(Vec::is_empty) {
            problems.push("`interpreter` names no program".into());
        }
        if self.script.as_ref().is_some_and(|script| script.len() > LONGEST_SCRIPT) {
            problems.push("`script` is longer than 120 KiB; write it with a `file` step and run that".into());
        }
        let reasons = [
            self.creates.is_some(),
            self.unless.is_some(),
            self.only_if.is_some(),
            !self.on_change.is_empty(),
            self.query,
            self.always,
        ];
        if reasons.iter().filter(|given| **given).count() != 1 {
            problems.push(
                "exactly one of `creates`, `unless`, `only_if`, `on_change`, `query: true` and `always: true` says when it runs"
                    .into(),
            );
        }
        for guard in [&self.unless, &self.only_if].into_iter().flatten() {
            if guard.argv().first().is_none_or(String::is_empty) {
                problems.push("the guard names no program".into());
            }
        }
        if self.exit_codes.as_ref().is_some_and(Vec::is_empty) {
            problems.push("`exit_codes` lists none, so it could never succeed".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<Run>> {
        if self.query {
            return self.run_query(facts);
        }
        if self.always {
            return Ok(self.must_run("always"));
        }
        if let Some(path) = &self.creates {
            let there = facts.look(path)?.is_some();
            return Ok(if there { self.done() } else { self.must_run(format!("nothing is at `{path}`")) });
        }
        if let Some(guard) = &self.unless {
            return Ok(match facts.guard_holds(&self.guard(guard))? {
                Answer::Known(true) => self.done(),
                Answer::Known(false) => self.must_run("`unless` says no"),
                Answer::Unknown(why) => Finding::unknown(why),
            });
        }
        if let Some(guard) = &self.only_if {
            return Ok(match facts.guard_holds(&self.guard(guard))? {
                Answer::Known(true) => self.must_run("`only_if` says yes"),
                Answer::Known(false) => self.done(),
                Answer::Unknown(why) => Finding::unknown(why),
            });
        }
        let inputs = match facts.fingerprint_of_all(&self.on_change) {
            Answer::Known(inputs) => inputs,
            Answer::Unknown(why) => return Ok(Finding::unknown(why)),
        };
        Ok(match facts.started_with(&self.record(), &inputs)? {
            Some(true) => self.done(),
            Some(false) => self.must_run("what it depends on has changed since it last ran"),
            None => self.must_run("there is no record that it ever ran"),
        })
    }

    fn apply(&self, _: &Run, host: &Host) -> Result<()> {
        host.run_command(&self.program(), self.exit_codes())?;
        if self.on_change.is_empty() {
            return Ok(());
        }
        match host.fingerprint_of_all(&self.on_change) {
            Answer::Known(inputs) => host.record_start(&self.record(), &inputs),
            Answer::Unknown(why) => Err(Error::new(Kind::Bug, why)),
        }
    }

    fn is_rechecked(&self) -> bool {
        !self.always
    }
}

#[cfg(test)]
mod tests;
