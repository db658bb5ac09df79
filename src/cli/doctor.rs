//! `agent doctor`: whether a run would work here, found out in two seconds and without one. Everything is asked at the same time; what
//! has not answered when the time is over is said to be unknown.

mod finding;
mod hook;
mod machine;
mod rights;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use super::installed::{FOLDER, Installed};
use super::overrides::OverrideArguments;
use super::{STATE, terminal};
use crate::engine::run::network_threads;
use crate::error::{Kind, Result};
use crate::host::aws::Aws;
use crate::host::instance::{Instance, os_values};
use crate::playbook::{InstanceValues, Location, Overrides, Playbook, Scope};
use crate::step::fields::Span;
use finding::{Finding, State};

/// What the metadata service is given of the time: everything else waits for it.
const FIRST_PART: f64 = 0.45;
/// One part of the time in so many is for those who have something to say at its end.
const LAST_PART: u32 = 10;

/// Find out whether a run would work on this instance: role, network, clock, disk, hook, and each permission by a cheap call
///
/// It stores nothing but what every run makes first: the log group and stream. A secret is asked for and forgotten at once; the hook
/// is not answered.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sudo agent doctor\n  \
    sudo agent doctor s3://bucket/playbook.yaml --set environment=prod\n  \
    agent doctor --json playbook.yaml\n\n\
    Exit codes: 0 a run would work (warnings are no problems); 1 it would not, or that could not be found out.")]
pub struct Arguments {
    /// The playbook, as for `agent run` [default: the installed one; the machine alone where none is]
    playbook: Option<Location>,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// Print findings as JSON lines
    #[arg(long)]
    json: bool,
    /// How long answers are waited for
    #[arg(long, value_name = "SPAN", default_value = "2s")]
    within: Span,
    /// Where the records are kept
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state_dir: PathBuf,
}

/// Examines the machine and the playbook.
///
/// # Errors
/// When no thread can be started.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = network_threads()?;
    let mut patient = Patient { end: Instant::now() + arguments.within.0, within: arguments.within.0, findings: Vec::new() };
    let handle = runtime.handle().clone();
    let first = arguments.within.0.mul_f64(FIRST_PART);
    let (finding, instance) = machine::metadata(&handle, first);
    patient.findings.push(finding);
    let region = instance.as_ref().map(|instance| instance.region.clone());
    // Its last words are to be heard.
    let end = patient.end.checked_sub(arguments.within.0 / LAST_PART).unwrap_or(patient.end);
    let aws = Aws::new(handle.clone()).until(end);
    let (sender, receiver) = channel();
    let mut begun: Vec<String> = Vec::new();
    let mut begin = |check: &str, work: Box<dyn FnOnce() -> Vec<Finding> + Send>| {
        begun.push(check.to_owned());
        start(check, work, sender.clone());
    };
    for path in [PathBuf::from("/"), PathBuf::from("/tmp"), arguments.state_dir.clone()] {
        begin(&format!("disk {}", path.display()), Box::new(move || vec![machine::disk(&path)]));
    }
    if let Some(region) = &region {
        for service in ["ssm", "s3", "logs", "autoscaling"] {
            let (region, limit) = (region.clone(), patient.left());
            begin(&format!("way to {service}"), Box::new(move || vec![machine::way_to(service, &region, limit)]));
        }
        let (region, limit, handle) = (region.clone(), patient.left(), handle.clone());
        begin("clock", Box::new(move || vec![machine::clock(&handle, &region, limit)]));
    }
    if let Some(instance) = instance.clone() {
        begin("role", Box::new(move || vec![machine::role(&instance)]));
    }
    let wanted = (arguments.playbook.clone(), arguments.overrides.overrides());
    begin("playbook", Box::new(move || of_playbook(wanted, &aws, instance.as_ref())));
    drop(sender);
    patient.hear(&receiver, begun);
    // What is still under way has had its time.
    runtime.shutdown_background();
    Ok(patient.report(arguments.json))
}

/// Works on a check beside the others.
fn start(check: &str, work: Box<dyn FnOnce() -> Vec<Finding> + Send>, sender: Sender<(String, Vec<Finding>)>) {
    let name = check.to_owned();
    let thread = std::thread::Builder::new().name("doctor".into());
    // A thread that could not be started is a check that does not answer.
    let _ = thread.spawn(move || sender.send((name, work())));
}

/// What is found, and until when.
struct Patient {
    end: Instant,
    within: Duration,
    findings: Vec<Finding>,
}

impl Patient {
    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Takes what comes in time; what does not come is said.
    fn hear(&mut self, receiver: &std::sync::mpsc::Receiver<(String, Vec<Finding>)>, mut begun: Vec<String>) {
        while !begun.is_empty() {
            let Ok((name, findings)) = receiver.recv_timeout(self.left()) else { break };
            begun.retain(|check| *check != name);
            self.findings.extend(findings);
        }
        let in_time = !self.left().is_zero();
        self.findings.extend(begun.iter().map(|check| {
            if in_time {
                Finding::new(check, State::Unknown, "the check broke off, which is a defect of the agent")
            } else {
                Finding::unanswered(check, self.within)
            }
        }));
    }

    /// Everything, the worst last, where it is seen; gives the exit code.
    fn report(mut self, json: bool) -> ExitCode {
        self.findings.sort_by(|a, b| (a.state, &a.check).cmp(&(b.state, &b.check)));
        for finding in &self.findings {
            if json {
                terminal::print(&format!("{}\n", serde_json::to_string(finding).unwrap_or_default()));
            } else {
                terminal::print(&finding.line());
            }
        }
        let bad = self.findings.iter().filter(|finding| finding.state > State::Warning).count();
        if bad == 0 {
            terminal::complain("a run would find what it needs\n");
            return ExitCode::SUCCESS;
        }
        terminal::complain(&format!("{bad} of {} checks keep a run from working, or could not be made\n", self.findings.len()));
        ExitCode::from(1)
    }
}

/// The playbook, and everything that it needs.
fn of_playbook((named, overrides): (Option<Location>, Overrides), aws: &Aws, instance: Option<&Instance>) -> Vec<Finding> {
    const NAME: &str = "playbook";
    let known = match named {
        Some(location) => Ok((location, overrides)),
        None => Installed::read(Path::new(FOLDER)).and_then(|installed| installed.with(overrides)),
    };
    let (location, overrides) = match known {
        Ok(known) => known,
        Err(error) if error.kind() == Kind::Usage => {
            let mut findings = vec![
                Finding::new(NAME, State::Warning, "none is named, and none is installed")
                    .with_hint("name one: `agent doctor playbook.yaml`"),
            ];
            findings.extend(instance.map(|instance| hook::check(aws, instance, None)).unwrap_or_default());
            return findings;
        }
        Err(error) => return vec![Finding::failed(NAME, &error)],
    };
    let playbook = match Playbook::load(&location, &overrides) {
        Ok(playbook) => playbook,
        Err(problems) => {
            let first = problems.0.first().map(|problem| problem.message.clone()).unwrap_or_default();
            let hint = problems.0.first().and_then(|problem| problem.hint.clone());
            let found =
                format!("`{location}`: {first}{}", if problems.0.len() > 1 { ", and more: ask `agent check`" } else { "" });
            return vec![Finding { hint, ..Finding::new(NAME, State::Problem, found) }];
        }
    };
    let values = InstanceValues { instance: instance.map(Instance::values), os: os_values() };
    let scope = Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), values, ..Scope::default() };
    let mut findings = vec![Finding::ok(NAME, format!("`{location}` is in order, {} steps", playbook.entries.len()))];
    findings.extend(rights::check(aws, &playbook, &scope, instance));
    findings
}
