//! Rendered values and their way into a step's struct: positions survive, and a secret reaches only a field that asks for one.

use std::cell::Cell;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::node::Key;
use super::source::Mark;
use crate::secret::{SENSITIVE_MARKER, Secret};

/// A value whose expressions have been evaluated, or are known to be there.
#[derive(Debug, Clone)]
pub struct Value {
    /// Where it was written.
    pub mark: Mark,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text without quotes: the field's type decides what it is.
    Plain(String),
    /// Text.
    Text(String),
    /// Made from a secret.
    Secret(Secret),
    /// An expression that is not evaluated yet; it fits every type.
    Pending {
        /// Whether it touches a secret.
        secret: bool,
    },
    /// Values in order.
    List(Vec<Value>),
    /// Values by key.
    Map(Vec<(Key, Value)>),
}

impl Value {
    /// Whether an expression in here is not evaluated yet.
    pub fn is_pending(&self) -> bool {
        match &self.content {
            Content::Pending { .. } => true,
            Content::List(items) => items.iter().any(Self::is_pending),
            Content::Map(members) => members.iter().any(|(_, value)| value.is_pending()),
            _ => false,
        }
    }

    /// Whether a secret is in here.
    pub fn has_secrets(&self) -> bool {
        match &self.content {
            Content::Secret(_) => true,
            Content::List(items) => items.iter().any(Self::has_secrets),
            Content::Map(members) => members.iter().any(|(_, value)| value.has_secrets()),
            _ => false,
        }
    }

    /// As JSON, for variables; a secret or an open expression is none.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.content {
            Content::Null => Json::Null,
            Content::Bool(value) => (*value).into(),
            Content::Integer(value) => (*value).into(),
            Content::Float(value) => (*value).into(),
            Content::Plain(text) | Content::Text(text) => text.as_str().into(),
            Content::Secret(_) | Content::Pending { .. } => return None,
            Content::List(items) => items.iter().map(Self::to_json).collect::<Option<Vec<_>>>()?.into(),
            Content::Map(members) => {
                let members = members.iter().map(|(key, value)| Some((key.text.clone(), value.to_json()?)));
                Json::Object(members.collect::<Option<_>>()?)
            }
        })
    }
}

/// Hands a value over to serde, and remembers where the first failure happened, because errors lose it on the way.
pub struct Reader<'v> {
    value: &'v Value,
    failed_at: &'v Cell<Option<Mark>>,
}

impl<'v> Reader<'v> {
    /// Reads this value; a failure's place is left in `failed_at`.
    pub fn new(value: &'v Value, failed_at: &'v Cell<Option<Mark>>) -> Self {
        Self { value, failed_at }
    }

    fn of(&self, value: &'v Value) -> Self {
        Self { value, failed_at: self.failed_at }
    }

    /// The innermost value that fails is the first to come by here.
    fn placed<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.is_err() && self.failed_at.get().is_none() {
            self.failed_at.set(Some(self.value.mark));
        }
        result
    }
}

/// Why a value did not become what was asked for.
pub type Failure = de::value::Error;

/// What a field that takes no secret says when it is given one.
pub const NO_SECRET_HERE: &str = "a secret is not allowed here";

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let result = match &self.value.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Plain(text) | Content::Text(text) => visitor.visit_str(text),
            // Not `visit_bytes`: a `String` would take them.
            Content::Secret(_) => Err(de::Error::custom(NO_SECRET_HERE)),
            Content::Pending { .. } => Err(de::Error::custom("this expression is not evaluated yet")),
            Content::List(items) => visitor.visit_seq(Items { items: items.iter(), of: &self }),
            Content::Map(members) => visitor.visit_map(Members { rest: members.iter(), value: None, of: &self }),
        };
        self.placed(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Failure> {
        let result = match (name, &self.value.content) {
            (SENSITIVE_MARKER, Content::Secret(secret)) => visitor.visit_bytes(secret.expose()),
            (SENSITIVE_MARKER, Content::Plain(text) | Content::Text(text)) => visitor.visit_str(text),
            _ => visitor.visit_newtype_struct(self.of(self.value)),
        };
        self.placed(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let result = match &self.value.content {
            Content::Plain(text) | Content::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Content::Map(members) => match members.as_slice() {
                [(key, value)] => visitor.visit_enum(Variant { name: &key.text, content: self.of(value) }),
                _ => Err(de::Error::custom("a map with exactly one key is expected here")),
            },
            _ => Err(de::Error::custom("text, or a map with one key, is expected here")),
        };
        self.placed(result)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'v, 'r> {
    items: std::slice::Iter<'v, Value>,
    of: &'r Reader<'v>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        self.items.next().map(|item| seed.deserialize(self.of.of(item))).transpose()
    }
}

struct Members<'v, 'r> {
    rest: std::slice::Iter<'v, (Key, Value)>,
    value: Option<&'v Value>,
    of: &'r Reader<'v>,
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        let result = seed.deserialize(key.text.as_str().into_deserializer());
        if result.is_err() && self.of.failed_at.get().is_none() {
            self.of.failed_at.set(Some(key.mark));
        }
        result.map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Failure> {
        match self.value.take() {
            Some(value) => self.of.placed_at(value, seed),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

impl<'v> Reader<'v> {
    /// A field's own error (such as `FromStr`'s) is raised after its text was visited, so it is placed here.
    fn placed_at<'de, T: DeserializeSeed<'de>>(&self, value: &'v Value, seed: T) -> Result<T::Value, Failure> {
        let result = seed.deserialize(self.of(value));
        self.of(value).placed(result)
    }
}

struct Variant<'v> {
    name: &'v str,
    content: Reader<'v>,
}

impl<'de, 'v> EnumAccess<'de> for Variant<'v> {
    type Error = Failure;
    type Variant = Reader<'v>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Reader<'v>), Failure> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self.content))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Sensitive;
    use crate::step::fields::Mode;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Wish {
        content: Option<Sensitive>,
        name: Option<String>,
        mode: Option<Mode>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Plain,
        Sized { bytes: u32 },
    }

    fn wish(key: &str, content: Content) -> Result<Wish, (Option<usize>, String)> {
        let mark = |line| Mark { line, column: 1 };
        let key = Key { text: key.into(), mark: mark(2) };
        let map = Value { mark: mark(1), content: Content::Map(vec![(key, Value { mark: mark(3), content })]) };
        let failed_at = Cell::new(None);
        Wish::deserialize(Reader::new(&map, &failed_at)).map_err(|e| (failed_at.get().map(|m| m.line), e.to_string()))
    }

    #[test]
    fn a_secret_reaches_only_a_field_that_takes_one() {
        let secret = || Content::Secret(Secret::new("hunter2"));
        let got = wish("content", secret()).unwrap();
        assert!(matches!(got.content, Some(Sensitive::Secret(s)) if s.expose() == b"hunter2"));
        assert!(matches!(wish("content", Content::Text("x".into())).unwrap().content, Some(Sensitive::Plain(t)) if t == "x"));
        assert_eq!(wish("name", secret()).unwrap_err(), (Some(3), NO_SECRET_HERE.to_owned()));
        assert!(wish("name", Content::Null).unwrap().name.is_none());
    }

    #[test]
    fn a_failure_knows_its_place() {
        let (line, message) = wish("mode", Content::Text("rw".into())).unwrap_err();
        assert_eq!((line, message.contains("not a file mode")), (Some(3), true));
        assert_eq!(wish("mode", Content::Text("0640".into())).unwrap().mode, Some(Mode(0o640)));
    }

    #[test]
    fn variants_are_a_word_or_a_map_with_one_key() {
        assert_eq!(wish("kind", Content::Text("plain".into())).unwrap().kind, Some(Kind::Plain));
        let bytes = Value { mark: Mark::default(), content: Content::Integer(7) };
        let sized = Value {
            mark: Mark::default(),
            content: Content::Map(vec![(Key { text: "bytes".into(), mark: Mark::default() }, bytes)]),
        };
        let map = Content::Map(vec![(Key { text: "sized".into(), mark: Mark::default() }, sized)]);
        assert_eq!(wish("kind", map).unwrap().kind, Some(Kind::Sized { bytes: 7 }));
    }
}
