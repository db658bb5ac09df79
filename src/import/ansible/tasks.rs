//! Tasks in the order in which they run: blocks opened, included files and roles in their places, each with the variables it sees.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::{self, Around};
use super::world::{Layer, Scope, World};
use crate::import::files::{self, Written};
use crate::import::report::Verdict;
use crate::playbook::node::{Key, Node, NodeKind};
use crate::playbook::source::Source;
use crate::playbook::{Position, yaml};

/// A task, and what stands around it.
#[derive(Debug, Clone)]
pub struct Task {
    /// The file it is in.
    pub source: Arc<Source>,
    /// Where it stands.
    pub at: Position,
    /// Its lines.
    pub lines: Vec<String>,
    /// Its `name:`.
    pub name: Option<String>,
    /// The module's last name: `apt` of `ansible.builtin.apt`.
    pub module: String,
    /// The key that names the module.
    pub key: Key,
    /// The module's arguments.
    pub body: Node,
    /// Everything else it says.
    pub keywords: Vec<(Key, Node)>,
    /// The variables it sees.
    pub scope: Scope,
    /// What blocks, includes and the play say for it.
    pub outer: Outer,
    /// Ids of the steps whose change it reacts to, for a handler.
    pub reacts_to: Vec<String>,
}

/// What is said around a task.
#[derive(Debug, Clone, Default)]
pub struct Outer {
    /// Conditions, each with the variables it sees.
    pub whens: Vec<(Node, Scope)>,
    /// `become`.
    pub become_root: Option<Node>,
    /// `become_user`.
    pub become_user: Option<Node>,
    /// `environment` of blocks.
    pub environment: Vec<Node>,
    /// `ignore_errors`.
    pub ignore_errors: bool,
}

/// Words of a task that are no module.
pub const KEYWORDS: [&str; 47] = [
    "name",
    "when",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "vars",
    "tags",
    "register",
    "notify",
    "loop",
    "loop_control",
    "with_items",
    "with_list",
    "with_dict",
    "with_together",
    "with_nested",
    "with_fileglob",
    "with_first_found",
    "with_sequence",
    "with_subelements",
    "with_indexed_items",
    "with_flattened",
    "environment",
    "args",
    "ignore_errors",
    "ignore_unreachable",
    "no_log",
    "changed_when",
    "failed_when",
    "until",
    "retries",
    "delay",
    "delegate_to",
    "delegate_facts",
    "run_once",
    "check_mode",
    "diff",
    "async",
    "poll",
    "throttle",
    "timeout",
    "any_errors_fatal",
    "remote_user",
    "connection",
    "module_defaults",
    "listen",
];

/// Files that include each other are no deeper than this.
const DEEPEST: usize = 20;

/// Opens lists of tasks.
pub struct Opener<'w> {
    /// What is known.
    pub world: &'w World,
    /// How many files deep we are.
    pub depth: usize,
    /// The handlers of the roles on the way.
    pub handlers: Vec<Task>,
}

impl<'w> Opener<'w> {
    /// Nothing is open yet.
    pub fn new(world: &'w World) -> Self {
        Self { world, depth: 0, handlers: Vec::new() }
    }

    /// The tasks of a file of the original; `None` when there is no such file.
    pub fn file(&mut self, path: &Path, scope: &Scope, outer: &Outer, tasks: &mut Vec<Task>) -> bool {
        if self.depth > DEEPEST {
            return false;
        }
        let Some(written) = keys::file(self.world, path) else { return self.world.files.has(path) };
        self.depth += 1;
        self.list(&written, scope, outer, tasks);
        self.depth -= 1;
        true
    }

    /// The tasks of a list.
    pub fn list(&mut self, list: &Written, scope: &Scope, outer: &Outer, tasks: &mut Vec<Task>) {
        let NodeKind::List(items) = &list.node.kind else { return };
        for item in items {
            self.item(item, &list.source, scope, outer, tasks);
        }
    }

    fn item(&mut self, node: &Node, source: &Arc<Source>, scope: &Scope, outer: &Outer, tasks: &mut Vec<Task>) {
        if node.member("block").is_some() {
            self.block(node, source, scope, outer, tasks);
            return;
        }
        let at = source.position(node.mark);
        let lines = files::lines_of(source, node.mark, node.mark.line + 400);
        let is_module = |key: &&(Key, Node)| !KEYWORDS.contains(&key.0.text.as_str());
        let mut task = Task {
            source: Arc::clone(source),
            at,
            lines,
            name: node.member("name").and_then(Node::text).map(str::to_owned),
            module: String::new(),
            key: Key { text: String::new(), mark: node.mark },
            body: Node { mark: node.mark, kind: NodeKind::Map(Vec::new()) },
            keywords: node.members().iter().filter(|member| !is_module(member)).cloned().collect(),
            scope: scope.clone(),
            outer: outer.clone(),
            reacts_to: Vec::new(),
        };
        let mut modules = node.members().iter().filter(is_module);
        if let Some((key, body)) = modules.next() {
            key.text.rsplit('.').next().unwrap_or_default().clone_into(&mut task.module);
            task.key = key.clone();
            task.body = body.clone();
        }
        for (key, _) in modules {
            let why = format!("a task has one module, and this one is `{}`", task.module);
            Around { world: self.world, source, task: node.mark }.key(key, Verdict::LeftOut(why));
        }
        if let Some(vars) = node.member("vars") {
            task.scope = scope.with(keys::layer(self.world, vars, source, true));
        }
        if !self.include(&task, tasks) {
            tasks.push(task);
        }
    }

    fn block(&mut self, node: &Node, source: &Arc<Source>, scope: &Scope, outer: &Outer, tasks: &mut Vec<Task>) {
        let around = Around { world: self.world, source, task: node.mark };
        let mut scope = scope.clone();
        if let Some(vars) = node.member("vars") {
            scope = scope.with(keys::layer(self.world, vars, source, true));
        }
        let outer = inside(outer, node.members(), &scope);
        for (key, value) in node.members() {
            let verdict = match key.text.as_str() {
                "block" | "vars" | "when" | "become" | "become_user" | "name" | "ignore_errors" | "environment" => {
                    Verdict::Translated
                }
                "rescue" => Verdict::LeftOut("a failure ends the run: the group replaces the instance".into()),
                "always" => Verdict::Differs("runs after the block, but not after its failure".into()),
                "tags" => Verdict::NotNeeded(keys::NO_TAGS.into()),
                other => {
                    keys::of_no_use(other).unwrap_or_else(|| Verdict::LeftOut("a block here has no equivalent for it".into()))
                }
            };
            around.key(key, verdict);
            let list = Written { source: Arc::clone(source), node: value.clone() };
            match key.text.as_str() {
                "block" | "always" => self.list(&list, &scope, &outer, tasks),
                "rescue" => {
                    let mut lost = Vec::new();
                    self.list(&list, &scope, &outer, &mut lost);
                    tasks.extend(lost.into_iter().map(|task| Task { module: RESCUE.to_owned(), ..task }));
                }
                _ => {}
            }
        }
    }

    /// Opens an include in its place; `false` when the task is none that can be opened.
    fn include(&mut self, task: &Task, tasks: &mut Vec<Task>) -> bool {
        let is_looped = task.keywords.iter().any(|(key, _)| key.text == "loop" || key.text.starts_with("with_"));
        let file = |names: &[&str]| names.iter().find_map(|name| task.body.member(name)).and_then(Node::text);
        let opened = match task.module.as_str() {
            _ if is_looped => None,
            "include_tasks" | "import_tasks" | "include" => {
                let name = task.body.text().or_else(|| file(&["file"])).and_then(|name| name.split_whitespace().next());
                let path = name.and_then(|name| self.path_of_tasks(name, &task.scope));
                path.map(|path| vec![(path, task.scope.clone())])
            }
            "include_role" | "import_role" => {
                let name = file(&["name"]).filter(|name| !name.contains("{{"));
                let from = file(&["tasks_from"]).unwrap_or("main");
                name.and_then(|name| self.role(name, from, &task.scope))
            }
            _ => None,
        };
        let Some(opened) = opened else { return false };
        let around = Around { world: self.world, source: &task.source, task: keys::mark(&task.at) };
        around.task(task, Verdict::Translated);
        for (key, _) in &task.keywords {
            let known = ["name", "when", "vars", "become", "become_user"].contains(&key.text.as_str());
            let verdict = if known { Some(Verdict::Translated) } else { keys::of_no_use(&key.text) };
            around.key(key, verdict.unwrap_or_else(|| Verdict::LeftOut("an include here has no equivalent for it".into())));
        }
        let outer = inside(&task.outer, &task.keywords, &task.scope);
        for (path, scope) in opened {
            self.file(&path, &scope, &outer, tasks);
        }
        true
    }

    fn path_of_tasks(&self, name: &str, scope: &Scope) -> Option<PathBuf> {
        if name.contains("{{") {
            return None;
        }
        let candidates: Vec<PathBuf> =
            scope.folders.iter().flat_map(|folder| [folder.join("tasks").join(name), folder.join(name)]).collect();
        self.world.files.first(&candidates)
    }

    /// The files of a role's tasks (of those it depends on, too), each with what its tasks see. Its handlers are kept.
    pub fn role(&mut self, name: &str, from: &str, scope: &Scope) -> Option<Vec<(PathBuf, Scope)>> {
        let folder = Path::new("roles").join(name);
        let main = self.world.files.first(&[folder.join("tasks").join(from)])?;
        let mut opened = Vec::new();
        if let Some(meta) = self.world.files.first(&[folder.join("meta/main")]).and_then(|path| keys::file(self.world, &path)) {
            let dependencies = meta.node.member("dependencies").map(|node| &node.kind);
            if let Some(NodeKind::List(items)) = dependencies.filter(|_| self.depth < DEEPEST) {
                for item in items {
                    let name = item.text().or_else(|| item.member("role").or_else(|| item.member("name")).and_then(Node::text));
                    self.depth += 1;
                    opened.extend(name.and_then(|name| self.role(name, "main", scope)).unwrap_or_default());
                    self.depth -= 1;
                }
            }
        }
        let mut own = scope.clone();
        own.folders.insert(0, folder.clone());
        own.layers.insert(0, self.vars_of(&folder.join("defaults/main")).into());
        own.layers.push(self.vars_of(&folder.join("vars/main")).into());
        if let Some(path) = self.world.files.first(&[folder.join("handlers/main")]) {
            let mut handlers = Vec::new();
            self.file(&path, &own, &Outer::default(), &mut handlers);
            self.handlers.append(&mut handlers);
        }
        opened.push((main, own));
        Some(opened)
    }

    /// The variables in a file.
    pub fn vars_of(&self, path: &Path) -> Layer {
        let written = self.world.files.first(&[path.to_owned()]).and_then(|path| keys::file(self.world, &path));
        written.map(|written| keys::layer(self.world, &written.node, &written.source, false)).unwrap_or_default()
    }
}

/// The module of tasks that run after a failure only.
pub const RESCUE: &str = "rescue";

/// What holds inside of a block or an include.
pub fn inside(outer: &Outer, members: &[(Key, Node)], scope: &Scope) -> Outer {
    let mut outer = outer.clone();
    for (key, value) in members {
        match key.text.as_str() {
            "when" => outer.whens.push((value.clone(), scope.clone())),
            "become" => outer.become_root = Some(value.clone()),
            "become_user" => outer.become_user = Some(value.clone()),
            "environment" => outer.environment.push(value.clone()),
            "ignore_errors" => outer.ignore_errors = keys::is_true(value),
            _ => {}
        }
    }
    outer
}

/// Whether this is a value that our reader could not take as it stands.
pub fn is_tagged(node: &Node) -> bool {
    node.member(yaml::TAGGED).is_some()
}
