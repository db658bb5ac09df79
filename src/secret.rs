//! A secret is a type: it cannot be printed, serialised or compared, and our copies of it are wiped.
//!
//! Only `host/` (which hands it to the outside world) and the playbook's renderer may call [`Secret::expose`]; a test keeps it
//! so. What leaves the process in text goes through the [`Redactor`], which knows every secret of the run.

mod assignment;
mod grams;
pub mod handover;
mod masker;
mod private_key;
mod redactor;
mod rules;
mod user_info;

pub use masker::{Masker, pattern_problem};
pub use private_key::MaskState;
pub use redactor::{Redactor, SHORTEST_SEARCHED, Stream};

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use zeroize::Zeroizing;

/// A value nobody may see. Clones share one allocation, which is wiped when the last of them goes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes over the bytes; the caller keeps no copy.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.into())))
    }

    /// The value itself. Every call is a place a secret can leak from: for `host/` and the renderer only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is text. For `host/` and the renderer only.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// How long it is, in bytes: the one thing a plan may say about it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Text that may be a secret: the type of each step field that accepts one.
///
/// A field of type `String` refuses secrets; this is how "argv, paths, names and unit text do not take a secret" is said.
#[derive(Debug, Clone)]
pub enum Sensitive {
    /// Ordinary text, as written or made from ordinary values.
    Plain(String),
    /// Made from at least one secret.
    Secret(Secret),
}

/// The name under which a value's deserialiser recognises that the field takes a secret; see `playbook::value`.
pub const SENSITIVE_MARKER: &str = "$bootstrap-agent::Sensitive";

impl Sensitive {
    /// Whether this came from a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The bytes, secret or not. For `host/` and the renderer only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Secret(secret) => secret.size(),
        }
    }
}

impl From<String> for Sensitive {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Sensitive {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Sensitive;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sensitive, E> {
                Ok(Sensitive::Plain(text.to_owned()))
            }

            /// Bytes are how the value's deserialiser hands over a secret.
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Sensitive, E> {
                Ok(Sensitive::Secret(Secret::new(bytes)))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Sensitive, D::Error> {
                String::deserialize(inner).map(Sensitive::Plain).map_err(D::Error::custom)
            }
        }
        deserializer.deserialize_newtype_struct(SENSITIVE_MARKER, Either)
    }
}

impl JsonSchema for Sensitive {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sensitive".into()
    }

    /// `x-secret` tells `agent check` that an expression over a secret is welcome here.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "x-secret": true })
    }
}
