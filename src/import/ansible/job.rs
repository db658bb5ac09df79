//! One task, for one item of its loop: its arguments, which are all accounted for, and what its conditions come to.

use std::cell::{Cell, RefCell};

use super::conditions::Conditions;
use super::keys;
use super::tasks::Task;
use super::world::{Scope, World};
use crate::import::document::Step;
use crate::import::jinja::{self, Why};
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;
use crate::playbook::node::{Key, Node, NodeKind};

/// What a module comes to.
pub enum Out {
    /// These steps.
    Steps(Vec<Step>),
    /// Nothing: the agent does it anyway, or there is nothing to do.
    NotNeeded(String),
}

impl From<Step> for Out {
    fn from(step: Step) -> Self {
        Self::Steps(vec![step])
    }
}

struct Argument {
    key: Key,
    value: Node,
    taken: Cell<bool>,
}

/// One task, for one item of its loop.
pub struct Job<'w> {
    /// What is known.
    pub world: &'w World,
    /// The task.
    pub task: &'w Task,
    /// The variables it sees.
    pub scope: Scope,
    /// When it runs.
    pub conditions: Conditions,
    arguments: Vec<Argument>,
    verdicts: RefCell<Vec<(Key, Verdict)>>,
    handled: RefCell<Vec<String>>,
}

impl<'w> Job<'w> {
    /// Reads the arguments: a map, `key=value` words, `args:`.
    ///
    /// # Errors
    /// When they are in none of these forms.
    pub fn new(world: &'w World, task: &'w Task, scope: Scope, conditions: Conditions) -> Result<Self, Why> {
        let mut arguments = Vec::new();
        let argument = |key: Key, value: Node| Argument { key, value, taken: Cell::new(false) };
        match &task.body.kind {
            NodeKind::Map(members) => arguments.extend(members.iter().map(|(key, value)| argument(key.clone(), value.clone()))),
            NodeKind::Scalar { text, .. } if text.is_empty() => {}
            NodeKind::Scalar { text, .. } => {
                let mark = task.body.mark;
                for (key, value) in words(text, FREE_FORM.contains(&task.module.as_str())) {
                    arguments.push(argument(
                        Key { text: key, mark },
                        Node { mark, kind: NodeKind::Scalar { text: value, plain: false } },
                    ));
                }
            }
            NodeKind::List(_) => return Err(format!("`{}` takes a map of arguments", task.module)),
        }
        for (_, args) in task.keywords.iter().filter(|(key, _)| key.text == "args") {
            arguments.extend(args.members().iter().map(|(key, value)| argument(key.clone(), value.clone())));
        }
        Ok(Self { world, task, scope, conditions, arguments, verdicts: RefCell::default(), handled: RefCell::default() })
    }

    /// An argument as it is written.
    pub fn node(&self, names: &[&str]) -> Option<&Node> {
        let found = self.arguments.iter().find(|argument| names.contains(&argument.key.text.as_str()))?;
        found.taken.set(true);
        Some(&found.value)
    }

    /// An argument as a value.
    pub fn value(&self, names: &[&str]) -> Result<Option<Yaml>, Why> {
        let Some(node) = self.node(names).filter(|node| !node.is_empty()) else { return Ok(None) };
        match self.world.value(node, &self.scope) {
            Err(why) if why == jinja::OMITTED => Ok(None),
            other => other.map(Some),
        }
    }

    /// An argument as text.
    pub fn text(&self, names: &[&str]) -> Result<Option<String>, Why> {
        match self.value(names)? {
            None => Ok(None),
            Some(value) => match value.text() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(format!("`{}` is a list or a map here", names.first().unwrap_or(&"it"))),
            },
        }
    }

    /// An argument that must be there.
    pub fn needed(&self, names: &[&str]) -> Result<String, Why> {
        self.text(names)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("`{}` is missing", names.first().unwrap_or(&"it")))
    }

    /// A switch; an expression is none.
    pub fn flag(&self, names: &[&str]) -> Result<Option<bool>, Why> {
        match self.text(names)?.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true" | "yes" | "on" | "1") => Ok(Some(true)),
            Some("false" | "no" | "off" | "0") => Ok(Some(false)),
            Some(_) => Err(format!("`{}` depends on something: a step here is one or the other", names.first().unwrap_or(&"it"))),
        }
    }

    /// A list: as such, or with commas.
    pub fn list(&self, names: &[&str]) -> Result<Option<Vec<String>>, Why> {
        Ok(match self.value(names)? {
            None => None,
            Some(Yaml::List(items)) => {
                let texts = items.iter().map(|item| item.text().map(str::to_owned));
                Some(
                    texts
                        .collect::<Option<Vec<_>>>()
                        .ok_or_else(|| format!("`{}` holds more than texts", names.first().unwrap_or(&"it")))?,
                )
            }
            Some(Yaml::Map(_)) => return Err(format!("`{}` is a map here", names.first().unwrap_or(&"it"))),
            Some(value) => {
                let text = value.text().unwrap_or_default();
                if text.contains("{{") {
                    Some(vec![text.to_owned()])
                } else {
                    Some(text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
                }
            }
        })
    }

    /// An argument that needs nothing here, for this reason.
    pub fn not_needed(&self, name: &str, why: &str) {
        self.judge(name, Verdict::NotNeeded(why.to_owned()));
    }

    /// What became of an argument or keyword.
    pub fn judge(&self, name: &str, verdict: Verdict) {
        if let Some(argument) = self.arguments.iter().find(|argument| argument.key.text == name) {
            argument.taken.set(true);
            self.verdicts.borrow_mut().push((argument.key.clone(), verdict));
        } else if let Some((key, _)) = self.task.keywords.iter().find(|(key, _)| key.text == name) {
            self.handled.borrow_mut().push(name.to_owned());
            self.verdicts.borrow_mut().push((key.clone(), verdict));
        }
    }

    /// A difference that somebody should know of, without an argument of its own.
    pub fn differs(&self, why: &str) {
        self.verdicts.borrow_mut().push((self.task.key.clone(), Verdict::Differs(why.to_owned())));
    }

    /// A keyword of the task.
    pub fn keyword(&self, name: &str) -> Option<&Node> {
        self.task.keywords.iter().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }

    /// A keyword that the module itself has taken care of.
    pub fn takes(&self, name: &str) -> Option<&Node> {
        self.handled.borrow_mut().push(name.to_owned());
        self.keyword(name)
    }

    /// Whether the module has taken care of a keyword.
    pub fn has_taken(&self, name: &str) -> bool {
        self.handled.borrow().iter().any(|taken| taken == name)
    }

    /// The account it acts as, where that is not root.
    pub fn account(&self) -> Result<Option<String>, Why> {
        let becomes = self.keyword("become").or(self.task.outer.become_root.as_ref());
        let user = self.keyword("become_user").or(self.task.outer.become_user.as_ref());
        match (becomes, user) {
            (Some(switch), Some(user)) if keys::is_true(switch) => {
                let user = self.world.value(user, &self.scope)?;
                Ok(user.text().filter(|user| *user != "root").map(str::to_owned))
            }
            _ => Ok(None),
        }
    }

    /// The arguments that nobody asked for are left out; with what was said about the others.
    pub fn verdicts(&self) -> Vec<(Key, Verdict)> {
        let mut all = self.verdicts.borrow().clone();
        for argument in &self.arguments {
            if !argument.taken.get() {
                let why = format!("a step here has no equivalent for this argument of `{}`", self.task.module);
                all.push((argument.key.clone(), Verdict::LeftOut(why)));
            } else if !all.iter().any(|(key, _)| *key == argument.key) {
                all.push((argument.key.clone(), Verdict::Translated));
            }
        }
        all
    }
}

/// The modules whose text is a command line.
const FREE_FORM: [&str; 4] = ["command", "shell", "raw", "script"];

/// `key=value` words; the rest of a free form is the command itself.
fn words(text: &str, free: bool) -> Vec<(String, String)> {
    const OPTIONS: [&str; 6] = ["creates", "removes", "chdir", "executable", "warn", "stdin"];
    let mut found = Vec::new();
    let mut command = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut end = rest.len();
        let (mut quote, mut braces) = (None, 0_i32);
        for (at, letter) in rest.char_indices() {
            match (quote, letter) {
                (Some(open), _) if open == letter => quote = None,
                (None, '"' | '\'') => quote = Some(letter),
                (None, '{') => braces += 1,
                (None, '}') => braces -= 1,
                (None, ' ' | '\n' | '\t') if braces <= 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (word, after) = rest.split_at(end);
        match word.split_once('=') {
            Some((key, value))
                if (!free || OPTIONS.contains(&key))
                    && key.chars().all(|c| c.is_alphanumeric() || c == '_')
                    && !key.is_empty() =>
            {
                let value = ["\"", "'"].iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
                found.push((key.to_owned(), value.to_owned()));
            }
            // Blanks and line breaks of a script stay as they are.
            _ if free && found.is_empty() && !OPTIONS.iter().any(|option| rest.contains(&format!(" {option}="))) => {
                command.push(rest.to_owned());
                break;
            }
            _ => command.push(word.to_owned()),
        }
        rest = after.trim_start();
    }
    if !command.is_empty() {
        found.insert(0, ("_raw_params".to_owned(), command.join(" ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn old_arguments_are_words() {
        let pairs = |text, free| {
            words(text, free).into_iter().map(|(key, value)| format!("{key}<{value}>")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(pairs("name=nginx state={{ x | d('a b') }} a='b c'", false), "name<nginx> state<{{ x | d('a b') }}> a<b c>");
        assert_eq!(pairs("make A=1 install creates=/x chdir=/y", true), "_raw_params<make A=1 install> creates</x> chdir</y>");
        assert_eq!(pairs("a b\n  c | d\n", true), "_raw_params<a b\n  c | d>");
    }
}
