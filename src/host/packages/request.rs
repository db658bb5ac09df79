//! What is asked of the package manager: a name, perhaps with architecture and version pattern, or a package file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::host::digest::Sha256;
use crate::host::origin::Origin;

/// A package by name: `nginx`, `nginx=1.22.*`, `libc6:i386`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPackage {
    /// Its name, with `:architecture` where that was written.
    pub name: String,
    /// The version it must have; a trailing `*` stands for anything.
    pub version: Option<String>,
}

impl NamedPackage {
    /// Whether this version is one that was asked for.
    pub fn accepts(&self, version: &str) -> bool {
        match self.version.as_deref() {
            None => true,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(start) => version.starts_with(start),
                None => version == pattern,
            },
        }
    }
}

impl FromStr for NamedPackage {
    type Err = String;

    /// Refuses what apt would read as something else: options, `name-` (remove it), regular expressions, releases.
    fn from_str(text: &str) -> Result<Self, String> {
        let (full_name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let (name, architecture) = full_name.split_once(':').unwrap_or((full_name, "any"));
        let simple = |part: &str| part.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-._".contains(&c));
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if name.len() < 2
            || !simple(name)
            || !starts_well
            || name.ends_with('-')
            || architecture.is_empty()
            || !simple(architecture)
        {
            return Err(format!("`{text}` is not a package name such as `nginx` or `nginx=1.22.*`"));
        }
        if let Some(version) = version {
            let body = version.strip_suffix('*').unwrap_or(version);
            let fits = body.bytes().all(|c| c.is_ascii_alphanumeric() || b".+-:~_".contains(&c));
            if version.is_empty() || version == "*" || !fits {
                return Err(format!("`{version}` is not a version or its beginning and a `*`, such as `1.22.*`"));
            }
        }
        Ok(Self { name: full_name.to_owned(), version: version.map(str::to_owned) })
    }
}

impl fmt::Display for NamedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "={version}"))
    }
}

/// One thing to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// From the configured repositories.
    Named(NamedPackage),
    /// A package file on this machine.
    File(PathBuf),
    /// A package file elsewhere, fetched and compared with its digest first.
    Remote {
        /// Where.
        origin: Origin,
        /// Its digest.
        sha256: Sha256,
    },
}

/// What to install in one go.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// The packages.
    pub install: Vec<Request>,
    /// Also what they recommend.
    pub recommends: bool,
    /// Whether held packages may move: only when the playbook says something about their hold.
    pub change_held: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_patterns_are_prefixes() {
        let wanted: NamedPackage = "nginx=1.22.*".parse().unwrap();
        assert!(wanted.accepts("1.22.1-9") && !wanted.accepts("1.220") && !wanted.accepts("1.18"));
        let exact: NamedPackage = "nginx=1:1.2~rc1".parse().unwrap();
        assert!(exact.accepts("1:1.2~rc1") && !exact.accepts("1:1.2"));
        assert_eq!(wanted.to_string(), "nginx=1.22.*");
        assert_eq!("libc6:i386".parse::<NamedPackage>().unwrap().name, "libc6:i386");
    }

    #[test]
    fn what_apt_would_read_as_something_else_is_refused() {
        for wrong in ["-y", "nginx-", "nginx/testing", "ngi.*x^", "", "a", "nginx=", "nginx=*", "nginx=1.*.2", "nginx:"] {
            assert!(wrong.parse::<NamedPackage>().is_err(), "{wrong}");
        }
        assert!(["g++", "ImageMagick", "python3-a_b"].iter().all(|name| name.parse::<NamedPackage>().is_ok()));
    }
}
