//! The files that a playbook is made of: itself, and those that its `include` entries name. Each has steps and variables of its own;
//! an included one is known to the others by the name of its entry, which stands before the ids of its steps: `base/code`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::document;
use super::expression;
use super::frame::Frame;
use super::names::Declared;
use super::node::{Node, NodeKind};
use super::shape::did_you_mean;
use super::source::{Mark, Source};
use super::vars::{self, Giver, Vars};
use super::{Problem, Scope, yaml};
use crate::host::documents::Beside;

/// The key of an entry that stands for the steps of another file.
pub const INCLUDE: &str = "include";
/// What stands between the name of an included file and the ids of its steps.
const WITHIN: char = '/';
/// Files that include each other deeper than this are a joke.
const DEEPEST: usize = 8;
/// What an included file may say.
const KEYS: [&str; 3] = ["version", "vars", "steps"];
/// A few lines must not become thousands of steps.
const MOST: usize = 100;

/// One file: its steps, and what they share.
pub struct Part {
    /// Its text, its names, and the files beside the playbook.
    pub frame: Arc<Frame>,
    /// Its steps, in the order in which they are written.
    pub items: Vec<Item>,
}

/// One entry of `steps:`.
pub enum Item {
    /// A step.
    Step(Node),
    /// The steps of another file, and the name they are known by.
    Included(String, Part),
}

impl Part {
    /// The ids of its steps as its own expressions name them, with where they stand.
    fn ids(items: &[Item]) -> Vec<(String, Option<Mark>)> {
        let of = |item: &Item| match item {
            Item::Step(node) => {
                let id = node.member("id").and_then(|id| Some((id.text()?.to_owned(), Some(id.mark))));
                id.into_iter().collect()
            }
            Item::Included(name, part) => part.known_outside(name).map(|id| (id, None)).collect::<Vec<_>>(),
        };
        items.iter().flat_map(of).collect()
    }

    /// The ids of its steps as the file that includes it names them.
    pub fn known_outside<'p>(&'p self, name: &'p str) -> impl Iterator<Item = String> + 'p {
        self.frame.declared.steps.iter().map(move |id| format!("{name}{WITHIN}{id}"))
    }
}

/// Reads the parts of one playbook.
pub struct Parts<'d> {
    scope: &'d Scope,
    problems: &'d mut Vec<Problem>,
    /// The files that are being read, the innermost last.
    chain: Vec<PathBuf>,
    /// How many files were included so far.
    included: usize,
}

impl<'d> Parts<'d> {
    /// With the playbook's own variables in scope.
    pub fn new(scope: &'d Scope, problems: &'d mut Vec<Problem>) -> Self {
        Self { scope, problems, chain: Vec::new(), included: 0 }
    }

    /// The part that this list of steps is, with all that it includes.
    pub fn read(&mut self, steps: &[Node], source: Arc<Source>, declared: Declared, beside: Beside) -> Part {
        let without_steps = Frame { source, declared: Arc::new(declared), beside };
        let mut items: Vec<Item> = Vec::new();
        for node in steps {
            if node.member(INCLUDE).is_none() {
                items.push(Item::Step(node.clone()));
            } else if let Some((name, part)) = self.included(node, &without_steps) {
                if items.iter().any(|item| matches!(item, Item::Included(known, _) if *known == name)) {
                    let problem = without_steps.source.problem(node.mark, format!("two files are included as `{name}`"));
                    self.problems.push(problem.hint("give one of them an `id` of its own"));
                }
                items.push(Item::Included(name, part));
            }
        }
        let steps = self.unique(Part::ids(&items), &without_steps.source);
        let declared = Declared { steps, ..(*without_steps.declared).clone() };
        Part { frame: Arc::new(Frame { declared: Arc::new(declared), ..without_steps }), items }
    }

    /// The ids, each once.
    fn unique(&mut self, ids: Vec<(String, Option<Mark>)>, source: &Source) -> Vec<String> {
        let mut seen: IndexMap<String, Option<Mark>> = IndexMap::new();
        for (id, mark) in ids {
            match (seen.get(&id), mark) {
                (Some(Some(first)), Some(mark)) => {
                    let message = format!("the id `{id}` is here twice; first in line {}", first.line);
                    self.problems.push(source.problem(mark, message).hint("ids are how steps name each other; choose another"));
                }
                (Some(_), _) => {}
                (None, mark) => {
                    seen.insert(id, mark);
                }
            }
        }
        seen.into_keys().collect()
    }

    /// One `include` entry: the name of its steps, and the file that it names.
    fn included(&mut self, entry: &Node, outer: &Frame) -> Option<(String, Part)> {
        let body = entry.member(INCLUDE)?;
        let (file, vars) = self.fields(entry, body, outer)?;
        let name = self.name(entry, file, outer)?;
        let path = self.path(file, outer)?;
        let (source, root) = self.document(&path, file, outer)?;
        let mut scope = self.scope.clone();
        scope.vars.clear();
        let bare = Frame { source: Arc::clone(&source), declared: Arc::default(), beside: outer.beside.clone() };
        let giver = Giver::Include { vars, mark: body.mark, frame: outer, scope: self.scope };
        let Vars { values, names } = vars::resolve(root.member("vars"), &giver, &bare, &scope, self.problems);
        let declared = Declared {
            vars: names,
            secrets: outer.declared.secrets.clone(),
            steps: Vec::new(),
            namespace: format!("{}{name}{WITHIN}", outer.declared.namespace),
            own_vars: Some(Arc::new(values)),
        };
        let steps = document::steps_of(&root, &source, self.problems);
        self.chain.push(path);
        let part = self.read(steps, source, declared, outer.beside.clone());
        self.chain.pop();
        Some((name, part))
    }

    /// What the entry says: the file, and values for its variables.
    fn fields<'n>(&mut self, entry: &'n Node, body: &'n Node, outer: &Frame) -> Option<(&'n Node, Option<&'n Node>)> {
        let source = &outer.source;
        let before = self.problems.len();
        for (key, _) in entry.members() {
            if ![INCLUDE, "id"].contains(&key.text.as_str()) && !key.text.starts_with("x-") {
                let problem = source.problem(key.mark, format!("an `include` takes an `id` beside it, not `{}`", key.text));
                self.problems.push(problem.hint("say it at the steps of the file"));
            }
        }
        for (key, _) in body.members() {
            if !["file", "vars"].contains(&key.text.as_str()) && !key.text.starts_with("x-") {
                let problem = source.problem(key.mark, format!("unknown key `{}`", key.text));
                self.problems.push(Problem { hint: did_you_mean(&key.text, ["file", "vars"]), ..problem });
            }
        }
        // A bare name is the one obvious field.
        let file = if matches!(body.kind, NodeKind::Scalar { .. }) { Some(body) } else { body.member("file") };
        match file.filter(|file| file.text().is_some_and(|text| !text.is_empty() && !expression::is_in(text))) {
            Some(file) => Some((file, body.member("vars"))),
            None if self.problems.len() > before => None,
            None => {
                let mark = file.map_or(body.mark, |file| file.mark);
                let problem = source.problem(mark, "`include` needs the name of a `file` beside the playbook, as it stands");
                self.problems.push(problem.hint("write `include: { file: base.yaml, vars: { … } }`"));
                None
            }
        }
    }

    /// The entry's `id`, or the file's name without its ending.
    fn name(&mut self, entry: &Node, file: &Node, outer: &Frame) -> Option<String> {
        let stem = || Path::new(file.text()?).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let (name, mark) = match entry.member("id") {
            Some(id) => (id.text().unwrap_or_default().to_owned(), id.mark),
            None => (stem().unwrap_or_default(), file.mark),
        };
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if plain {
            return Some(name);
        }
        let problem = outer.source.problem(mark, format!("`{name}` cannot stand before the ids of steps"));
        self.problems.push(problem.hint("give the entry an `id` of letters, digits, `_` and `-`"));
        None
    }

    /// The file's path beside the playbook, if reading it ends.
    fn path(&mut self, file: &Node, outer: &Frame) -> Option<PathBuf> {
        let text = file.text().unwrap_or_default();
        let mut refuse = |message: String, hint: &str| -> Option<PathBuf> {
            self.problems.push(outer.source.problem(file.mark, message).hint(hint));
            None
        };
        let inside = Path::new(text).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return refuse(
                format!("`{text}` must lie beside the playbook"),
                "the path is relative to the playbook's folder, without `..`",
            );
        }
        let path: PathBuf = Path::new(text).components().filter(|part| *part != Component::CurDir).collect();
        if self.chain.contains(&path) {
            let names: Vec<String> = self.chain.iter().chain([&path]).map(|path| format!("`{}`", path.display())).collect();
            return refuse(format!("this file includes itself: {}", names.join(", then ")), "take one of the entries out");
        }
        if self.chain.len() >= DEEPEST {
            return refuse(format!("files include each other more than {DEEPEST} deep"), "name the innermost file here");
        }
        self.included += 1;
        if self.included > MOST {
            // Once is enough.
            return if self.included == MOST + 1 {
                refuse(format!("more than {MOST} files are included"), "use fewer")
            } else {
                None
            };
        }
        Some(path)
    }

    /// The file's text and what it says, when it is one that can be included.
    fn document(&mut self, path: &Path, file: &Node, outer: &Frame) -> Option<(Arc<Source>, Node)> {
        let text = outer.beside.read(path, yaml::LARGEST).map_err(|error| {
            let problem = outer.source.problem(file.mark, format!("the file `{}` cannot be read: {error}", path.display()));
            Problem { hint: error.advice().map(str::to_owned), ..problem }
        });
        let text = text.and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|_| outer.source.problem(file.mark, format!("the file `{}` is not UTF-8 text", path.display())))
        });
        let text = match text {
            Ok(text) => text,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let source = Arc::new(Source::new(&outer.beside.name_of(path), &text));
        let root = match yaml::read(&source, &text) {
            Ok(root) => root,
            Err(found) => {
                self.problems.extend(found.0);
                return None;
            }
        };
        if let Err(problem) = document::version(&root, &source) {
            self.problems.push(problem);
            return None;
        }
        for (key, _) in root.members() {
            if !KEYS.contains(&key.text.as_str()) && !key.text.starts_with("x-") {
                let problem = source.problem(key.mark, format!("an included file has `vars` and `steps`, and no `{}`", key.text));
                let hint = if document::KEYS.contains(&key.text.as_str()) {
                    Some("it belongs into the playbook, and what it says counts here too".to_owned())
                } else {
                    did_you_mean(&key.text, KEYS)
                };
                self.problems.push(Problem { hint, ..problem });
            }
        }
        Some((source, root))
    }
}

#[cfg(test)]
mod tests;
