//! Changing what is installed, with one `apt-get` call for a whole list: never asking, keeping configuration files that were
//! changed, fetching the lists only when something is missing and they are old.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::missing::{self, Offer};
use super::{Manager, NamedPackage, Transaction, Version, failure, locks};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::programs::{Invocation, Output};
use crate::host::{Facts, Host};

/// Lists younger than this are good enough.
const FRESH: Duration = Duration::from_hours(1);
/// How often a lock that was taken just before us is waited for again.
const LOCK_RACES: usize = 5;

/// How old the lists are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Absent,
    Old,
    Fresh,
}

impl Host {
    pub(super) fn apt_install(&self, packages: &[NamedPackage], files: &[String], wanted: &Transaction) -> Result<()> {
        let mut arguments = vec!["install".to_owned(), "--no-remove".to_owned()];
        arguments.push(format!("-oAPT::Install-Recommends={}", wanted.recommends));
        // Only a version that somebody wrote down may be older than the installed one.
        if !files.is_empty() || packages.iter().any(|package| package.version.is_some()) {
            arguments.push("--allow-downgrades".into());
        }
        if wanted.change_held {
            arguments.push("--allow-change-held-packages".into());
        }
        arguments.push("--".into());
        arguments.extend(packages.iter().map(ToString::to_string).chain(files.iter().cloned()));
        self.install_with_lists(packages, &arguments)
    }

    fn install_with_lists(&self, names: &[NamedPackage], arguments: &[String]) -> Result<()> {
        let lists = lists_in(Path::new("/var/lib/apt/lists"), SystemTime::now());
        // Files may need dependencies, but mostly do not: their lists are fetched when the first try fails.
        let updated = if !names.is_empty() && lists != Lists::Fresh { Some(self.update_lists(None)) } else { None };
        let output = self.apt_get(arguments)?;
        if output.success() {
            return Ok(());
        }
        if let Some(update) = updated {
            return self.explain(names, &output, update);
        }
        // The lists looked fresh, and may still not know what is new.
        let update = self.update_lists(None);
        let again = self.apt_get(arguments)?;
        if again.success() { Ok(()) } else { self.explain(names, &again, update) }
    }

    /// Why the last try failed: names that do not exist, lists that could not be had, or apt's own words.
    fn explain(&self, names: &[NamedPackage], output: &Output, update: Result<()>) -> Result<()> {
        if let Some(missing) = missing::among(names, &Known::ask(self)?)? {
            return Err(missing.doing("installing packages"));
        }
        update?;
        Err(failure::of("installing packages", output, &self.world.options.redactor))
    }

    pub(super) fn apt_remove(&self, names: &[String]) -> Result<()> {
        let mut arguments = vec!["remove".to_owned(), "--allow-change-held-packages".into(), "--".into()];
        arguments.extend_from_slice(names);
        let output = self.apt_get(&arguments)?;
        if output.success() {
            return Ok(());
        }
        Err(failure::of("removing packages", &output, &self.world.options.redactor))
    }

    pub(super) fn apt_hold(&self, names: &[String], hold: bool) -> Result<()> {
        self.wait_for_packages(Manager::Apt)?;
        let mut asked = Invocation::new("apt-mark", &[if hold { "hold" } else { "unhold" }, "--"]);
        asked.arguments.extend_from_slice(names);
        let output = self.run_apt(asked)?;
        if output.success() {
            return Ok(());
        }
        Err(failure::of("holding packages", &output, &self.world.options.redactor))
    }

    /// Finishes what a stopped dpkg had begun.
    ///
    /// # Errors
    /// When a package's own scripts fail.
    pub fn finish_interrupted_packages(&self) -> Result<()> {
        self.wait_for_packages(Manager::Apt)?;
        let output =
            self.run_apt(Invocation::new("dpkg", &["--configure", "--pending", "--force-confdef", "--force-confold"]))?;
        if output.success() {
            return Ok(());
        }
        Err(failure::of("finishing an interrupted installation", &output, &self.world.options.redactor))
    }

    /// Fetches the lists of all sources, or of those in this one file.
    pub(super) fn update_lists(&self, only: Option<&Path>) -> Result<()> {
        // Without this mode apt calls it a success when a repository could not be reached.
        let mut arguments = vec!["update".to_owned(), "-oAPT::Update::Error-Mode=any".into()];
        if let Some(source) = only {
            arguments.push(format!("-oDir::Etc::SourceList={}", source.display()));
            // No other file, and nobody else's lists are cleaned away.
            arguments.extend(["-oDir::Etc::SourceParts=-".into(), "-oAPT::Get::List-Cleanup=false".into()]);
        }
        let output = self.apt_get(&arguments)?;
        if output.success() {
            return Ok(());
        }
        Err(failure::of("fetching the package lists", &output, &self.world.options.redactor))
    }

    fn apt_get(&self, arguments: &[String]) -> Result<Output> {
        for _ in 0..LOCK_RACES {
            self.wait_for_packages(Manager::Apt)?;
            let left = self.deadline().saturating_duration_since(Instant::now()).as_secs();
            let mut asked = Invocation::new(
                "apt-get",
                &[
                    "--yes",
                    "--quiet=2",
                    "-oDpkg::Options::=--force-confdef",
                    "-oDpkg::Options::=--force-confold",
                    "-oDpkg::Use-Pty=0",
                    "-oAcquire::Retries=3",
                ],
            );
            asked.arguments.push(format!("-oDPkg::Lock::Timeout={left}"));
            asked.arguments.extend_from_slice(arguments);
            let output = self.run_apt(asked)?;
            let lost_a_race = !output.success() && locks::Holder::of_any(&locks::of(Manager::Apt).1).is_some();
            if !lost_a_race {
                return Ok(output);
            }
        }
        Err(Error::new(Kind::Failed, "others kept taking apt's locks just before us"))
    }

    fn run_apt(&self, mut asked: Invocation) -> Result<Output> {
        asked.live = true;
        for (name, value) in [
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBIAN_PRIORITY", "critical"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            ("UCF_FORCE_CONFFOLD", "1"),
            // What has to be restarted is what the playbook says, not what needrestart guesses, us among it.
            ("NEEDRESTART_SUSPEND", "1"),
        ] {
            asked.environment.insert(name.to_owned(), value.into());
        }
        let program = asked.program.clone();
        self.ask(&asked)
            .map_err(|error| if error.kind() == Kind::Missing { Manager::Apt.absent() } else { error })
            .doing(|| format!("running `{program}`"))
    }
}

/// What the repositories have, as apt's cache says.
struct Known<'f> {
    facts: &'f Facts,
    names: String,
}

impl<'f> Known<'f> {
    fn ask(facts: &'f Facts) -> Result<Self> {
        Ok(Self { facts, names: facts.ask(&Invocation::new("apt-cache", &["pkgnames"]))?.text() })
    }
}

impl Offer for Known<'_> {
    fn names(&self) -> HashSet<&str> {
        self.names.lines().collect()
    }

    /// `pkgnames` knows virtual names too.
    fn provides(&self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn versions(&self, name: &str) -> Result<Vec<Version>> {
        let said = self.facts.ask(&Invocation::new("apt-cache", &["madison", name]))?;
        Ok(versions(&said.text()).iter().map(|version| Version::debian(version)).collect())
    }

    fn place(&self) -> &'static str {
        "/etc/apt/sources.list.d"
    }
}

/// Versions from `apt-cache madison`: ` nginx | 1.22.1-9 | source`.
fn versions(text: &str) -> Vec<String> {
    let mut all: Vec<String> =
        text.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned()).collect();
    all.dedup();
    all
}

/// Whether dpkg's journal holds anything: it is emptied at the end of every run of dpkg.
pub(super) fn has_journal(updates: &Path) -> bool {
    std::fs::read_dir(updates).is_ok_and(|entries| entries.flatten().next().is_some())
}

/// How old the lists in this folder are: apt renames files into it with each update that brought something.
fn lists_in(folder: &Path, now: SystemTime) -> Lists {
    let Ok(entries) = std::fs::read_dir(folder) else { return Lists::Absent };
    let has_lists = entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with("Release"));
    if !has_lists {
        return Lists::Absent;
    }
    // An update that brought nothing new leaves its trace in `partial` only, if at all.
    let newest = [folder.to_owned(), folder.join("partial")]
        .iter()
        .filter_map(|path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok())
        .max();
    // A time stamp from the future comes from a wrong clock: it proves nothing.
    match newest.and_then(|changed| now.duration_since(changed).ok()) {
        Some(age) if age < FRESH => Lists::Fresh,
        _ => Lists::Old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_absent_old_or_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let lists = folder.path().join("lists");
        let now = SystemTime::now();
        assert_eq!(lists_in(&lists, now), Lists::Absent);
        std::fs::create_dir_all(lists.join("partial")).unwrap();
        assert_eq!(lists_in(&lists, now), Lists::Absent, "an image is often shipped with the folder, but empty");
        std::fs::write(lists.join("mirror_dists_stable_InRelease"), "").unwrap();
        assert_eq!(lists_in(&lists, SystemTime::now()), Lists::Fresh);
        assert_eq!(lists_in(&lists, SystemTime::now() + FRESH + Duration::from_secs(5)), Lists::Old);
        assert_eq!(lists_in(&lists, now - Duration::from_mins(1)), Lists::Old, "the clock was wrong");
    }

    #[test]
    fn the_journal_of_a_stopped_dpkg_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_journal(folder.path()));
        std::fs::write(folder.path().join("0001"), "").unwrap();
        assert!(has_journal(folder.path()));
    }

    #[test]
    fn versions_are_read_from_madison() {
        assert_eq!(versions(" nginx | 1.22.1-9 | x\n nginx | 1.22.1-9 | y\n nginx | 1.18 | z\n"), ["1.22.1-9", "1.18"]);
    }
}
