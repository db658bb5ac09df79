//! The playbook that is written: its blocks, its steps, and in the place of what could not be translated a comment that says so.

use indexmap::IndexMap;

use super::yaml::{Yaml, block, scalar};
use crate::playbook::Position;

/// A step that is written.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// The type.
    pub kind: &'static str,
    /// What other steps may call it; written only when one does.
    pub id: String,
    /// What it is called in output.
    pub name: Option<String>,
    /// When it is wanted.
    pub when: Option<String>,
    /// How often it is repeated.
    pub retries: Option<String>,
    /// Whether the run goes on without it.
    pub may_fail: bool,
    /// The fields of its type.
    pub fields: Vec<(String, Yaml)>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// Names of the handlers that run after it has changed something.
    pub notify: Vec<String>,
    /// It only finds something out, so that it goes where nobody asks.
    pub is_question: bool,
}

impl Step {
    /// A step of this type.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// The same with this field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Yaml>) -> Self {
        self.set(key, value);
        self
    }

    /// The same with this field, where there is a value.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Gives a field its value.
    pub fn set(&mut self, key: &str, value: impl Into<Yaml>) {
        let value = value.into();
        match self.fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.fields.push((key.to_owned(), value)),
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The text of a field.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Yaml::text)
    }

    /// Removes a field.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(known, _)| known != key);
    }

    /// Lets this one follow the steps of these ids: `restart_on` and its like.
    pub fn follow(&mut self, key: &str, ids: &[String]) {
        let mut all = self.followed(key);
        for id in ids.iter().filter(|id| **id != self.id) {
            if !all.contains(id) {
                all.push(id.clone());
            }
        }
        if !all.is_empty() {
            self.set(key, all);
        }
    }

    /// The ids that it follows.
    #[must_use]
    pub fn followed(&self, key: &str) -> Vec<String> {
        match self.get(key) {
            Some(Yaml::List(items)) => items.iter().filter_map(Yaml::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// The keys whose values are ids of steps.
pub const FOLLOWING: [&str; 3] = ["restart_on", "reload_on", "on_change"];

/// A part of `steps:`.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The task it comes from.
    pub at: Position,
    /// The lines of the original.
    pub lines: Vec<String>,
    /// What became of it.
    pub content: Content,
}

/// What became of a task.
#[derive(Debug, Clone)]
pub enum Content {
    /// A step.
    Step(Box<Step>),
    /// Nothing, for this reason; the original stays as a comment.
    LeftOut(String),
    /// Nothing, because the agent does it anyway.
    NotNeeded(String),
}

impl Piece {
    /// The step, where it is one.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        match &self.content {
            Content::Step(step) => Some(step),
            _ => None,
        }
    }

    /// The step, to change it.
    pub fn step_mut(&mut self) -> Option<&mut Step> {
        match &mut self.content {
            Content::Step(step) => Some(step),
            _ => None,
        }
    }
}

/// The whole playbook.
#[derive(Debug, Default)]
pub struct Document {
    /// What stands above everything, as comments.
    pub head: Vec<String>,
    /// Its name.
    pub name: String,
    /// Variables.
    pub vars: IndexMap<String, Yaml>,
    /// Where secrets come from.
    pub secrets: IndexMap<String, Yaml>,
    /// The `logs:` block.
    pub logs: Vec<(String, Yaml)>,
    /// The environment of every program.
    pub env: Vec<(String, Yaml)>,
    /// Steps and comments.
    pub pieces: Vec<Piece>,
}

/// A text, and which line belongs to what.
pub struct Written {
    /// The text.
    pub text: String,
    /// The first line of each piece, from 1.
    pub starts: Vec<usize>,
}

impl Document {
    /// Whether an expression or a list of ids names this step.
    #[must_use]
    pub fn is_named(&self, id: &str) -> bool {
        let dotted = format!("steps.{id}.");
        let mut named = false;
        for step in self.pieces.iter().filter_map(Piece::step) {
            named |= FOLLOWING.iter().any(|key| step.followed(key).iter().any(|one| one == id));
            named |= step.when.as_ref().is_some_and(|when| when.contains(&dotted));
            step.fields.iter().for_each(|(_, value)| value.each_text(&mut |text| named |= text.contains(&dotted)));
        }
        named
    }

    /// Removes the variables that nothing names; a template may name any.
    pub fn prune(&mut self) {
        if self.pieces.iter().filter_map(Piece::step).any(|step| step.get("template").is_some()) {
            return;
        }
        loop {
            let vars = std::mem::take(&mut self.vars);
            let values: String = vars.values().map(|value| value.after_key(0)).collect();
            let rest = self.write().text + &values;
            let count = vars.len();
            self.vars = vars.into_iter().filter(|(name, _)| rest.contains(name.as_str())).collect();
            if self.vars.len() == count {
                return;
            }
        }
    }

    /// As YAML.
    #[must_use]
    pub fn write(&self) -> Written {
        let mut text: String =
            self.head.iter().fold(String::new(), |text, line| text + &format!("# {}\n", line.replace('\n', " ")));
        text += &format!("version: 1\nname: {}\n", scalar(&self.name, false));
        let blocks = [("vars", &self.vars), ("secrets", &self.secrets)];
        for (key, members) in blocks.iter().filter(|(_, members)| !members.is_empty()) {
            let members: Vec<(String, Yaml)> = members.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            text += &format!("\n{key}:\n{}", block(&members, 2));
        }
        for (key, members) in [("logs", &self.logs), ("env", &self.env)] {
            if !members.is_empty() {
                text += &format!("\n{key}:\n{}", block(members, 2));
            }
        }
        let is_empty = !self.pieces.iter().any(|piece| piece.step().is_some());
        text += if is_empty { "\nsteps: []\n" } else { "\nsteps:\n" };
        let mut starts = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            starts.push(text.lines().count() + 1);
            text += &self.piece(piece);
        }
        Written { text, starts }
    }

    fn piece(&self, piece: &Piece) -> String {
        let at = &piece.at;
        match &piece.content {
            Content::Step(step) => {
                let notes: String =
                    step.notes.iter().fold(String::new(), |text, note| text + &format!("  # {}\n", in_one_line(note)));
                format!("  # {}:{}\n{notes}{}", at.file, at.line, self.step(step))
            }
            Content::NotNeeded(why) => format!("  # {}:{}: not needed: {}\n", at.file, at.line, in_one_line(why)),
            Content::LeftOut(why) => {
                let lines: String = piece.lines.iter().map(|line| format!("  #   {line}").trim_end().to_owned() + "\n").collect();
                format!("  # {}:{}: left out: {}\n{lines}", at.file, at.line, in_one_line(why))
            }
        }
    }

    fn step(&self, step: &Step) -> String {
        let mut members = Vec::new();
        if self.is_named(&step.id) {
            members.push(("id".to_owned(), Yaml::Text(step.id.clone())));
        }
        members.extend(step.name.clone().map(|name| ("name".to_owned(), Yaml::Text(name))));
        members.extend(step.when.clone().map(|when| ("when".to_owned(), Yaml::Text(when))));
        members.extend(step.retries.clone().map(|retries| ("retries".to_owned(), Yaml::Word(retries))));
        if step.may_fail {
            members.push(("may_fail".to_owned(), true.into()));
        }
        let run_as = step.get("run_as").cloned();
        members.extend(run_as.map(|account| ("run_as".to_owned(), account)));
        let fields: Vec<(String, Yaml)> = step.fields.iter().filter(|(key, _)| key != "run_as").cloned().collect();
        let body = match fields.as_slice() {
            [(key, value @ Yaml::List(_))] if key == "names" || key == "hosts" => value.clone(),
            _ => Yaml::Map(fields),
        };
        members.push((step.kind.to_owned(), body));
        format!("  - {}", block(&members, 4).trim_start_matches(' '))
    }
}

/// A comment ends with its line.
fn in_one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).map(str::trim).collect::<Vec<_>>().join(" ")
}
