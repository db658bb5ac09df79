//! Evaluates expressions, and keeps book of what they read: a text made with a secret is a secret, a text made with something
//! unknown is unknown. What is read decides, not what the result looks like, so no filter can wash a secret clean.

mod reading;

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Value};

use super::expression::{self, Piece};
use super::names::Declared;
use super::value::Content;
use super::{Fetched, Scope};
use crate::secret::{Secret, Sensitive};
use reading::{Ledger, Names};

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It depends on something that is not known now.
    Unknown(String),
    /// It is wrong; the piece of the text at fault, and why.
    Wrong {
        /// The expression as written.
        expression: String,
        /// Why.
        because: String,
    },
}

/// What secrets are while they are not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// Unknown: the run says so.
    Unknown,
    /// A stand-in text, because only the places where secrets cannot be are of interest.
    StandIn,
    /// The same, and this text in the place of every value that depends on something unknown: what comes of two different guesses
    /// alike does not depend on it.
    Guess(&'static str),
}

/// Evaluates expressions over one scope.
pub struct Evaluator {
    environment: &'static Environment<'static>,
    names: Arc<Names>,
}

impl Evaluator {
    /// Over these names.
    pub fn new(scope: &Scope, declared: &Arc<Declared>, without: Without) -> Self {
        let names = Names { scope: scope.clone(), declared: Arc::clone(declared), without, ledger: Ledger::default() };
        Self { environment: expression::environment(), names: Arc::new(names) }
    }

    /// The value of a text with expressions in it: exactly one expression keeps its type, anything else is text.
    pub fn text(&self, text: &str) -> Result<Content, Stop> {
        self.guessed(self.as_known(text))
    }

    fn as_known(&self, text: &str) -> Result<Content, Stop> {
        let pieces = expression::pieces(text).map_err(|rest| wrong(rest, "this `{{` is never closed"))?;
        if let [Piece::Expression(one)] = pieces.as_slice() {
            return self.one(one);
        }
        let mut whole = String::new();
        let mut secret = false;
        for piece in pieces {
            match piece {
                Piece::Literal(text) => whole += text,
                Piece::Expression(source) => {
                    let value = self.evaluate(source)?;
                    secret |= self.names.ledger.read_a_secret();
                    whole += &shown(&value).ok_or_else(|| wrong(source, unprintable(&value)))?;
                }
            }
        }
        Ok(self.finish(whole.into_bytes(), secret))
    }

    /// The value of a bare expression.
    pub fn one(&self, source: &str) -> Result<Content, Stop> {
        if let Some(secret) = self.whole_secret(source) {
            return Ok(Content::Secret(secret));
        }
        let value = self.evaluate(source)?;
        let secret = self.names.ledger.read_a_secret();
        self.content(&value, secret, source)
    }

    /// The text of a template file, which may use statements too. Errors name the template's line.
    pub fn template(&self, text: &str) -> Result<Content, (Stop, usize)> {
        let source = expression::with_ids_quoted(text, self.names.declared.steps.iter().map(String::as_str));
        let result = self
            .environment
            .template_from_named_str("template", &source)
            .and_then(|template| template.render(reading::root(&self.names)));
        match self.judge(result, "the template") {
            Ok(rendered) => Ok(self.finish(rendered.into_bytes(), self.names.ledger.read_a_secret())),
            Err((stop, line)) => self.guessed(Err(stop)).map_err(|stop| (stop, line.unwrap_or(1))),
        }
    }

    /// A whole value is guessed, never a part of one: what an expression would decide by a guess could come out alike by chance.
    fn guessed(&self, result: Result<Content, Stop>) -> Result<Content, Stop> {
        match (result, self.names.without) {
            (Err(Stop::Unknown(_)), Without::Guess(text)) => Ok(Content::Text(text.to_owned())),
            (result, _) => result,
        }
    }

    fn evaluate(&self, source: &str) -> Result<Value, Stop> {
        let quoted = expression::with_ids_quoted(source, self.names.declared.steps.iter().map(String::as_str));
        let result =
            self.environment.compile_expression_owned(quoted).and_then(|compiled| compiled.eval(reading::root(&self.names)));
        let value = self.judge(result, source).map_err(|(stop, _)| stop)?;
        if value.is_undefined() {
            let because = self.names.ledger.missing().unwrap_or_else(|| "this has no value".to_owned());
            return Err(wrong(source, because));
        }
        Ok(value)
    }

    /// Unknown beats wrong: whatever failed may have failed because of it. A failure that saw a secret says nothing.
    fn judge<T>(&self, result: Result<T, minijinja::Error>, source: &str) -> Result<T, (Stop, Option<usize>)> {
        if let Some(why) = self.names.ledger.unknown() {
            return Err((Stop::Unknown(why), None));
        }
        result.map_err(|error| {
            let because = if let Some(missing) = self.names.ledger.missing() {
                missing
            } else if self.names.ledger.read_a_secret() {
                "this fails; why is not said, because a secret is involved".to_owned()
            } else {
                expression::fault(&error)
            };
            (wrong(source, because), error.line())
        })
    }

    /// `{{ secrets.x }}` and nothing else: no copy is made, and it need not be text.
    fn whole_secret(&self, source: &str) -> Option<Secret> {
        let mut words = source.split('.').map(str::trim);
        let secrets = self.names.scope.secrets.as_ref().filter(|_| words.next() == Some("secrets"))?;
        let found = match (secrets.get(words.next()?)?, words.next(), words.next()) {
            (Fetched::One(value), None, _) => value,
            (Fetched::Map(values), Some(leaf), None) => values.get(leaf)?,
            _ => return None,
        };
        match found {
            Sensitive::Secret(secret) => Some(secret.clone()),
            Sensitive::Plain(_) => None,
        }
    }

    fn content(&self, value: &Value, secret: bool, source: &str) -> Result<Content, Stop> {
        let mark = super::source::Mark::default();
        let child = |value: &Value, secret: bool| {
            self.content(value, secret, source).map(|content| super::value::Value { mark, content })
        };
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().map_err(|error| wrong(source, expression::fault(&error)))?;
                Ok(Content::List(items.map(|item| child(&item, secret)).collect::<Result<_, _>>()?))
            }
            ValueKind::Map => {
                let keys = value.try_iter().map_err(|error| wrong(source, expression::fault(&error)))?;
                let mut members = Vec::new();
                for key in keys {
                    self.names.ledger.forget_secrets();
                    let member = value.get_item(&key).map_err(|error| wrong(source, expression::fault(&error)))?;
                    if let Some(why) = self.names.ledger.unknown() {
                        return Err(Stop::Unknown(why));
                    }
                    let secret = secret || self.names.ledger.read_a_secret();
                    let key = super::node::Key { text: key.to_string(), mark };
                    members.push((key, child(&member, secret)?));
                }
                Ok(Content::Map(members))
            }
            ValueKind::None => Ok(Content::Null),
            ValueKind::Bytes => Ok(self.finish(value.as_bytes().unwrap_or_default().to_vec(), true)),
            _ if secret => {
                let text = shown(value).ok_or_else(|| wrong(source, unprintable(value)))?;
                Ok(self.finish(text.into_bytes(), true))
            }
            ValueKind::Bool => Ok(Content::Bool(value.is_true())),
            ValueKind::Number => match (value.is_integer(), value.as_i64(), f64::try_from(value.clone())) {
                (true, Some(number), _) => Ok(Content::Integer(number)),
                (false, _, Ok(number)) => Ok(Content::Float(number)),
                _ => Err(wrong(source, "this number is too large")),
            },
            _ => shown(value).map(Content::Text).ok_or_else(|| wrong(source, unprintable(value))),
        }
    }

    /// A finished text; a secret one is known to the redactor from here on.
    fn finish(&self, bytes: Vec<u8>, secret: bool) -> Content {
        match String::from_utf8(bytes) {
            Ok(text) if !secret => Content::Text(text),
            other => {
                let secret = Secret::new(other.map_or_else(std::string::FromUtf8Error::into_bytes, String::into_bytes));
                if self.names.without == Without::Unknown {
                    self.names.scope.redactor.learn(&secret);
                }
                Content::Secret(secret)
            }
        }
    }
}

fn wrong(expression: &str, because: impl Into<String>) -> Stop {
    Stop::Wrong { expression: expression.to_owned(), because: because.into() }
}

/// A value as part of a text.
fn shown(value: &Value) -> Option<String> {
    match value.kind() {
        // Not `True`: what reads the text is seldom Python.
        ValueKind::Bool => Some(value.is_true().to_string()),
        ValueKind::String | ValueKind::Number => Some(value.to_string()),
        ValueKind::Bytes => std::str::from_utf8(value.as_bytes()?).ok().map(str::to_owned),
        _ => None,
    }
}

fn unprintable(value: &Value) -> String {
    let what = match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => "a list cannot be part of a text; `join` makes text of it",
        ValueKind::Map => "a map cannot be part of a text; `tojson` makes text of it",
        ValueKind::None => "`none` cannot be part of a text",
        ValueKind::Bytes => "a binary secret cannot be part of a text; `b64encode` makes text of it",
        _ => "this cannot be part of a text",
    };
    what.to_owned()
}

#[cfg(test)]
mod tests;
