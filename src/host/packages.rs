//! Installed packages and how to change them, with whichever package manager the machine has. This file says what is installed
//! and who is asked; `dpkg` and `rpm` answer, `apt` and `dnf` change it, `locks` waits for others.

mod apt;
mod archive;
mod dnf;
mod dpkg;
mod failure;
mod locks;
mod manager;
mod missing;
mod request;
mod rpm;
mod source;
mod version;
mod versionlock;

pub use manager::Manager;
pub use request::{NamedPackage, Request, Transaction};
pub use source::{Source, SourceFiles};
pub use version::Version;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{Facts, Host};
use crate::error::{Error, Kind, Result};

/// One package as the package manager knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFacts {
    /// `amd64`, `all`, `x86_64`, `noarch`, …
    pub architecture: String,
    /// Its version.
    pub version: Version,
    /// Whether it is held at this version.
    pub held: bool,
    /// `installed`, or as dpkg says: `half-configured`, `config-files`, …
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

/// Everything the package manager knows.
#[derive(Debug, Default)]
pub struct Packages {
    by_name: HashMap<String, Vec<PackageFacts>>,
    provided: HashMap<String, String>,
}

impl Packages {
    /// One more package, which provides these names.
    fn add<'p>(&mut self, name: &str, package: PackageFacts, provides: impl Iterator<Item = &'p str>) {
        if package.is_installed() {
            for virtual_name in provides {
                self.provided.insert(virtual_name.to_owned(), name.to_owned());
            }
        }
        self.by_name.entry(name.to_owned()).or_default().push(package);
    }

    /// The package of this name that is installed or at least begun; `name:architecture` asks for that architecture.
    pub fn find(&self, name: &str) -> Option<&PackageFacts> {
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (name, None),
        };
        let mut candidates = self.by_name.get(name)?.iter().filter(|package| package.is_installed() || package.is_interrupted());
        match architecture {
            Some(wanted) => candidates
                .find(|package| package.architecture == wanted || ["all", "noarch"].contains(&package.architecture.as_str())),
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
    /// What is installed, asked with one call until somebody writes.
    ///
    /// # Errors
    /// `Failed` where there is no package manager, or when it does not answer.
    pub fn packages(&self) -> Result<Arc<Packages>> {
        self.world.cache.get("packages", || match self.package_manager() {
            Manager::Apt => self.ask_dpkg(),
            Manager::Dnf => self.ask_rpm(),
        })
    }

    /// Name and version of a package file.
    ///
    /// # Errors
    /// `Missing` where there is no such file; `Failed` when it is no package of this machine.
    pub fn package_file(&self, path: &Path) -> Result<(String, String)> {
        if self.look(path)?.is_none() {
            return Err(Error::new(Kind::Missing, format!("there is no package file `{}`", path.display())));
        }
        match self.package_manager() {
            Manager::Apt => self.deb_file(path),
            Manager::Dnf => self.rpm_file(path),
        }
    }

    /// Whether the package manager was stopped in the middle of something that it does not finish by itself.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn packages_were_interrupted(&self) -> Result<bool> {
        match self.package_manager() {
            Manager::Apt => self.dpkg_was_interrupted(),
            // What rpm had not finished is not installed, and installed anew.
            Manager::Dnf => Ok(false),
        }
    }

    /// Fails where packages cannot be held at their version.
    ///
    /// # Errors
    /// `Missing`, with what it takes.
    pub fn require_holds(&self) -> Result<()> {
        match self.package_manager() {
            Manager::Apt => Ok(()),
            Manager::Dnf => self.version_locks().and_then(|locks| locks.map(|_| ()).ok_or_else(versionlock::absent)),
        }
    }

    /// Waits until nobody else is at work with packages.
    fn wait_for_packages(&self, manager: Manager) -> Result<()> {
        let (name, locks) = locks::of(manager);
        self.waits.during(|| locks::wait_for(name, &locks, &self.scope.deadline, &|reason| (self.scope.waiting)(reason)))
    }
}

impl Host {
    /// Installs everything in one call.
    ///
    /// # Errors
    /// `Missing` when a package does not exist; `TimedOut` when somebody held the locks; whatever the package manager says.
    pub fn install_packages(&self, wanted: &Transaction) -> Result<()> {
        let manager = self.package_manager();
        let (mut names, mut files, mut downloads) = (Vec::new(), Vec::new(), Vec::new());
        for request in &wanted.install {
            match request {
                Request::Named(package) => names.push(package.clone()),
                Request::File(path) => files.push(path.display().to_string()),
                Request::Remote { origin, sha256 } => {
                    let path = self.download(origin, *sha256, manager.extension())?;
                    files.push(path.display().to_string());
                    downloads.push(path);
                }
            }
        }
        let done = match manager {
            Manager::Apt => self.apt_install(&names, &files, wanted),
            Manager::Dnf => self.dnf_install(&names, &files, wanted),
        };
        downloads.iter().try_for_each(|path| self.remove(path))?;
        done
    }

    /// Removes packages, and leaves configuration that was changed.
    ///
    /// # Errors
    /// `TimedOut` when somebody held the locks; whatever the package manager says.
    pub fn remove_packages(&self, names: &[String]) -> Result<()> {
        match self.package_manager() {
            Manager::Apt => self.apt_remove(names),
            Manager::Dnf => self.dnf_remove(names),
        }
    }

    /// Holds packages at their version, or lets them go.
    ///
    /// # Errors
    /// When the package manager cannot write that down.
    pub fn hold_packages(&self, names: &[String], hold: bool) -> Result<()> {
        match self.package_manager() {
            Manager::Apt => self.apt_hold(names, hold),
            Manager::Dnf => self.dnf_hold(names, hold),
        }
    }
}
