//! The types of fields that several steps share: file modes, spans of time, absolute paths.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Permission bits, written as text with a leading zero (`"0640"`), because YAML readers disagree about bare octal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match u32::from_str_radix(text, 8) {
            Ok(bits) if octal => Ok(Self(bits)),
            _ => Err(format!("`{text}` is not a file mode such as `\"0640\"`")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A span of time, written as in systemd and Go: `450s`, `7m`, `1h30m`, `7d`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a span of time such as `450s`, `7m` or `1h30m`");
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let milliseconds = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            let part = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
            rest = tail;
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let (size, unit) = units.into_iter().find(|(size, _)| milliseconds.is_multiple_of(*size)).unwrap_or((1, "ms"));
        if milliseconds == 0 { f.write_str("0s") } else { write!(f, "{}{unit}", milliseconds / size) }
    }
}

/// A path from `/`, without `..`, so that what a step touches can be compared with what others do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// A path of ours, known to be absolute and without `..`.
    #[must_use]
    pub fn from_absolute(path: &'static str) -> Self {
        Self(PathBuf::from(path))
    }

    /// The path as it was written, without a trailing slash.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl std::ops::Deref for AbsolutePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if !path.is_absolute() {
            return Err(format!("`{text}` must be an absolute path"));
        }
        if path.components().any(|part| part == std::path::Component::ParentDir) || text.contains('\0') {
            return Err(format!("`{text}` must not contain `..`"));
        }
        Ok(Self(path.components().collect()))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A guard as it is written: a program with its arguments, or a shell script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Program {
    /// A program and its arguments.
    Argv(Vec<String>),
    /// A script for `/bin/sh -eu`.
    Script(String),
}

/// The program that runs this shell script.
#[must_use]
pub fn in_shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-eu", "-c", script].map(str::to_owned).to_vec()
}

impl Program {
    /// The program to start, and its arguments.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Script(script) => in_shell(script),
        }
    }
}

/// What is wrong with the name of a user or group, as `useradd` and `groupadd` judge it.
#[must_use]
pub fn account_name_problem(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let good = begins_well && name.len() <= 32 && name.bytes().all(allowed);
    (!good).then(|| format!("`{name}` is no name for a user or group: lower-case letters, digits, `_`, `-`, `.`, at most 32"))
}

/// Gives a field type its serde and schema halves from `FromStr` and `Display`.
macro_rules! text_field {
    ($type:ident, $pattern:literal, $description:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}

text_field!(Mode, "^[0-7]{3,4}$", "Permission bits in octal, quoted: `\"0640\"`.");
text_field!(Span, "^([0-9]+(ms|s|m|h|d))+$", "A span of time: `450s`, `7m`, `1h30m`, `7d`.");
text_field!(AbsolutePath, "^/", "An absolute path without `..`.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_printed_as_people_write_them() {
        for (text, milliseconds, printed) in [
            ("450s", 450_000, "450s"),
            ("7m", 420_000, "7m"),
            ("1h30m", 5_400_000, "90m"),
            ("7d", 604_800_000, "7d"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0.as_millis(), milliseconds);
            assert_eq!(span.to_string(), printed);
        }
        for wrong in ["", "5", "m", "5 m", "-5s", "1.5h", "99999999999999999999s", "18446744073709551615d"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal_text() {
        assert_eq!("0600".parse::<Mode>().unwrap(), Mode(0o600));
        for wrong in ["600x", "0888", "1e3", "+600", "", "00600"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_absolute_and_do_not_climb() {
        assert_eq!("/srv/app/".parse::<AbsolutePath>().unwrap().to_string(), "/srv/app");
        assert!("srv".parse::<AbsolutePath>().is_err());
        assert!("/srv/../etc".parse::<AbsolutePath>().is_err());
    }
}
