//! What the names of a task mean: variables near and far, what tasks have registered, facts, lookups.

use super::{DEEPEST, Global, RESERVED, Registered, Scope, World};
use crate::import::ansible::facts;
use crate::import::files::Written;
use crate::import::jinja::{Meaning, Names, Why};
use crate::import::yaml::Yaml;
use crate::playbook::node::{Node, NodeKind};

/// The names that a task sees.
pub struct Seen<'w> {
    pub(super) world: &'w World,
    pub(super) scope: &'w Scope,
}

impl Names for Seen<'_> {
    fn meaning(&self, root: &str, path: &[String]) -> Result<Meaning, Why> {
        let set = self.world.set.borrow().get(root).cloned();
        let found = self.scope.find(root);
        if let Some((written, true)) = found {
            self.world.used.borrow_mut().insert(written.source.position(written.node.mark));
            if self.world.depth.get() > DEEPEST {
                return Err(format!("the variable `{root}` is made of itself"));
            }
            self.world.depth.set(self.world.depth.get() + 1);
            let meaning = self.local(root, path, written);
            self.world.depth.set(self.world.depth.get().saturating_sub(1));
            return meaning;
        }
        if let Some(written) = set.as_ref().or(found.map(|(written, _)| written)) {
            self.world.used.borrow_mut().insert(written.source.position(written.node.mark));
            return match self.world.global(root, written, self.scope) {
                Global::Busy => Err(format!("the variable `{root}` is made of itself")),
                Global::Declared(name) if missing_in(&written.node, path) => {
                    Ok(Meaning::Absent(format!("`{name}` has no `{}`", path.join("."))))
                }
                Global::Declared(name) => Ok(Meaning::Expression(dotted(&name, path))),
                Global::Inline(value) => within(root, value, path),
                Global::Failed(why) => Err(why),
            };
        }
        if let Some(registered) = self.world.registered.borrow().get(root) {
            return from_registered(root, path, registered);
        }
        if let Some(fact) = facts::named(root, path) {
            return Ok(Meaning::Expression(fact));
        }
        if self.world.defaults.borrow().contains_key(root) {
            return Ok(Meaning::Expression(dotted(root, path)));
        }
        Ok(Meaning::Absent(match root {
            "ansible_facts" | "hostvars" | "groups" | "group_names" => {
                format!("`{}` is not known on the machine itself", dotted(root, path))
            }
            _ if root.starts_with("ansible_") => format!("the fact `{root}` has no name here"),
            _ => format!("`{root}` is defined nowhere here; give it with `--set {root}=…`"),
        }))
    }

    fn lookup(&self, kind: &str, arguments: &[String]) -> Result<Meaning, Why> {
        let plain: Vec<&String> =
            arguments.iter().filter(|argument| !argument.contains('=') || argument.starts_with('/')).collect();
        let first = plain.first().map(|text| text.as_str()).unwrap_or_default();
        let by_path = arguments.iter().any(|argument| argument == "bypath=true" || argument == "bypath=True");
        match kind.rsplit('.').next().unwrap_or(kind) {
            "aws_ssm" | "ssm_parameter" if !first.is_empty() && !by_path => {
                let name = self.world.secret(first.rsplit('/').next().unwrap_or(first), &format!("ssm:{first}"));
                Ok(Meaning::Expression(format!("secrets.{name}")))
            }
            "aws_ssm" | "ssm_parameter" if by_path => {
                let path = first.trim_end_matches('/');
                let name = self.world.secret(path.rsplit('/').next().unwrap_or(path), &format!("ssm:{path}/*"));
                Ok(Meaning::Expression(format!("secrets.{name}")))
            }
            "aws_secret" | "secretsmanager_secret" if !first.is_empty() => {
                let name = self.world.secret(first.rsplit('/').next().unwrap_or(first), &format!("secretsmanager:{first}"));
                Ok(Meaning::Expression(format!("secrets.{name}")))
            }
            "file" => {
                let found = self.scope.folders.iter().flat_map(|folder| [folder.join("files").join(first), folder.join(first)]);
                let text = found.into_iter().find_map(|path| self.world.files.text(&path));
                text.map(|text| Meaning::Value(text.trim_end().into()))
                    .ok_or_else(|| format!("the file `{first}` is not beside the playbook"))
            }
            other => Err(format!("the lookup `{other}` asks the machine that Ansible runs on")),
        }
    }

    fn declare(&self, root: &str, literal: &str) -> bool {
        if RESERVED.contains(&root) || root.starts_with("ansible_") || self.world.registered.borrow().contains_key(root) {
            return false;
        }
        let value = match literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) if text.contains('\\') => return false,
            Some(text) => Yaml::Text(text.to_owned()),
            None => Yaml::Word(literal.to_owned()),
        };
        let mut document = self.world.document.borrow_mut();
        if document.vars.contains_key(root) {
            return false;
        }
        document.vars.insert(root.to_owned(), value);
        self.world.defaults.borrow_mut().insert(root.to_owned(), literal.to_owned());
        true
    }
}

impl Seen<'_> {
    fn local(&self, root: &str, path: &[String], written: &Written) -> Result<Meaning, Why> {
        let mut node = &written.node;
        for (index, word) in path.iter().enumerate() {
            let inner = match &node.kind {
                NodeKind::List(items) => word.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => node.member(word),
            };
            let Some(inner) = inner else {
                // What the value names may have it.
                if let Some(text) = node.text().filter(|text| text.trim().starts_with("{{"))
                    && let Some(named) = self.world.node(text, self.scope)
                {
                    return self.local(root, path.get(index..).unwrap_or_default(), &named);
                }
                return Ok(Meaning::Absent(format!("`{root}` has no `{}`", path.join("."))));
            };
            node = inner;
        }
        self.world.value(node, self.scope).map(Meaning::Value)
    }
}

fn missing_in(node: &Node, path: &[String]) -> bool {
    let mut node = node;
    for word in path {
        match &node.kind {
            NodeKind::Map(_) => match node.member(word) {
                Some(inner) => node = inner,
                None => return true,
            },
            _ => return false,
        }
    }
    false
}

fn within(root: &str, value: Yaml, path: &[String]) -> Result<Meaning, Why> {
    let mut value = value;
    for word in path {
        let Yaml::Map(members) = value else {
            let text = value.text().and_then(|text| text.strip_prefix("{{")).and_then(|rest| rest.strip_suffix("}}"));
            return text
                .map(|inner| Meaning::Expression(dotted(inner.trim(), path)))
                .ok_or_else(|| format!("`{root}` has no parts"));
        };
        match members.into_iter().find(|(key, _)| key == word) {
            Some((_, inner)) => value = inner,
            None => return Ok(Meaning::Absent(format!("`{root}` has no `{word}`"))),
        }
    }
    Ok(Meaning::Value(value))
}

fn dotted(name: &str, path: &[String]) -> String {
    let mut text = name.to_owned();
    for word in path {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = !is_number && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        text += &if is_name {
            format!(".{word}")
        } else if is_number {
            format!("[{word}]")
        } else {
            format!("[\"{word}\"]")
        };
    }
    text
}

fn from_registered(name: &str, path: &[String], registered: &Registered) -> Result<Meaning, Why> {
    let word = path.first().map(String::as_str).unwrap_or_default();
    match (registered, word) {
        (Registered::Query { id, .. }, "stdout") => Ok(Meaning::Expression(format!("steps.{id}.stdout"))),
        (Registered::Query { id, .. }, "stdout_lines") if path.len() == 1 => {
            Ok(Meaning::Expression(format!("(steps.{id}.stdout | lines)")))
        }
        (Registered::Query { id, .. }, "rc") => Ok(Meaning::Expression(format!("steps.{id}.exit_code"))),
        (Registered::Secret(secret), "stdout" | "value") => Ok(Meaning::Expression(format!("secrets.{secret}"))),
        (Registered::Stat { id, .. }, "stat") if path.get(1).is_some_and(|word| word == "exists") => {
            Ok(Meaning::Expression(format!("(steps.{id}.exit_code == 0)")))
        }
        (Registered::Nothing(why), _) => Err(format!("`{name}` has no value here: {why}")),
        (_, "") => Err(format!("`{name}` as a whole has no equivalent here")),
        (_, word) => Err(format!("`{name}.{word}` has no equivalent here")),
    }
}
