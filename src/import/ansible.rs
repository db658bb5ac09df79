//! Ansible playbooks: their plays in order, each section's tasks with the handlers that they notify.

mod conditions;
pub mod facts;
mod handlers;
mod idioms;
mod job;
mod keys;
mod modules;
mod tasks;
mod translate;
mod world;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::Wish;
use super::document::{Content, Document, Step};
use super::files::{Files, Written};
use super::report::{Report, Verdict};
use super::yaml::Yaml;
use crate::playbook::Problem;
use crate::playbook::node::{Key, Node, NodeKind};
use handlers::Handlers;
pub use idioms::units as join_units;
use keys::Around;
pub use modules::one_line;
use tasks::{Opener, Outer, Task, inside};
use world::{Scope, World};

/// The playbook as steps, and what became of it.
pub fn import(main: &Written, odd: Vec<Problem>, files: Files, wish: &Wish<'_>, given: &[Written]) -> (Document, Report) {
    let world = World::new(files);
    keys::odd(&world, odd);
    let is_playbook = |node: &Node| node.member("hosts").is_some() || node.member("import_playbook").is_some();
    let items = if let NodeKind::List(items) = &main.node.kind { items.as_slice() } else { &[] };
    let plays = Plays { world: &world, wish, given };
    if items.iter().any(is_playbook) {
        for node in items {
            plays.play(node, &main.source, 0);
        }
    } else {
        // A file of tasks, as roles have them.
        let scope = plays.scope(&Node { mark: main.node.mark, kind: NodeKind::Map(Vec::new()) }, &main.source);
        let mut tasks = Vec::new();
        Opener::new(&world).list(main, &scope, &Outer::default(), &mut tasks);
        Handlers::default().section(&world, &tasks);
    }
    variables(&world);
    let mut document = world.document.into_inner();
    let is_idle = |document: &Document, step: &Step| step.is_question && !document.is_named(&step.id);
    while let Some(at) = document.pieces.iter().position(|piece| piece.step().is_some_and(|step| is_idle(&document, step))) {
        if let Some(piece) = document.pieces.get_mut(at) {
            let what = piece.step().and_then(|step| step.name.clone()).unwrap_or_default();
            piece.content =
                Content::NotNeeded(format!("{what}: what it finds out is the guard of a step, or nobody asks for it"));
        }
    }
    (document, world.report.into_inner())
}

/// Variables nobody asked for are not needed; the others are where they are used.
fn variables(world: &World) {
    for (key, written) in world.seen.borrow().iter() {
        let used = world.used.borrow().contains(&written.source.position(written.node.mark));
        let verdict = match world.failure(&key.text, written) {
            Some(why) => Verdict::LeftOut(why),
            None if used => Verdict::Translated,
            None => Verdict::NotNeeded("nothing that was translated uses this variable".into()),
        };
        Around { world, source: &written.source, task: key.mark }.key(key, verdict);
    }
}

struct Plays<'w> {
    world: &'w World,
    wish: &'w Wish<'w>,
    given: &'w [Written],
}

impl Plays<'_> {
    fn play(&self, node: &Node, source: &Arc<crate::playbook::source::Source>, depth: usize) {
        let around = Around { world: self.world, source, task: node.mark };
        if let Some(path) = node.member("import_playbook").and_then(Node::text) {
            let opened = (depth < 10).then(|| keys::file(self.world, Path::new(path))).flatten();
            for (key, _) in node.members() {
                let there = opened.is_some() || key.text != "import_playbook";
                around.key(
                    key,
                    if there {
                        Verdict::Translated
                    } else {
                        Verdict::LeftOut("there is no such file beside the playbook".into())
                    },
                );
            }
            if let Some(Written { source, node }) = opened
                && let NodeKind::List(items) = &node.kind
            {
                items.iter().for_each(|node| self.play(node, &source, depth + 1));
            }
            return;
        }
        let hosts = node.member("hosts").and_then(Node::text).unwrap_or_default();
        if self.wish.hosts.is_some_and(|wanted| wanted != hosts && !["all", "localhost"].contains(&hosts)) {
            for (key, _) in node.members() {
                around.key(key, Verdict::LeftOut("its play is for other hosts".into()));
            }
            return;
        }
        let scope = self.scope(node, source);
        // The environment of a play is that of the whole playbook.
        let outer = Outer { environment: Vec::new(), ..inside(&Outer::default(), node.members(), &scope) };
        let mut opener = Opener::new(self.world);
        let list = |name: &str| node.member(name).map(|node| Written { source: Arc::clone(source), node: node.clone() });
        let mut handlers = Handlers::default();
        let roles = list("roles").map(|roles| self.roles(&roles, &scope, &outer, &mut opener)).unwrap_or_default();
        if let Some(list) = list("handlers") {
            opener.list(&list, &scope, &Outer { whens: Vec::new(), ..outer.clone() }, &mut handlers.tasks);
        }
        let section = |opener: &mut Opener<'_>, name: &str| {
            let mut tasks = Vec::new();
            if let Some(list) = list(name) {
                opener.list(&list, &scope, &outer, &mut tasks);
            }
            tasks
        };
        let before = section(&mut opener, "pre_tasks");
        let tasks = [roles, section(&mut opener, "tasks")].concat();
        let after = section(&mut opener, "post_tasks");
        handlers.tasks.append(&mut opener.handlers);
        for section in [before, tasks, after] {
            handlers.section(self.world, &section);
        }
        handlers.unheard(self.world);
        for (key, value) in node.members() {
            around.key(key, self.play_key(key, value, &scope, hosts));
        }
    }

    fn play_key(&self, key: &Key, value: &Node, scope: &Scope, hosts: &str) -> Verdict {
        match key.text.as_str() {
            "hosts" if ["localhost", "all", "127.0.0.1"].contains(&hosts) || self.wish.hosts == Some(hosts) => {
                Verdict::Translated
            }
            "hosts" => Verdict::Differs(format!(
                "each instance runs the whole playbook: `--hosts {hosts}` imports the plays of one group"
            )),
            "name" | "vars" | "vars_files" | "roles" | "tasks" | "pre_tasks" | "post_tasks" | "handlers" | "become"
            | "become_user" | "ignore_errors" => Verdict::Translated,
            "environment" => match self.world.value(value, scope) {
                Ok(Yaml::Map(members)) => {
                    self.world.document.borrow_mut().env.extend(members);
                    Verdict::Translated
                }
                Ok(_) => Verdict::LeftOut("`env:` is a map".into()),
                Err(why) => Verdict::LeftOut(why),
            },
            "vars_prompt" => Verdict::LeftOut("nobody is there to answer: `--set name=value`".into()),
            other => {
                keys::of_no_use(other).unwrap_or_else(|| Verdict::LeftOut("a playbook here has no equivalent for it".into()))
            }
        }
    }

    /// The variables of a play: of groups, of the play, and given ones.
    fn scope(&self, node: &Node, source: &Arc<crate::playbook::source::Source>) -> Scope {
        let opener = Opener::new(self.world);
        let mut layers = Vec::new();
        let hosts = node.member("hosts").and_then(Node::text).unwrap_or("all");
        for group in ["all", hosts].iter().filter(|group| group.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')) {
            for path in [format!("group_vars/{group}"), format!("group_vars/{group}/main"), format!("group_vars/{group}/vars")] {
                layers.push(opener.vars_of(Path::new(&path)));
            }
        }
        if let Some(vars) = node.member("vars") {
            layers.push(keys::layer(self.world, vars, source, false));
        }
        if let Some(NodeKind::List(files)) = node.member("vars_files").map(|node| &node.kind) {
            for file in files {
                if let Some(name) = file.text().filter(|name| self.world.files.has(Path::new(name))) {
                    layers.push(opener.vars_of(Path::new(name)));
                    continue;
                }
                let key = Key { text: format!("vars_files: {}", file.text().unwrap_or("a list")), mark: file.mark };
                let why = "there is no such file beside the playbook; `--vars` takes one from elsewhere";
                Around { world: self.world, source, task: node.mark }.key(&key, Verdict::LeftOut(why.into()));
            }
        }
        layers.extend(self.given.iter().map(|given| keys::layer(self.world, &given.node, &given.source, false)));
        Scope { layers: layers.into_iter().map(Rc::new).collect(), folders: vec![PathBuf::new()] }
    }

    /// The tasks of the roles of a play.
    fn roles(&self, roles: &Written, scope: &Scope, outer: &Outer, opener: &mut Opener<'_>) -> Vec<Task> {
        let mut tasks = Vec::new();
        let NodeKind::List(items) = &roles.node.kind else { return tasks };
        for item in items {
            let around = Around { world: self.world, source: &roles.source, task: item.mark };
            let name = item
                .text()
                .or_else(|| item.member("role").or_else(|| item.member("name")).and_then(Node::text))
                .unwrap_or_default();
            let own = ["role", "name", "when", "vars", "tags", "become", "become_user"];
            let parameters = item.members().iter().filter(|(key, _)| !own.contains(&key.text.as_str())).cloned().collect();
            let parameters = Node { mark: item.mark, kind: NodeKind::Map(parameters) };
            let key = Key { text: format!("role {name}"), mark: item.mark };
            let mut scope = scope.clone();
            for vars in [Some(&parameters), item.member("vars")].into_iter().flatten() {
                scope = scope.with(keys::layer(self.world, vars, &roles.source, false));
            }
            let Some(opened) = opener.role(name, "main", &scope) else {
                around.key(&key, Verdict::LeftOut("its tasks are not in `roles/` beside the playbook".into()));
                continue;
            };
            around.key(&key, Verdict::Translated);
            for (key, _) in item
                .members()
                .iter()
                .filter(|(key, _)| own.contains(&key.text.as_str()) && key.text != "role" && key.text != "name")
            {
                around.key(key, keys::of_no_use(&key.text).unwrap_or(Verdict::Translated));
            }
            let outer = inside(outer, item.members(), &scope);
            for (path, scope) in opened {
                opener.file(&path, &scope, &outer, &mut tasks);
            }
        }
        tasks
    }
}
