//! The three dialects of `KEY=value` files. Each says some values in its own way and cannot say others; what would be read back
//! differently is refused, naming the key and never the value.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// Who reads the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvFormat {
    /// systemd's `EnvironmentFile=`.
    Systemd,
    /// Libraries of the dotenv family, and shells.
    #[default]
    Dotenv,
    /// `docker run --env-file` and its kin: everything after `=`, to the end of the line.
    Container,
}

impl fmt::Display for EnvFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Systemd => "systemd",
            Self::Dotenv => "dotenv",
            Self::Container => "container",
        })
    }
}

/// Whether every dialect takes this as a name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The file with these values, sorted by name so that it does not change with the order in which they were fetched. A secret if one
/// of them is.
///
/// # Errors
/// `Playbook` for a name or value that the format cannot say.
pub fn render(format: EnvFormat, values: &IndexMap<String, Sensitive>) -> Result<Sensitive> {
    let mut names: Vec<&String> = values.keys().collect();
    names.sort();
    let room = values.iter().map(|(name, value)| name.len() + 2 * value.size() + 8).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    for name in names {
        if !is_name(name) {
            return Err(Error::new(Kind::Playbook, format!("`{name}` is no name for an environment variable"))
                .hint("letters, digits and `_` only, and no digit first"));
        }
        let Some(value) = values.get(name) else { continue };
        let refused = |why: &str| {
            Error::new(Kind::Playbook, format!("the value of `{name}` cannot be said in the format `{format}`: {why}"))
        };
        let value = std::str::from_utf8(value.expose()).map_err(|_| refused("it is not UTF-8"))?;
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        match format {
            EnvFormat::Systemd => systemd(value, &mut text),
            EnvFormat::Dotenv => dotenv(value, &mut text),
            EnvFormat::Container => container(value, &mut text),
        }
        .map_err(refused)?;
        text.push(b'\n');
    }
    if values.values().any(Sensitive::is_secret) {
        return Ok(Sensitive::Secret(Secret::new(std::mem::take(&mut *text))));
    }
    String::from_utf8(std::mem::take(&mut *text)).map(Sensitive::Plain).map_err(|error| Error::from_source(Kind::Bug, &error))
}

/// Characters that mean themselves everywhere.
fn is_bare(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte))
}

/// In double quotes systemd takes everything but NUL; a backslash takes the meaning from four characters.
fn systemd(value: &str, text: &mut Vec<u8>) -> Result<(), &'static str> {
    if value.contains('\0') {
        return Err("it holds a NUL byte");
    }
    if is_bare(value) {
        text.extend_from_slice(value.as_bytes());
        return Ok(());
    }
    text.push(b'"');
    for byte in value.bytes() {
        if b"\"\\`$".contains(&byte) {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
    Ok(())
}

/// The members of the family agree on few things: single quotes keep everything but a single quote and some backslashes; double
/// quotes keep what has no meaning in any of them.
fn dotenv(value: &str, text: &mut Vec<u8>) -> Result<(), &'static str> {
    let quote = if value.contains(['\0', '\r']) {
        return Err("it holds a NUL byte or a carriage return");
    } else if is_bare(value) {
        None
    } else if !value.contains('\'') && !value.contains("\\\\") && !value.ends_with('\\') {
        Some(b'\'')
    } else if !value.contains(['"', '\\', '$', '`']) {
        Some(b'"')
    } else {
        return Err("no way of quoting it is read alike by all");
    };
    text.extend(quote);
    text.extend_from_slice(value.as_bytes());
    text.extend(quote);
    Ok(())
}

/// Nothing is quoted, so nothing can hide a line break.
fn container(value: &str, text: &mut Vec<u8>) -> Result<(), &'static str> {
    if value.contains(['\n', '\r', '\0']) {
        return Err("it holds a line break");
    }
    text.extend_from_slice(value.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(format: EnvFormat, value: &str) -> Result<String> {
        let values = [("KEY".to_owned(), Sensitive::from(value))].into_iter().collect();
        render(format, &values).map(|text| String::from_utf8(text.expose().to_vec()).unwrap())
    }

    #[test]
    fn each_format_says_what_it_can() {
        use EnvFormat::{Container, Dotenv, Systemd};
        for (format, value, expected) in [
            (Dotenv, "plain-1.5:/x", "KEY=plain-1.5:/x\n"),
            (Dotenv, "", "KEY=\n"),
            (Dotenv, "two words $HOME #x", "KEY='two words $HOME #x'\n"),
            (Dotenv, "it's", "KEY=\"it's\"\n"),
            (Dotenv, "a\nb", "KEY='a\nb'\n"),
            (Systemd, "two words", "KEY=\"two words\"\n"),
            (Systemd, "\"$`\\", "KEY=\"\\\"\\$\\`\\\\\"\n"),
            (Systemd, "a\nb", "KEY=\"a\nb\"\n"),
            (Container, "\"as it is\" $x 'y' ", "KEY=\"as it is\" $x 'y' \n"),
        ] {
            assert_eq!(one(format, value).unwrap(), expected);
        }
        for (format, value) in [(Dotenv, "it's $5"), (Dotenv, "x\\\\y"), (Dotenv, "a\rb"), (Container, "a\nb"), (Systemd, "a\0b")]
        {
            let error = one(format, value).unwrap_err().to_string();
            assert!(error.contains("`KEY`") && !error.contains(value), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_what_a_shell_reads() {
        for value in ["two words", "$HOME `x` \"q\" #c", "it's", "a\nb", "back\\slash", "*?[x]~!&|;<>()"] {
            let script = format!("{}printf %s \"$KEY\"", one(EnvFormat::Dotenv, value).unwrap());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), value);
        }
    }

    #[test]
    fn names_are_sorted_and_judged_and_one_secret_makes_all_secret() {
        let plain: IndexMap<String, Sensitive> = [("B".to_owned(), "2".into()), ("A".to_owned(), "1".into())].into();
        let text = render(EnvFormat::Dotenv, &plain).unwrap();
        assert_eq!((text.expose(), text.is_secret()), (b"A=1\nB=2\n".as_slice(), false));
        let mut mixed = plain;
        mixed.insert("C".into(), Sensitive::Secret(Secret::new("3")));
        assert!(render(EnvFormat::Dotenv, &mixed).unwrap().is_secret());
        mixed.insert("not-a-name".into(), "x".into());
        assert_eq!(render(EnvFormat::Dotenv, &mixed).unwrap_err().kind(), Kind::Playbook);
    }
}
