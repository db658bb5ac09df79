//! What is in an environment, read from its files: starting Python to ask would cost more than all other checks together.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// What stands where an environment shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Environment {
    /// Nothing, or an empty directory.
    Absent,
    /// Something half-made, or whose Python has gone, for this reason.
    Broken(String),
    /// An environment that works.
    Ready(Installed),
}

/// What an environment has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Version of its Python, such as `3.11.2`.
    pub python: String,
    /// The directory of the Python it was made with.
    pub home: String,
    /// Versions by normalised name.
    pub packages: IndexMap<String, String>,
}

/// Looks.
///
/// # Errors
/// Where we may not look.
pub fn examine(path: &Path) -> Result<Environment> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries.count(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Environment::Absent),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Ok(Environment::Broken("it is not a directory".to_owned()));
        }
        Err(error) => return Err(error).doing(|| format!("looking at `{}`", path.display())),
    };
    if entries == 0 {
        return Ok(Environment::Absent);
    }
    Ok(match installed(path) {
        Ok(installed) => Environment::Ready(installed),
        Err(why) => Environment::Broken(why),
    })
}

fn installed(path: &Path) -> Result<Installed, String> {
    let settings = fs::read_to_string(path.join("pyvenv.cfg")).map_err(|_| "it has no `pyvenv.cfg`")?;
    let setting = |names: &[&str]| {
        let pairs = settings.lines().filter_map(|line| line.split_once('='));
        let found = pairs.filter(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim().to_owned()).next();
        found.ok_or_else(|| format!("its `pyvenv.cfg` has no `{}`", names.first().unwrap_or(&"")))
    };
    let python = setting(&["version", "version_info"])?;
    let home = setting(&["home"])?;
    let program = fs::canonicalize(path.join("bin/python")).map_err(|_| format!("its Python in `{home}` has gone"))?;
    let mut parts = python.split('.');
    let minor = format!("python{}.{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // After an upgrade of the system, the same link leads to another Python, which does not look into this environment's packages.
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with("python3.") && name != minor {
        return Err(format!("it was made with `{minor}`, and its Python is `{name}` now"));
    }
    let folder = path.join("lib").join(&minor).join("site-packages");
    let entries = fs::read_dir(&folder).map_err(|_| format!("it has no `{}`", folder.display()))?;
    let mut packages = IndexMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // pip renames what it is about to replace.
        if name.starts_with('~') {
            return Err(format!("an installation was cut short and left `{name}`"));
        }
        let Some((package, version)) = name.strip_suffix(".dist-info").and_then(|stem| stem.rsplit_once('-')) else { continue };
        // Installers write the list of a package's files last.
        if entry.path().join("RECORD").symlink_metadata().is_err() {
            return Err(format!("`{package}` is installed by half"));
        }
        packages.insert(normalised(package), version.to_owned());
    }
    packages.sort_keys();
    Ok(Installed { python, home, packages })
}

/// A package's name as all its spellings agree: lower case, with one `-` for any run of `-`, `_` and `.`.
pub fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for directory in ["bin", "lib/python3.11/site-packages/Flask_RESTful-0.3.10.dist-info", "system"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        fs::write(path.join("lib/python3.11/site-packages/Flask_RESTful-0.3.10.dist-info/RECORD"), "").unwrap();
        fs::write(path.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.2\n").unwrap();
        fs::write(path.join("system/python3.11"), "").unwrap();
        symlink(path.join("system/python3.11"), path.join("bin/python")).unwrap();
        folder
    }

    fn broken(path: &Path) -> String {
        match examine(path).unwrap() {
            Environment::Broken(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_installed_is_read_from_the_files() {
        let folder = made();
        let Environment::Ready(installed) = examine(folder.path()).unwrap() else { panic!() };
        assert_eq!(installed.python, "3.11.2");
        assert_eq!(installed.packages.get("flask-restful").map(String::as_str), Some("0.3.10"));
        assert_eq!(examine(&folder.path().join("nothing")).unwrap(), Environment::Absent);
        assert_eq!(examine(&folder.path().join("lib/python3.11/site-packages")).unwrap_or(Environment::Absent), {
            Environment::Broken("it has no `pyvenv.cfg`".to_owned())
        });
    }

    #[test]
    fn half_made_environments_are_told() {
        let folder = made();
        fs::remove_file(folder.path().join("lib/python3.11/site-packages/Flask_RESTful-0.3.10.dist-info/RECORD")).unwrap();
        assert_eq!(broken(folder.path()), "`Flask_RESTful` is installed by half");
        let folder = made();
        fs::create_dir(folder.path().join("lib/python3.11/site-packages/~lask")).unwrap();
        assert!(broken(folder.path()).contains("cut short"));
        let folder = made();
        fs::remove_file(folder.path().join("pyvenv.cfg")).unwrap();
        assert!(broken(folder.path()).contains("pyvenv.cfg"));
        let folder = made();
        fs::remove_file(folder.path().join("system/python3.11")).unwrap();
        assert_eq!(broken(folder.path()), "its Python in `/usr/bin` has gone");
    }

    #[test]
    fn an_upgrade_of_the_systems_python_is_noticed() {
        let folder = made();
        fs::rename(folder.path().join("system/python3.11"), folder.path().join("system/python3.12")).unwrap();
        fs::remove_file(folder.path().join("bin/python")).unwrap();
        symlink(folder.path().join("system/python3.12"), folder.path().join("bin/python")).unwrap();
        assert_eq!(broken(folder.path()), "it was made with `python3.11`, and its Python is `python3.12` now");
    }
}
