//! The names as the template engine sees them: objects that write down what was read.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, Serde};

use super::Without;
use crate::playbook::names::Declared;
use crate::playbook::{Fetched, Scope};
use crate::secret::Sensitive;
use crate::step;

/// What an evaluation has read so far.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    secret: bool,
    unknown: Option<String>,
    missing: Option<String>,
}

impl Ledger {
    fn write(&self, entry: impl FnOnce(&mut Entries)) {
        entry(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read<T>(&self, entry: impl FnOnce(&Entries) -> T) -> T {
        entry(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a secret was read.
    pub fn read_a_secret(&self) -> bool {
        self.read(|entries| entries.secret)
    }

    /// Begins to count secrets anew, for the members of a map of which each is secret or not by itself.
    pub fn forget_secrets(&self) {
        self.write(|entries| entries.secret = false);
    }

    /// The first unknown thing that was read.
    pub fn unknown(&self) -> Option<String> {
        self.read(|entries| entries.unknown.clone())
    }

    /// The last thing that was asked for and is not there.
    pub fn missing(&self) -> Option<String> {
        self.read(|entries| entries.missing.clone())
    }
}

/// What expressions can name, and what they have read of it.
#[derive(Debug)]
pub struct Names {
    pub scope: Scope,
    pub declared: Arc<Declared>,
    pub without: Without,
    pub ledger: Ledger,
}

/// The outermost names.
pub fn root(names: &Arc<Names>) -> Value {
    names.ledger.write(|entries| *entries = Entries::default());
    at(names, Place::Root)
}

fn at(names: &Arc<Names>, place: Place) -> Value {
    Value::from_object(At { names: Arc::clone(names), place })
}

/// A place among the names that has names below it.
#[derive(Debug, Clone)]
enum Place {
    Root,
    Secrets,
    /// All parameters below a path.
    SecretMap(String),
    /// The same while they are not at hand.
    StandInMap,
    Steps,
    Outputs(String),
    /// Not known, and nothing below it either.
    Unknown,
}

#[derive(Debug)]
struct At {
    names: Arc<Names>,
    place: Place,
}

impl Object for At {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        match &self.place {
            Place::Root => self.top(key),
            Place::Secrets => self.secret(key),
            Place::SecretMap(name) => match self.fetched(name) {
                Some(Fetched::Map(values)) => match values.get(key) {
                    Some(value) => Some(self.sensitive(value)),
                    None => self.missing(format!("`secrets.{name}` has no `{key}`")),
                },
                _ => None,
            },
            Place::StandInMap => Some(self.stand_in()),
            Place::Steps => Some(self.step(key)),
            Place::Outputs(id) => self.output(id, key),
            Place::Unknown => Some(at(&self.names, Place::Unknown)),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys: Vec<&str> = match &self.place {
            Place::SecretMap(name) => match self.fetched(name) {
                Some(Fetched::Map(values)) => values.keys().map(String::as_str).collect(),
                _ => Vec::new(),
            },
            Place::Outputs(id) => {
                self.names.scope.steps.get(id).into_iter().flat_map(|outputs| outputs.keys().map(String::as_str)).collect()
            }
            _ => Vec::new(),
        };
        Enumerator::Values(keys.into_iter().map(Value::from).collect())
    }

    /// Whoever prints a whole map prints nothing of what is in it.
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{…}")
    }
}

impl At {
    fn top(&self, key: &str) -> Option<Value> {
        let scope = &self.names.scope;
        match key {
            "name" => Some(Value::from(scope.name.as_str())),
            "secrets" => Some(at(&self.names, Place::Secrets)),
            "steps" => Some(at(&self.names, Place::Steps)),
            "instance" => Some(match &scope.values.instance {
                Some(values) => Value::from(Serde(values)),
                None => self.unknown("cannot tell: `instance` is known on an EC2 instance only, or from `--facts FILE`"),
            }),
            "os" if scope.values.os.is_null() => Some(self.unknown("cannot tell what the operating system is")),
            "os" => Some(Value::from(Serde(&scope.values.os))),
            _ => match self.names.declared.values(scope).get(key) {
                Some(value) => Some(Value::from(Serde(value))),
                None => self.missing_variable(key),
            },
        }
    }

    /// Functions are asked for here first, so only a name that is no function is missing.
    fn missing_variable(&self, key: &str) -> Option<Value> {
        match self.names.declared.check(key, &[]) {
            // That it has none was told where it is declared, and is the only thing that is wrong.
            Ok(()) if self.names.declared.vars.iter().any(|var| var == key) => {
                Some(self.unknown(&format!("the variable `{key}` has no value")))
            }
            Ok(()) => None,
            Err((message, _)) => self.missing(message),
        }
    }

    fn fetched(&self, name: &str) -> Option<&Fetched> {
        self.names.scope.secrets.as_ref()?.get(name)
    }

    fn secret(&self, name: &str) -> Option<Value> {
        match self.fetched(name) {
            Some(Fetched::One(value)) => Some(self.sensitive(value)),
            Some(Fetched::Map(_)) => Some(at(&self.names, Place::SecretMap(name.to_owned()))),
            None if self.names.scope.secrets.is_none() || self.names.declared.secrets.contains_key(name) => {
                Some(self.secret_that_is_not_at_hand(name))
            }
            None => self.missing(format!("there is no secret `{name}`")),
        }
    }

    fn secret_that_is_not_at_hand(&self, name: &str) -> Value {
        let kind = self.names.declared.secrets.get(name);
        match (self.names.without, kind) {
            // An ordinary value that only AWS knows may well decide where something goes.
            (Without::StandIn | Without::Guess(_), Some(kind)) if kind.secret != Some(false) => {
                if kind.is_map {
                    at(&self.names, Place::StandInMap)
                } else {
                    self.stand_in()
                }
            }
            _ => self.unknown(&format!("cannot tell without the secret `{name}`: give it with `--secrets-from FILE`")),
        }
    }

    fn stand_in(&self) -> Value {
        self.names.ledger.write(|entries| entries.secret = true);
        Value::from("secret")
    }

    fn sensitive(&self, value: &Sensitive) -> Value {
        if value.is_secret() {
            self.names.ledger.write(|entries| entries.secret = true);
        }
        match std::str::from_utf8(value.expose()) {
            Ok(text) => Value::from(text),
            Err(_) => Value::from_bytes(value.expose().to_vec()),
        }
    }

    fn step(&self, id: &str) -> Value {
        let id = &self.names.declared.full_id(id);
        if self.names.scope.steps.contains_key(id) {
            at(&self.names, Place::Outputs(id.to_owned()))
        } else {
            self.unknown(&format!("cannot tell before step `{id}` has run"))
        }
    }

    fn output(&self, id: &str, name: &str) -> Option<Value> {
        match self.names.scope.steps.get(id).and_then(|outputs| outputs.get(name)) {
            Some(step::Value::Known(value)) => Some(Value::from(Serde(value))),
            Some(step::Value::Secret(secret)) => Some(self.sensitive(&Sensitive::Secret(secret.clone()))),
            Some(step::Value::Unknown) => Some(self.unknown(&format!("cannot tell before step `{id}` has run"))),
            None => self.missing(format!("step `{id}` has no output `{name}`")),
        }
    }

    fn unknown(&self, why: &str) -> Value {
        self.names.ledger.write(|entries| {
            entries.unknown.get_or_insert_with(|| why.to_owned());
        });
        at(&self.names, Place::Unknown)
    }

    fn missing(&self, what: String) -> Option<Value> {
        self.names.ledger.write(|entries| entries.missing = Some(what));
        None
    }
}
