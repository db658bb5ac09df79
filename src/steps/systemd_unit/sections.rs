//! The sections of a unit file as a playbook writes them, and the file they make.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The first line of each file, for whoever finds it on the machine.
const HEAD: &str = "# Written by bootstrap-agent from its playbook; changes made here are overwritten.\n";

/// One section: keys in the order in which they are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Section(IndexMap<String, Setting>);

/// One key's values; more than one is the key repeated, as systemd reads lists.
#[derive(Debug, Clone)]
struct Setting(Vec<String>);

impl Section {
    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Values of this key, in order.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flat_map(|setting| setting.0.iter().map(String::as_str))
    }

    /// The first value of this key.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Whether the key has this value.
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.all(key).last() == Some(value)
    }

    /// Whether the key is switched on, in any of systemd's spellings.
    pub fn is_on(&self, key: &str) -> bool {
        self.all(key).last().is_some_and(|value| ["yes", "true", "on", "1"].contains(&value.to_ascii_lowercase().as_str()))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every key with every value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(key, setting)| setting.0.iter().map(move |value| (key.as_str(), value.as_str())))
    }
}

/// All sections of a unit, in the order of the file.
pub struct Sections<'u>(pub Vec<(&'static str, &'u Section)>);

impl Sections<'_> {
    /// The file. `wanted_by` is added to what `[Install]` says.
    pub fn text(&self, wanted_by: Option<&str>) -> String {
        let mut text = HEAD.to_owned();
        for (name, section) in &self.0 {
            let extra = wanted_by.filter(|_| *name == "Install");
            if section.is_empty() && extra.is_none() {
                continue;
            }
            text.extend(["\n[", name, "]\n"]);
            for (key, value) in section.pairs().chain(extra.map(|target| ("WantedBy", target))) {
                text.extend([key, "=", value, "\n"]);
            }
        }
        text
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Setting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, a switch, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Setting, E> {
                Ok(Setting(vec![text.to_owned()]))
            }

            fn visit_bool<E>(self, on: bool) -> Result<Setting, E> {
                Ok(Setting(vec![on.to_string()]))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Setting, E> {
                Ok(Setting(vec![number.to_string()]))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Setting, E> {
                Ok(Setting(vec![number.to_string()]))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Setting, E> {
                Ok(Setting(vec![number.to_string()]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Setting, S::Error> {
                let mut all = Vec::new();
                while let Some(Setting(one)) = items.next_element()? {
                    all.extend(one);
                }
                Ok(Setting(all))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl JsonSchema for Section {
    fn schema_name() -> Cow<'static, str> {
        "Section".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Keys as in the unit file; a list is a key that is repeated.",
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    { "type": ["string", "number", "boolean"] },
                    { "type": "array", "items": { "type": ["string", "number", "boolean"] } }
                ]
            }
        })
    }
}
