//! What is common to the keys of plays, blocks and tasks: who reports them, and those that mean nothing on one machine.

use std::path::Path;
use std::sync::Arc;

use super::tasks::Task;
use super::world::{Layer, World};
use crate::import::files::Written;
use crate::import::report::{Item, Verdict};
use crate::playbook::Position;
use crate::playbook::node::{Key, Node};
use crate::playbook::source::{Mark, Source};

/// Why tags are not needed.
pub const NO_TAGS: &str = "a run looks at every step and changes only what differs";

/// The keys that mean nothing on one machine that looks after itself.
#[must_use]
pub fn of_no_use(key: &str) -> Option<Verdict> {
    let why = match key {
        "tags" => NO_TAGS,
        "no_log" => "secrets are masked by value, wherever they occur",
        "gather_facts" | "gather_subset" | "fact_path" => "what expressions ask for is always known",
        "connection" | "remote_user" | "become_method" | "become_flags" | "port" => "the agent runs on the machine, as root",
        "run_once" | "serial" | "strategy" | "any_errors_fatal" | "max_fail_percentage" | "order" | "throttle" => {
            "there is one machine: each instance runs the playbook itself"
        }
        "check_mode" | "diff" => "`agent run --dry-run --diff` shows any step",
        "collections" | "module_defaults" => "there are no collections here",
        "delegate_facts" | "ignore_unreachable" => "there is one machine",
        _ => return None,
    };
    Some(Verdict::NotNeeded(why.to_owned()))
}

/// Reports what stands around a place.
pub struct Around<'w> {
    /// What is known.
    pub world: &'w World,
    /// The file.
    pub source: &'w Arc<Source>,
    /// The task, block or play.
    pub task: Mark,
}

impl Around<'_> {
    /// What became of a key.
    pub fn key(&self, key: &Key, verdict: Verdict) {
        self.add(key.mark, format!("`{}`", key.text), false, verdict);
    }

    /// What became of the task.
    pub fn task(&self, task: &Task, verdict: Verdict) {
        let what = match &task.name {
            Some(name) => format!("task `{name}` ({})", task.module),
            None => format!("task ({})", task.module),
        };
        self.add(self.task, what, true, verdict);
    }

    fn add(&self, mark: Mark, what: String, is_task: bool, verdict: Verdict) {
        let item = Item {
            at: self.source.position(mark),
            excerpt: self.source.line(mark.line).to_owned(),
            what,
            task: self.source.position(self.task),
            is_task,
            verdict,
        };
        self.world.report.borrow_mut().add(item);
    }
}

/// A file of the original, with what is not strict in it reported.
#[must_use]
pub fn file(world: &World, path: &Path) -> Option<Written> {
    match world.files.yaml(path) {
        Ok(found) => {
            let (written, problems) = found?;
            odd(world, problems);
            Some(written)
        }
        Err(problems) => {
            odd(world, problems.0);
            None
        }
    }
}

/// Reports what YAML allows and we do not read.
pub fn odd(world: &World, problems: Vec<crate::playbook::Problem>) {
    for problem in problems {
        let Some(at) = problem.position else { continue };
        let item = Item {
            at: at.clone(),
            excerpt: problem.excerpt.unwrap_or_default(),
            what: "this YAML".to_owned(),
            task: at,
            is_task: false,
            verdict: Verdict::LeftOut(problem.message),
        };
        world.report.borrow_mut().add(item);
    }
}

/// The members of a map as variables.
#[must_use]
pub fn layer(world: &World, node: &Node, source: &Arc<Source>, is_local: bool) -> Layer {
    let written = |node: &Node| Written { source: Arc::clone(source), node: node.clone() };
    world.seen.borrow_mut().extend(node.members().iter().map(|(key, value)| (key.clone(), written(value))));
    Layer { vars: node.members().iter().map(|(key, value)| (key.text.clone(), written(value))).collect(), is_local }
}

/// Whether a value is switched on, as Ansible reads it.
#[must_use]
pub fn is_true(node: &Node) -> bool {
    node.text().is_some_and(|text| ["true", "yes", "on", "1"].contains(&text.to_ascii_lowercase().as_str()))
}

/// Whether it is switched off.
#[must_use]
pub fn is_false(node: &Node) -> bool {
    node.text().is_some_and(|text| ["false", "no", "off", "0"].contains(&text.to_ascii_lowercase().as_str()))
}

/// The place of a position within its file.
#[must_use]
pub fn mark(at: &Position) -> Mark {
    Mark { line: at.line, column: at.column }
}
