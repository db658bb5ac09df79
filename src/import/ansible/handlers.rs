//! Handlers: a restart becomes what the unit's own step reacts to, a command becomes one that runs on a change.

use super::idioms;
use super::keys::{self, Around};
use super::tasks::Task;
use super::translate;
use super::world::World;
use crate::import::document::{Content, Piece, Step};
use crate::import::report::Verdict;
use crate::playbook::node::{Node, NodeKind};

/// The handlers of a play.
#[derive(Default)]
pub struct Handlers {
    /// As they are written: that is their order.
    pub tasks: Vec<Task>,
    heard: Vec<usize>,
}

impl Handlers {
    /// The tasks of a section, and after them, or where `meta: flush_handlers` says so, the handlers that they notify.
    pub fn section(&mut self, world: &World, tasks: &[Task]) {
        let mut from = world.document.borrow().pieces.len();
        for task in tasks {
            let pieces = translate::task(world, task);
            world.document.borrow_mut().pieces.extend(pieces);
            self.report_unknown(world, task);
            if task.module == "meta" && task.body.text() == Some("flush_handlers") {
                from = self.flush(world, from);
            }
        }
        self.flush(world, from);
    }

    /// A handler that is not here cannot be notified: whoever imports a file of tasks alone has to know.
    fn report_unknown(&self, world: &World, task: &Task) {
        let known: Vec<String> = self.tasks.iter().flat_map(names).collect();
        let mut document = world.document.borrow_mut();
        let from_here = document.pieces.iter_mut().rev().take_while(|piece| piece.at == task.at).filter_map(Piece::step_mut);
        let mut unknown = Vec::new();
        for step in from_here {
            unknown.extend(step.notify.iter().filter(|name| !known.contains(name)).cloned());
            step.notes.extend(
                step.notify
                    .iter()
                    .filter(|name| !known.contains(name))
                    .map(|name| format!("left out: no handler `{name}` is here")),
            );
        }
        drop(document);
        if let (Some(name), Some((key, _))) = (unknown.first(), task.keywords.iter().find(|(key, _)| key.text == "notify")) {
            let around = Around { world, source: &task.source, task: keys::mark(&task.at) };
            around.key(key, Verdict::LeftOut(format!("no handler `{name}` is here")));
        }
    }

    fn flush(&mut self, world: &World, from: usize) -> usize {
        idioms::units(&mut world.document.borrow_mut());
        for (index, handler) in self.tasks.iter().enumerate() {
            let names = names(handler);
            let hears = |piece: &&Piece| piece.step().is_some_and(|step| step.notify.iter().any(|name| names.contains(name)));
            let ids: Vec<String> = {
                let document = world.document.borrow();
                let notifying = document.pieces.iter().skip(from.min(document.pieces.len())).filter(hears);
                notifying.filter_map(|piece| piece.step().map(|step| step.id.clone())).collect()
            };
            if ids.is_empty() {
                continue;
            }
            self.heard.push(index);
            for mut piece in translate::task(world, &Task { reacts_to: ids.clone(), ..handler.clone() }) {
                if let Some(step) = piece.step_mut() {
                    step.notify.clear();
                }
                let mut document = world.document.borrow_mut();
                let joined = piece.step().is_some_and(|step| idioms::join(&mut document, step, &handler.at));
                if !joined {
                    document.pieces.push(piece);
                }
            }
        }
        let mut document = world.document.borrow_mut();
        document.pieces.iter_mut().filter_map(Piece::step_mut).for_each(|step| step.notify.clear());
        document.pieces.len()
    }

    /// Reports the handlers that nobody notifies.
    pub fn unheard(&self, world: &World) {
        for (_, handler) in self.tasks.iter().enumerate().filter(|(index, _)| !self.heard.contains(index)) {
            let around = Around { world, source: &handler.source, task: keys::mark(&handler.at) };
            let why = "no task that was translated notifies it";
            around.task(handler, Verdict::NotNeeded(why.into()));
            let content = Content::NotNeeded(format!("{}: {why}", handler.name.as_deref().unwrap_or(&handler.module)));
            let piece = Piece { at: handler.at.clone(), lines: handler.lines.clone(), content };
            world.document.borrow_mut().pieces.push(piece);
        }
    }
}

/// What a handler answers to.
fn names(handler: &Task) -> Vec<String> {
    let listens = handler.keywords.iter().find(|(key, _)| key.text == "listen").map(|(_, node)| node);
    let topics = match listens.map(|node| (&node.kind, node)) {
        Some((NodeKind::List(items), _)) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
        Some((_, node)) => node.text().map(str::to_owned).into_iter().collect(),
        None => Vec::new(),
    };
    handler.name.iter().cloned().chain(topics).collect()
}

/// Whether two steps are about the same unit.
pub fn same_unit(one: &Step, other: &Step) -> bool {
    let name = |step: &Step| step.text("name").map(|name| name.strip_suffix(".service").unwrap_or(name).to_owned());
    let is_unit = |step: &Step| ["service", "systemd_unit"].contains(&step.kind) && step.get("dropin").is_none();
    is_unit(one) && is_unit(other) && name(one).is_some() && name(one) == name(other)
}
