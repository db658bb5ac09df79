//! Installed packages and how to change them: apt. This file says what is installed; `apt` changes it, `locks` waits for others.

mod apt;
mod archive;
mod dnf;
mod failure;
mod locks;
mod manager;
mod request;
mod source;

pub use apt::Transaction;
pub use manager::Manager;
pub use request::{NamedPackage, Request};
pub use source::{Source, SourceFiles};

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Facts;
use super::programs::Invocation;
use crate::error::{Context as _, Error, Kind, Result};

/// What is asked of `dpkg-query` about every package, one line each; made for parsing.
const FORMAT: &str = "${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\t${Provides}\\n";

/// One package as dpkg knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFacts {
    /// `amd64`, `all`, …
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// Whether it is held at this version.
    pub held: bool,
    /// `installed`, `half-configured`, `config-files`, …
    pub status: String,
}

impl PackageFacts {
    /// Whether it is there and configured.
    pub fn is_installed(&self) -> bool {
        self.status == "installed"
    }

    /// Whether dpkg was stopped in the middle of it. (Waiting triggers do not count: they are run with the next call.)
    pub fn is_interrupted(&self) -> bool {
        matches!(self.status.as_str(), "half-installed" | "half-configured" | "unpacked")
    }
}

/// Everything dpkg knows.
#[derive(Debug, Default)]
pub struct Packages {
    by_name: HashMap<String, Vec<PackageFacts>>,
    provided: HashMap<String, String>,
}

impl Packages {
    fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (name, architecture, version, want, status, provides) = (next(), next(), next(), next(), next(), next());
            let package = PackageFacts { architecture, version, held: want == "hold", status };
            if package.is_installed() {
                for virtual_name in provides.split(',').filter_map(|entry| entry.split_whitespace().next()) {
                    all.provided.insert(virtual_name.to_owned(), name.clone());
                }
            }
            all.by_name.entry(name).or_default().push(package);
        }
        all
    }

    /// The package of this name that is installed or at least begun; `name:architecture` asks for that architecture.
    pub fn find(&self, name: &str) -> Option<&PackageFacts> {
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (name, None),
        };
        let mut candidates = self.by_name.get(name)?.iter().filter(|package| package.is_installed() || package.is_interrupted());
        match architecture {
            Some(wanted) => candidates.find(|package| package.architecture == wanted || package.architecture == "all"),
            None => candidates.next(),
        }
    }

    /// The installed package that provides this virtual name.
    pub fn provider(&self, name: &str) -> Option<&str> {
        self.provided.get(name).map(String::as_str)
    }

    /// Names of the packages in whose middle dpkg was stopped.
    pub fn interrupted(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .by_name
            .iter()
            .filter(|(_, packages)| packages.iter().any(PackageFacts::is_interrupted))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Facts {
    /// Everything dpkg knows, asked with one call until somebody writes.
    ///
    /// # Errors
    /// `Failed` where there is no dpkg, or when it does not answer.
    pub fn packages(&self) -> Result<Arc<Packages>> {
        self.world.cache.get("packages", || {
            let asked = Invocation::new("dpkg-query", &["--show", "--showformat", FORMAT]);
            let output = self.ask(&asked).map_err(|error| match error.kind() {
                Kind::Missing => Manager::Apt.absent(),
                _ => error,
            })?;
            // dpkg-query ends with 1 when nothing at all is installed, and says nothing then.
            if !output.success() && !output.stderr.is_empty() {
                return Err(failure::of("asking dpkg what is installed", &output, &self.world.options.redactor));
            }
            Ok(Packages::parse(&output.text()))
        })
    }

    /// Name and version of a package file.
    ///
    /// # Errors
    /// `Missing` where there is no such file; `Failed` when it is no package.
    pub fn package_file(&self, path: &Path) -> Result<(String, String)> {
        if self.look(path)?.is_none() {
            return Err(Error::new(Kind::Missing, format!("there is no package file `{}`", path.display())));
        }
        let shown = path.display().to_string();
        let asked = Invocation::new("dpkg-deb", &["--ctrl-tarfile", &shown]);
        let output = self.ask(&asked).map_err(|error| match error.kind() {
            Kind::Missing => Manager::Apt.absent(),
            _ => error,
        })?;
        let field = |name| archive::control_field(&output.stdout, name);
        match (field("Package"), field("Version")) {
            (Some(name), Some(version)) if output.success() => Ok((name, version)),
            _ => Err(Error::new(Kind::Failed, format!("`{shown}` is not a Debian package"))),
        }
        .doing(|| format!("reading `{shown}`"))
    }

    /// Whether dpkg was stopped before it had written its journal down.
    ///
    /// # Errors
    /// When dpkg cannot be asked.
    pub fn dpkg_was_interrupted(&self) -> Result<bool> {
        Ok(!self.packages()?.interrupted().is_empty() || apt::has_journal(Path::new("/var/lib/dpkg/updates")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "nginx\tamd64\t1.22.1-9\thold\tinstalled\thttpd, httpd-cgi (= 1)\n\
        mawk\tamd64\t1.3.4\tinstall\tinstalled\tawk\n\
        gone\tamd64\t2\tdeinstall\tconfig-files\tghost\n\
        broken\tamd64\t1\tinstall\thalf-configured\t\n\
        libc6\tamd64\t2.36\tinstall\tinstalled\t\n\
        libc6\ti386\t2.35\tinstall\tinstalled\t\n";

    #[test]
    fn dpkg_lines_become_facts() {
        let all = Packages::parse(SEEN);
        let nginx = all.find("nginx").unwrap();
        assert!(nginx.held && nginx.is_installed());
        assert_eq!(nginx.version, "1.22.1-9");
        assert_eq!(all.find("libc6:i386").unwrap().version, "2.35");
        assert!(all.find("libc6:arm64").is_none());
        assert!(all.find("gone").is_none(), "configuration files left behind are not a package");
        assert_eq!(all.interrupted(), ["broken"]);
        assert_eq!(all.provider("httpd-cgi"), Some("nginx"));
        assert_eq!(all.provider("ghost"), None);
    }
}
