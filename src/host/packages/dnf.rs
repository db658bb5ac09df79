//! Changing what is installed, with one `dnf` call for a whole list: never asking, removing nothing that was not named, fetching
//! metadata when it is old or something is missing.

use std::collections::{HashMap, HashSet};

use super::missing::{self, Offer};
use super::{Manager, NamedPackage, Transaction, Version, failure, versionlock};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::programs::{Invocation, Output};
use crate::host::{Facts, Host};

/// What is asked about every package that could be installed, one line each; made for parsing.
const FORMAT: &str = "%{name}\\t%{epoch}\\t%{version}\\t%{release}\\n";
/// Sees packages that are locked out, and moves those that are locked.
const UNLOCKED: &str = "--disableplugin=versionlock";

impl Host {
    pub(super) fn dnf_install(&self, names: &[NamedPackage], files: &[String], wanted: &Transaction) -> Result<()> {
        let weak = if wanted.recommends { "True" } else { "False" };
        let mut arguments = vec!["install".to_owned(), format!("--setopt=install_weak_deps={weak}")];
        if wanted.change_held {
            arguments.push(UNLOCKED.into());
        }
        arguments.extend(names.iter().map(spec).chain(files.iter().cloned()));
        let mut output = self.dnf(&arguments)?;
        if !output.success() && self.no_such_packages(names)?.is_some() {
            // What is known of the repositories may be from yesterday.
            arguments.push("--refresh".into());
            output = self.dnf(&arguments)?;
            if let (false, Some(missing)) = (output.success(), self.no_such_packages(names)?) {
                return Err(missing.doing("installing packages"));
            }
        }
        self.done("installing packages", &output)?;
        if wanted.change_held { self.lock_anew(names) } else { Ok(()) }
    }

    pub(super) fn dnf_remove(&self, names: &[String]) -> Result<()> {
        let mut arguments = vec!["remove".to_owned(), "--setopt=clean_requirements_on_remove=False".into()];
        arguments.extend(names.iter().map(|name| with_architecture(name, "")));
        let output = self.dnf(&arguments)?;
        self.done("removing packages", &output)
    }

    pub(super) fn dnf_hold(&self, names: &[String], hold: bool) -> Result<()> {
        let mut arguments = vec!["versionlock".to_owned(), if hold { "add" } else { "delete" }.into()];
        arguments.extend(names.iter().map(|name| with_architecture(name, "")));
        let output = self.dnf(&arguments)?;
        self.done("holding packages", &output)
    }

    /// A lock names a version: those that moved are locked where they are now.
    fn lock_anew(&self, names: &[NamedPackage]) -> Result<()> {
        let locks = self.version_locks()?.unwrap_or_default();
        let locked = |name: &&NamedPackage| versionlock::names(&locks).any(|locked| locked == name.name);
        let moved: Vec<String> = names.iter().filter(locked).map(|package| package.name.clone()).collect();
        if moved.is_empty() {
            return Ok(());
        }
        self.dnf_hold(&moved, false)?;
        self.dnf_hold(&moved, true)
    }

    /// Fetches what this one repository has.
    pub(super) fn make_cache(&self, repository: &str) -> Result<()> {
        let output = self.dnf(&["makecache".into(), "--refresh".into(), "--repo".into(), repository.to_owned()])?;
        self.done("fetching the package lists", &output)
    }

    fn no_such_packages(&self, names: &[NamedPackage]) -> Result<Option<Error>> {
        // A dnf that cannot even answer says nothing about packages: its own words tell why.
        Available::ask(self)?.map_or(Ok(None), |available| missing::among(names, &available))
    }

    fn done(&self, doing: &str, output: &Output) -> Result<()> {
        if output.success() { Ok(()) } else { Err(failure::of(doing, output, &self.world.options.redactor)) }
    }

    fn dnf(&self, arguments: &[String]) -> Result<Output> {
        // dnf waits for its own locks as well; it only does not say for whom.
        self.wait_for_packages(Manager::Dnf)?;
        let mut asked = Invocation::new("dnf", &["--assumeyes", "--quiet", "--color=never"]).live();
        asked.arguments.extend_from_slice(arguments);
        self.ask(&asked)
            .map_err(|error| if error.kind() == Kind::Missing { Manager::Dnf.absent() } else { error })
            .doing(|| "running `dnf`".to_owned())
    }
}

/// What the repositories have, from dnf's cache: asked when something failed that has just filled it.
struct Available<'f> {
    facts: &'f Facts,
    versions: HashMap<String, Vec<Version>>,
}

impl<'f> Available<'f> {
    fn ask(facts: &'f Facts) -> Result<Option<Self>> {
        let answer = query(facts, &["--queryformat", FORMAT])?;
        if !answer.success() {
            return Ok(None);
        }
        let mut versions: HashMap<String, Vec<Version>> = HashMap::new();
        for line in answer.text().lines() {
            if let [name, epoch, version, release] = line.split('\t').collect::<Vec<_>>().as_slice() {
                versions.entry((*name).to_owned()).or_default().push(Version::rpm(epoch, version, release));
            }
        }
        Ok(Some(Self { facts, versions }))
    }
}

impl Offer for Available<'_> {
    fn names(&self) -> HashSet<&str> {
        self.versions.keys().map(String::as_str).collect()
    }

    fn provides(&self, name: &str) -> Result<bool> {
        let found = query(self.facts, &["--queryformat", FORMAT, "--whatprovides", name])?;
        Ok(found.text().lines().any(|line| !line.is_empty()))
    }

    fn versions(&self, name: &str) -> Result<Vec<Version>> {
        Ok(self.versions.get(name).cloned().unwrap_or_default())
    }

    fn place(&self) -> &'static str {
        "/etc/yum.repos.d"
    }
}

fn query(facts: &Facts, words: &[&str]) -> Result<Output> {
    let mut asked = Invocation::new("dnf", &["--quiet", "--cacheonly", UNLOCKED, "repoquery", "--available"]);
    asked.arguments.extend(words.iter().map(|word| (*word).to_owned()));
    facts.ask(&asked)
}

/// As dnf reads it: name, version and architecture in one word.
fn spec(package: &NamedPackage) -> String {
    with_architecture(&package.name, &package.version.as_ref().map(|version| format!("-{version}")).unwrap_or_default())
}

/// `name:architecture` with something in between, in dnf's own order.
fn with_architecture(name: &str, between: &str) -> String {
    match name.split_once(':') {
        Some((name, architecture)) => format!("{name}{between}.{architecture}"),
        None => format!("{name}{between}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_dnf_reads_them() {
        let spec = |text: &str| spec(&text.parse().unwrap());
        assert_eq!(spec("nginx"), "nginx");
        assert_eq!(spec("nginx=1.24.*"), "nginx-1.24.*");
        assert_eq!(spec("glibc:i686=2.34-1.amzn2023"), "glibc-2.34-1.amzn2023.i686");
    }
}
