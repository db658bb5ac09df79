//! What the translation of an Ansible playbook knows: its variables, what tasks have registered, and what has been written so far.

mod names;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::import::document::Document;
use crate::import::files::{Files, Written};
use crate::import::jinja::{self, Why};
use crate::import::report::Report;
use crate::import::yaml::Yaml;
use crate::playbook::Position;
use crate::playbook::node::{Key, Node, NodeKind};
use crate::playbook::yaml::TAGGED;
use names::Seen;

/// Variables of one place.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// By name.
    pub vars: IndexMap<String, Written>,
    /// Whether they hold for some tasks only (a loop, a block), so that the playbook as a whole cannot have them.
    pub is_local: bool,
}

/// The variables a task sees; what stands later counts.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// From the least to the most particular.
    pub layers: Vec<Rc<Layer>>,
    /// The folders of the role it belongs to, and of the playbook: where its files are looked for.
    pub folders: Vec<PathBuf>,
}

impl Scope {
    /// The same with more variables.
    #[must_use]
    pub fn with(&self, layer: Layer) -> Self {
        let mut scope = self.clone();
        scope.layers.push(Rc::new(layer));
        scope
    }

    fn find(&self, name: &str) -> Option<(&Written, bool)> {
        self.layers.iter().rev().find_map(|layer| Some((layer.vars.get(name)?, layer.is_local)))
    }
}

/// The key of a repository: its address or text, its fingerprint, and its digest.
pub type RepositoryKey = (String, Option<String>, Option<String>);

/// What a task has registered.
#[derive(Debug, Clone)]
pub enum Registered {
    /// A `command` step that only looks; and what it runs, in the words of a guard.
    Query { id: String, program: Yaml, may_fail: bool },
    /// A secret.
    Secret(String),
    /// Whether there is something at a path: a step that looks, and the path.
    Stat { id: String, path: String },
    /// Steps that may change something.
    Steps(Vec<String>),
    /// Nothing that could be asked for; why.
    Nothing(Why),
}

/// What a variable of the whole playbook has become.
#[derive(Debug, Clone)]
enum Global {
    Busy,
    Declared(String),
    Inline(Yaml),
    Failed(Why),
}

/// What is known and written so far.
pub struct World {
    /// The files of the original.
    pub files: Files,
    /// What became of everything.
    pub report: RefCell<Report>,
    /// The playbook.
    pub document: RefCell<Document>,
    /// What tasks have registered, by name.
    pub registered: RefCell<HashMap<String, Registered>>,
    /// Every variable of the original.
    pub seen: RefCell<Vec<(Key, Written)>>,
    /// Where variables of the original were used.
    pub used: RefCell<BTreeSet<Position>>,
    /// What `set_fact` has set, by name.
    pub set: RefCell<HashMap<String, Written>>,
    /// Keys of repositories (`apt_key`, `get_url`) that wait for a repository.
    pub keys: RefCell<Vec<RepositoryKey>>,
    globals: RefCell<BTreeMap<(Position, String), Global>>,
    defaults: RefCell<HashMap<String, String>>,
    ids: RefCell<BTreeSet<String>>,
    counter: Cell<usize>,
    depth: Cell<usize>,
}

impl World {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(files: Files) -> Self {
        Self {
            files,
            report: RefCell::default(),
            document: RefCell::default(),
            registered: RefCell::default(),
            seen: RefCell::default(),
            used: RefCell::default(),
            set: RefCell::default(),
            depth: Cell::new(0),
            keys: RefCell::default(),
            globals: RefCell::default(),
            defaults: RefCell::default(),
            ids: RefCell::default(),
            counter: Cell::new(0),
        }
    }

    /// A new id that looks like this name.
    pub fn id(&self, name: &str) -> String {
        let mut id = String::new();
        for letter in name.to_ascii_lowercase().chars() {
            if letter.is_ascii_alphanumeric() {
                id.push(letter);
            } else if !id.ends_with('-') && !id.is_empty() {
                id.push('-');
            }
        }
        let id = id.trim_matches('-');
        let mut id: String = id.chars().take(48).collect::<String>().trim_end_matches('-').to_owned();
        if !id.starts_with(|c: char| c.is_ascii_alphabetic()) {
            id = if id.is_empty() { "step".to_owned() } else { format!("step-{id}") };
        }
        let mut ids = self.ids.borrow_mut();
        if !ids.insert(id.clone()) {
            loop {
                self.counter.set(self.counter.get() + 1);
                let other = format!("{id}-{}", self.counter.get() + 1);
                if ids.insert(other.clone()) {
                    return other;
                }
            }
        }
        id
    }

    /// A secret of this name, from there; gives the name that it has here.
    pub fn secret(&self, name: &str, from: &str) -> String {
        let mut document = self.document.borrow_mut();
        if let Some((known, _)) = document.secrets.iter().find(|(_, known)| known.text() == Some(from)) {
            return known.clone();
        }
        let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let mut name: String = name.trim_matches('/').chars().map(letters).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name = format!("secret_{name}");
        }
        while document.secrets.contains_key(&name) {
            name += "_2";
        }
        document.secrets.insert(name.clone(), from.into());
        name
    }

    /// The value that a text names, when it is one expression that names one: for loops.
    pub fn node(&self, text: &str, scope: &Scope) -> Option<Written> {
        let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map_or(text, str::trim);
        let mut words = inner.split('.').map(str::trim);
        let (written, _) = scope.find(words.next()?)?;
        self.used.borrow_mut().insert(written.source.position(written.node.mark));
        let mut node = &written.node;
        for word in words {
            node = node.member(word)?;
        }
        let written = Written { source: Arc::clone(&written.source), node: node.clone() };
        match written.node.text() {
            Some(text) if text.trim().starts_with("{{") => self.node(text, scope),
            _ => Some(written),
        }
    }

    /// A value of the original, as one of ours.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub fn value(&self, node: &Node, scope: &Scope) -> Result<Yaml, Why> {
        let names = Seen { world: self, scope };
        Ok(match &node.kind {
            NodeKind::Scalar { text, plain: true } if is_word(text) => Yaml::Word(as_word(text)),
            NodeKind::Scalar { text, .. } => jinja::value(text, &names)?,
            NodeKind::List(items) => Yaml::List(items.iter().map(|item| self.value(item, scope)).collect::<Result<_, _>>()?),
            NodeKind::Map(members) => {
                let mut all = Vec::new();
                for (key, value) in members {
                    if key.text == TAGGED {
                        return Err(
                            "a value with a YAML tag (`!vault`, `!unsafe`) is not read: keep the secret in Parameter Store"
                                .into(),
                        );
                    }
                    match self.value(value, scope) {
                        Err(why) if why == jinja::OMITTED => {}
                        value => all.push((jinja::text(&key.text, &names)?, value?)),
                    }
                }
                Yaml::Map(all)
            }
        })
    }

    /// A condition, as a bare expression.
    ///
    /// # Errors
    /// Why it cannot be said.
    pub fn condition(&self, text: &str, scope: &Scope) -> Result<String, Why> {
        let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(text).trim();
        jinja::expression(inner, &Seen { world: self, scope })
    }

    /// What the names of this place mean.
    #[must_use]
    pub fn names<'w>(&'w self, scope: &'w Scope) -> Seen<'w> {
        Seen { world: self, scope }
    }

    /// Why a variable could not be translated, where it could not.
    pub fn failure(&self, name: &str, written: &Written) -> Option<Why> {
        match self.globals.borrow().get(&(written.source.position(written.node.mark), name.to_owned())) {
            Some(Global::Failed(why)) => Some(why.clone()),
            _ => None,
        }
    }

    fn global(&self, name: &str, written: &Written, scope: &Scope) -> Global {
        let key = (written.source.position(written.node.mark), name.to_owned());
        if let Some(known) = self.globals.borrow().get(&key) {
            return known.clone();
        }
        self.globals.borrow_mut().insert(key.clone(), Global::Busy);
        let became = match self.value(&written.node, scope) {
            Ok(value) if fits_vars(&value) => Global::Declared(self.declare(name, value)),
            Ok(value) => Global::Inline(value),
            Err(why) => Global::Failed(format!("the variable `{name}` has no translation: {why}")),
        };
        self.globals.borrow_mut().insert(key, became.clone());
        became
    }

    /// Writes a variable; gives the name that it has here.
    fn declare(&self, name: &str, value: Yaml) -> String {
        let mut document = self.document.borrow_mut();
        let mut ours = name.to_owned();
        if RESERVED.contains(&name) {
            ours += "_value";
        }
        while document.vars.get(&ours).is_some_and(|known| *known != value) {
            ours += "_2";
        }
        document.vars.insert(ours.clone(), value);
        ours
    }
}

/// Values made of values are no deeper than this, unless they are made of themselves.
const DEEPEST: usize = 40;

/// Names that mean something else here.
const RESERVED: [&str; 5] = ["secrets", "instance", "os", "steps", "name"];

/// Whether a value is fixed before the run.
fn fits_vars(value: &Yaml) -> bool {
    let mut fits = true;
    value.each_text(&mut |text| {
        fits &= !["secrets.", "os.", "instance.", "steps."].iter().any(|root| text.contains("{{") && text.contains(root));
    });
    // A map with these keys would be read as a declaration.
    let is_declaration = matches!(value, Yaml::Map(members) if members.iter().any(|(key, _)| ["required", "default", "one_of", "description"].contains(&key.as_str())));
    fits && !is_declaration
}

fn is_word(text: &str) -> bool {
    let truth = ["true", "false", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    let number = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
        && text.len() < 16;
    truth || number
}

fn as_word(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => "true".into(),
        "false" | "no" | "off" => "false".into(),
        _ => text.to_owned(),
    }
}
