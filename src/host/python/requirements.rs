//! Requirement files, as far as one can tell from their text what an environment must have.

use std::path::{Path, PathBuf};

use super::environment::{Installed, normalised};
use crate::error::{Error, Kind, Result};
use crate::step::Fingerprint;

/// More files than this include each other in a circle.
const MOST_FILES: usize = 50;

/// What requirement files ask for.
#[derive(Debug, Clone, Default)]
pub struct Requirements {
    /// Names, with the version where it is pinned. What is only wanted on some systems, or comes from an address, is left out.
    pub named: Vec<(String, Option<String>)>,
    /// Whether any of them pins its content by hash.
    pub have_hashes: bool,
    /// The content of all files, in order.
    texts: Vec<Vec<u8>>,
}

impl Requirements {
    /// Adds what these lines ask for.
    pub fn add_lines(&mut self, lines: &[String]) {
        for line in lines {
            self.texts.push(line.as_bytes().to_vec());
            self.named.extend(requirement(line));
        }
    }

    /// A digest of all that was written.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.texts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The first requirement that the environment does not meet, in words.
    #[must_use]
    pub fn unmet(&self, installed: &Installed) -> Option<String> {
        self.named.iter().find_map(|(name, version)| match (installed.packages.get(name), version) {
            (None, _) => Some(format!("`{name}` is missing")),
            (Some(there), Some(wanted)) if !same_version(there, wanted) => {
                Some(format!("`{name}` is {there} and shall be {wanted}"))
            }
            _ => None,
        })
    }
}

/// Reads files and what they include.
///
/// # Errors
/// As `read`; when they include each other in a circle.
pub fn read(files: &[PathBuf], read: &mut dyn FnMut(&Path) -> Result<Vec<u8>>) -> Result<Requirements> {
    let mut requirements = Requirements::default();
    let mut waiting: Vec<PathBuf> = files.iter().rev().cloned().collect();
    let mut seen: Vec<PathBuf> = Vec::new();
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        if seen.len() >= MOST_FILES {
            return Err(Error::new(Kind::Failed, format!("`{}` includes more than {MOST_FILES} files", path.display())));
        }
        let content = read(&path)?;
        let text = String::from_utf8_lossy(&content).into_owned();
        seen.push(path.clone());
        for line in logical_lines(&text) {
            requirements.have_hashes |= line.contains("--hash=");
            let beside = |name: &str| path.parent().unwrap_or(Path::new("/")).join(name);
            match included(&line) {
                // An address is fetched by the installer.
                Some((_, name)) if name.contains("://") => {}
                Some((true, name)) => waiting.push(beside(name)),
                // What a constraint names need not be installed, but its text counts.
                Some((false, name)) => requirements.texts.push(read(&beside(name))?),
                None => requirements.named.extend(requirement(&line)),
            }
        }
        requirements.texts.push(content);
    }
    Ok(requirements)
}

/// The file that a line names, and whether its requirements are to be installed rather than only respected.
fn included(line: &str) -> Option<(bool, &str)> {
    let options = [("--requirement", true), ("--constraint", false), ("-r", true), ("-c", false)];
    options.into_iter().find_map(|(option, installs)| {
        let name = line.strip_prefix(option)?;
        name.starts_with(['=', ' ', '\t']).then(|| (installs, name.trim_start_matches(['=', ' ', '\t']).trim()))
    })
}

/// Lines without comments, with those that end in a backslash joined to the next.
fn logical_lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let code = |line: &str| match line.find(" #") {
        Some(at) => line.get(..at).unwrap_or(line).trim().to_owned(),
        None => line.trim().to_owned(),
    };
    joined.lines().map(code).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The name in a line, and its version if it is pinned to one.
fn requirement(line: &str) -> Option<(String, Option<String>)> {
    let line = line.split(" --").next().unwrap_or(line).trim();
    // Options, addresses, and what holds on some systems only.
    if line.starts_with('-') || line.contains(['@', ';', '/']) {
        return None;
    }
    let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None;
    }
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let pinned = rest.trim().strip_prefix("==").map(|version| version.trim_start_matches('=').trim());
    let pinned = pinned.filter(|version| !version.contains([',', '*', ' ', '<', '>', '!']));
    Some((normalised(name), pinned.map(ToOwned::to_owned)))
}

/// Whether two spellings mean the same version. Where we cannot tell, the installer did: then they do.
fn same_version(there: &str, wanted: &str) -> bool {
    let plain = |version: &str| {
        let parts: Option<Vec<u64>> = version.split('.').map(|part| part.parse().ok()).collect();
        parts.map(|mut parts| {
            while parts.last() == Some(&0) {
                parts.pop();
            }
            parts
        })
    };
    match (plain(there), plain(wanted)) {
        (Some(there), Some(wanted)) => there == wanted,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Requirements {
        read(&["/r.txt".into()], &mut |_| Ok(text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn names_and_pins_are_read() {
        let text = "# comment\nFlask==2.0.1  # why\nuvicorn[standard] == 0.30.0\nrequests>=2\nzope.interface\n\
                    ruff==0.1; python_version<'3'\n-e .\nhttps://host/x.whl\nthing @ https://host/y.whl\n--no-binary :all:\nboto3==1.*\n\
                    pinned==1.0 \\\n    --hash=sha256:00\n";
        let requirements = of(text);
        let pin = |name: &str, version: Option<&str>| (name.to_owned(), version.map(ToOwned::to_owned));
        assert_eq!(
            requirements.named,
            [
                pin("flask", Some("2.0.1")),
                pin("uvicorn", Some("0.30.0")),
                pin("requests", None),
                pin("zope-interface", None),
                pin("boto3", None),
                pin("pinned", Some("1.0")),
            ]
        );
        assert!(requirements.have_hashes && !of("a==1").have_hashes);
    }

    #[test]
    fn included_files_count_and_circles_end() {
        let mut read_file = |path: &Path| {
            Ok(match path.to_str().unwrap() {
                "/app/r.txt" => b"-r more/base.txt\n-c limits.txt\nflask\n".to_vec(),
                "/app/more/base.txt" => b"--requirement=../r.txt\nredis\n".to_vec(),
                "/app/limits.txt" => b"celery==5\n".to_vec(),
                "/app/more/../r.txt" => b"click\n".to_vec(),
                other => panic!("{other}"),
            })
        };
        let requirements = read(&["/app/r.txt".into()], &mut read_file).unwrap();
        let mut names: Vec<&str> = requirements.named.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["click", "flask", "redis"]);
        let other = read(&["/r".into()], &mut |_| Ok(b"flask\n".to_vec())).unwrap();
        assert_ne!(requirements.fingerprint(), other.fingerprint());
    }

    #[test]
    fn an_environment_meets_them_or_not() {
        let packages = [("flask", "2.0.1"), ("numpy", "2.0"), ("rc", "1.0rc1")];
        let packages = packages.map(|(name, version)| (name.to_owned(), version.to_owned()));
        let installed = Installed { packages: packages.into_iter().collect(), ..Installed::default() };
        assert_eq!(of("flask==2.0.1\nNumPy==2.0.0\nrc==1.0.0-rc.1").unmet(&installed), None);
        assert_eq!(of("flask==2.0.2").unmet(&installed), Some("`flask` is 2.0.1 and shall be 2.0.2".into()));
        assert_eq!(of("django").unmet(&installed), Some("`django` is missing".into()));
    }
}
