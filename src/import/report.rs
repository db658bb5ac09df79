//! What became of every task and every key of the original: translated, different in a way worth knowing, not needed, or left out.

use serde_json::{Value as Json, json};

use crate::playbook::{Position, Problem};

/// What became of something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It says the same in the playbook.
    Translated,
    /// The agent does this anyway, or it means nothing here; for this reason.
    NotNeeded(String),
    /// It is there, with this difference.
    Differs(String),
    /// It is not there, for this reason.
    LeftOut(String),
}

impl Verdict {
    /// As the report calls it, and why.
    #[must_use]
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Translated => ("translated", None),
            Self::NotNeeded(why) => ("not needed", Some(why)),
            Self::Differs(why) => ("differs", Some(why)),
            Self::LeftOut(why) => ("left out", Some(why)),
        }
    }

    fn is_left_out(&self) -> bool {
        matches!(self, Self::LeftOut(_))
    }
}

/// Something of the original.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it stands.
    pub at: Position,
    /// The line, for people.
    pub excerpt: String,
    /// What it is, in words.
    pub what: String,
    /// The task it belongs to; itself for a task.
    pub task: Position,
    /// Whether it is a task, and no key of one.
    pub is_task: bool,
    /// What became of it.
    pub verdict: Verdict,
}

/// Everything that became of an original.
#[derive(Debug, Default)]
pub struct Report {
    items: Vec<Item>,
}

/// How many there are, and how many of them are in the playbook or not needed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// In the playbook, or not needed there.
    pub done: usize,
    /// All.
    pub all: usize,
    /// What they are.
    pub what: &'static str,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = (self.done * 100).checked_div(self.all).unwrap_or(100);
        write!(f, "{} of {} {} ({percent} %)", self.done, self.all, self.what)
    }
}

impl Report {
    /// Says what became of something. What was met more than once (a loop, a file included twice) keeps its worst fate.
    pub fn add(&mut self, item: Item) {
        match self.items.iter_mut().find(|known| known.at == item.at && known.what == item.what) {
            Some(known) if known.verdict < item.verdict => known.verdict = item.verdict,
            Some(_) => {}
            None => self.items.push(item),
        }
    }

    /// Says that a task is not in the playbook after all.
    pub fn leave_out(&mut self, task: &Position, why: &str) {
        for item in self.items.iter_mut().filter(|item| item.is_task && item.at == *task) {
            item.verdict = Verdict::LeftOut(why.to_owned());
        }
    }

    /// Says the same of a variable or another key, by its name.
    pub fn leave_out_key(&mut self, name: &str, why: &str) {
        let what = format!("`{name}`");
        for item in self.items.iter_mut().filter(|item| !item.is_task && item.what == what) {
            item.verdict = Verdict::LeftOut(why.to_owned());
        }
    }

    /// Everything, in the order of the files.
    #[must_use]
    pub fn items(&self) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_by(|a, b| a.at.cmp(&b.at));
        items
    }

    fn is_lost(&self, task: &Position) -> bool {
        self.items.iter().any(|item| item.is_task && item.at == *task && item.verdict.is_left_out())
    }

    fn share(&self, tasks: bool) -> Share {
        let of_kind = self.items.iter().filter(|item| item.is_task == tasks);
        let what = if tasks { "tasks" } else { "keys" };
        of_kind.fold(Share { what, ..Share::default() }, |share, item| {
            let done = !item.verdict.is_left_out() && !self.is_lost(&item.task);
            Share { done: share.done + usize::from(done), all: share.all + 1, what }
        })
    }

    /// Of the tasks.
    #[must_use]
    pub fn tasks(&self) -> Share {
        self.share(true)
    }

    /// Of the keys: the arguments and keywords of tasks, and what stands around them.
    #[must_use]
    pub fn keys(&self) -> Share {
        self.share(false)
    }

    /// For people: what was not translated, line by line, and the share at the end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for item in self.items() {
            let (word, Some(why)) = item.verdict.words() else { continue };
            // The keys of a task that is left out are left out with it.
            if !item.is_task && self.is_lost(&item.task) {
                continue;
            }
            let problem = Problem {
                position: Some(item.at.clone()),
                excerpt: item.verdict.is_left_out().then(|| item.excerpt.clone()),
                message: format!("{}: {why}", item.what),
                hint: None,
            };
            text += &problem.draw(word);
        }
        text + &format!("translated {} and {}\n", self.tasks(), self.keys())
    }

    /// For programs: a line for everything, and one with the share.
    #[must_use]
    pub fn json(&self) -> Vec<Json> {
        let mut lines: Vec<Json> = self
            .items()
            .into_iter()
            .map(|item| {
                let (word, why) = item.verdict.words();
                json!({
                    "file": item.at.file.to_string(),
                    "line": item.at.line,
                    "column": item.at.column,
                    "is": if item.is_task { "task" } else { "key" },
                    "what": item.what,
                    "became": word.replace(' ', "_"),
                    "because": why,
                })
            })
            .collect();
        let share = |share: Share| json!({ "translated": share.done, "all": share.all });
        lines.push(json!({ "tasks": share(self.tasks()), "keys": share(self.keys()) }));
        lines
    }
}
