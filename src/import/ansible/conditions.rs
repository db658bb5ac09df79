//! When a task runs: what of `when` is a condition of ours, and what is rather a guard of its command or a change to react to.

use std::cell::RefCell;

use super::tasks::Task;
use super::world::{Registered, Scope, World};
use crate::import::jinja::Why;
use crate::import::yaml::Yaml;
use crate::playbook::node::{Node, NodeKind};

/// A condition that some step types have a better word for.
#[derive(Debug, Clone)]
pub enum Special {
    /// One of these steps has changed something.
    Changed(Vec<String>),
    /// There is nothing at this path.
    Absent(String),
    /// A guard of a `command`: its key, and the program.
    Guard(&'static str, Yaml),
}

/// When a task runs.
#[derive(Debug, Default)]
pub struct Conditions {
    /// Expressions of ours, all of which must hold.
    when: RefCell<Vec<String>>,
    /// What a step type may have a word for, and the expression that says it otherwise.
    specials: RefCell<Vec<(Special, Option<String>)>>,
    /// It never runs.
    pub never: bool,
}

impl Conditions {
    /// Of a task, in this scope.
    ///
    /// # Errors
    /// Why a condition cannot be said.
    pub fn of(world: &World, task: &Task, scope: &Scope) -> Result<Self, Why> {
        let mut conditions = Self::default();
        for (node, outer) in &task.outer.whens {
            // A block's condition may name the loop's item as little as the loop does its tasks.
            conditions.add(world, node, outer)?;
        }
        if let Some((_, node)) = task.keywords.iter().find(|(key, _)| key.text == "when") {
            conditions.add(world, node, scope)?;
        }
        if !task.reacts_to.is_empty() {
            conditions.specials.borrow_mut().push((Special::Changed(task.reacts_to.clone()), None));
        }
        Ok(conditions)
    }

    fn add(&mut self, world: &World, node: &Node, scope: &Scope) -> Result<(), Why> {
        match &node.kind {
            NodeKind::List(items) => items.iter().try_for_each(|item| self.add(world, item, scope)),
            NodeKind::Map(_) => Err("`when` is a map".into()),
            NodeKind::Scalar { text, .. } => {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let simple = !text.contains(['(', '"', '\'']) || !text.contains(" and ");
                let parts: Vec<&str> =
                    if simple || !text.contains(" or ") && balanced(&text) { text.split(" and ").collect() } else { vec![&text] };
                parts.into_iter().try_for_each(|part| self.one(world, part.trim(), scope))
            }
        }
    }

    fn one(&mut self, world: &World, text: &str, scope: &Scope) -> Result<(), Why> {
        if let Some(special) = special(world, text) {
            let generic = match special {
                Special::Changed(_) => None,
                _ => Some(world.condition(text, scope)?),
            };
            self.specials.borrow_mut().push((special, generic));
            return Ok(());
        }
        let ours = world.condition(text, scope).map_err(|why| format!("its condition `{text}` has no translation: {why}"))?;
        match ours.as_str() {
            "true" | "not false" => {}
            "false" | "not true" => self.never = true,
            _ if !self.when.borrow().contains(&ours) => self.when.borrow_mut().push(ours),
            _ => {}
        }
        Ok(())
    }

    /// Takes the steps that a change of which is waited for.
    pub fn take_changed(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.specials.borrow_mut().retain(|(special, _)| match special {
            Special::Changed(ids) => {
                found.extend(ids.iter().cloned());
                false
            }
            _ => true,
        });
        found
    }

    /// Takes everything: the step has a word of its own for it.
    pub fn take_all(&self) {
        self.when.borrow_mut().clear();
        self.specials.borrow_mut().clear();
    }

    /// Takes the one special condition, where it is the only one that a command can have as its guard.
    pub fn take_guard(&self) -> Option<Special> {
        let mut specials = self.specials.borrow_mut();
        let at = specials.iter().position(|(special, _)| !matches!(special, Special::Changed(_)))?;
        (specials.len() == 1).then(|| specials.remove(at).0)
    }

    /// The rest, as one expression.
    ///
    /// # Errors
    /// When a change is waited for that nobody has taken.
    pub fn expression(&self) -> Result<Option<String>, Why> {
        let mut all = self.when.borrow().clone();
        for (special, generic) in self.specials.borrow().iter() {
            match (special, generic) {
                (_, Some(generic)) => all.push(generic.clone()),
                _ => return Err("it runs only after a change of another task, which a step of this type cannot wait for".into()),
            }
        }
        let joined: Vec<String> = match all.as_slice() {
            [one] => vec![one.clone()],
            several => several
                .iter()
                .map(|one| if one.contains(" or ") || one.contains(" if ") { format!("({one})") } else { one.clone() })
                .collect(),
        };
        Ok((!joined.is_empty()).then(|| joined.join(" and ")))
    }
}

/// Whether no `and` stands within a text or parentheses.
fn balanced(text: &str) -> bool {
    text.split(" and ").all(|part| {
        let count = |letter| part.matches(letter).count();
        count('(') == count(')') && count('\'') % 2 == 0 && count('"') % 2 == 0
    })
}

fn special(world: &World, text: &str) -> Option<Special> {
    let registered = world.registered.borrow();
    let changed = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')').trim();
        let name = part
            .strip_suffix(" is changed")
            .or_else(|| part.strip_suffix(".changed"))
            .or_else(|| part.strip_suffix("|changed"))?;
        match registered.get(name.trim())? {
            Registered::Steps(ids) => Some(ids.clone()),
            _ => None,
        }
    };
    if let Some(ids) = text.split(" or ").map(changed).collect::<Option<Vec<_>>>() {
        return Some(Special::Changed(ids.concat()));
    }
    let absent = text
        .strip_prefix("not ")
        .map(str::trim)
        .or_else(|| text.strip_suffix(" == false"))
        .or_else(|| text.strip_suffix(" == False"));
    if let Some(name) = absent.and_then(|rest| rest.trim_end_matches(" | bool").strip_suffix(".stat.exists"))
        && let Some(Registered::Stat { path, .. }) = registered.get(name)
    {
        return Some(Special::Absent(path.clone()));
    }
    // What asks whether something is missing is a guard; what asks whether it is there would have to be gone afterwards.
    let guards = [(".rc != 0", "unless"), (" is failed", "unless"), (".rc == 1", "unless")];
    guards.iter().find_map(|(suffix, key)| match registered.get(text.strip_suffix(suffix)?)? {
        Registered::Query { program, may_fail: true, .. } => Some(Special::Guard(key, program.clone())),
        _ => None,
    })
}
