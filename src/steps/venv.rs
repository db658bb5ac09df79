//! `venv`: a Python environment with what an application needs.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Kind, Result};
use crate::host::python::{Environment, Installed, Installer, Recipe, Requirements};
use crate::host::{Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::AbsolutePath;
use crate::step::{Finding, Fingerprint, Step, Touches};

/// Makes a Python environment and keeps it at what requirement files, a list of packages, or a project's lock ask for.
///
/// Everything runs as the owner. uv does the work where it is installed, else the environment's own pip. An environment that was
/// made by half, or whose Python has gone, is made anew. Outputs: `path`, `python`, `version`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Venv {
    /// The environment's directory.
    path: AbsolutePath,
    /// Who owns it and does all the work in it; whoever runs the agent unless told.
    owner: Option<String>,
    /// The Python it is made with: a name such as `python3.12`, or a path.
    #[serde(default = "python3")]
    python: String,
    /// Requirement files.
    #[serde(default)]
    requirements: OneOrMore,
    /// Packages, as in a line of a requirement file.
    #[serde(default)]
    packages: Vec<String>,
    /// A directory with `uv.lock` (installed by uv) or `poetry.lock` (installed by poetry).
    project: Option<AbsolutePath>,
    /// A directory of wheels that replaces the index.
    wheelhouse: Option<AbsolutePath>,
    /// The index; may carry a password.
    index_url: Option<Sensitive>,
    /// Whether everything must have a hash. So unless told, when a requirement file has any.
    require_hashes: Option<bool>,
    /// What fills the environment.
    #[serde(default)]
    installer: Choice,
    /// Where uv is, if it is not in the `PATH`.
    uv: Option<AbsolutePath>,
}

/// One path, or a list.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(with = "Either")]
struct OneOrMore(Vec<AbsolutePath>);

/// As it is written; for the schema only, since serde's own reading of it would hide what is wrong with a path.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Either {
    One(AbsolutePath),
    More(Vec<AbsolutePath>),
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore, E> {
                text.parse().map(|path| OneOrMore(vec![path])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(OneOrMore(paths))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What fills an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// uv where there is one, else pip.
    #[default]
    Auto,
    /// uv.
    Uv,
    /// The environment's own pip.
    Pip,
}

fn python3() -> String {
    "python3".to_owned()
}

/// One difference between the environment and the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VenvChange {
    /// There is none.
    Create {
        /// The Python it is made with.
        python: String,
    },
    /// What is there does not work.
    Rebuild {
        /// Why.
        why: String,
    },
    /// Packages are missing, or have not been checked against the wish.
    Install {
        /// Why.
        why: String,
    },
}

impl fmt::Display for VenvChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { python } => write!(f, "create the environment with `{python}`"),
            Self::Rebuild { why } => write!(f, "make the environment anew: {why}"),
            Self::Install { why } => write!(f, "install packages: {why}"),
        }
    }
}

impl Step for Venv {
    const KIND: &'static str = "venv";
    const EXAMPLE: &'static str = "steps:
  - venv: { path: /srv/app/.venv, requirements: /srv/app/requirements.txt, owner: www-data }
";
    const OUTPUTS: &'static [(&'static str, &'static str)] =
        &[("path", "The environment."), ("python", "Its interpreter."), ("version", "The version of its interpreter.")];

    type Change = VenvChange;

    fn touches(&self) -> Touches {
        let paths = self.requirements.0.iter().chain(&self.project).chain(&self.wheelhouse).chain(&self.uv);
        let touches = Touches::nothing().read_user(self.owner.as_deref()).read(crate::step::Thing::Programs);
        paths.fold(touches, |touches, path| touches.read_path(path.as_path())).write_path(self.path.as_path())
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let sources = [!self.requirements.0.is_empty() || !self.packages.is_empty(), self.project.is_some()];
        match sources {
            [true, true] => {
                problems.push("`project` brings its own lock: give either it or `requirements` and `packages`".to_owned());
            }
            [false, false] => problems.push("one of `requirements`, `packages` and `project` is needed".to_owned()),
            _ => {}
        }
        problems.extend(
            self.packages
                .iter()
                .filter(|line| line.trim().is_empty() || line.starts_with('-'))
                .map(|line| format!("`{line}` is not a package; options have fields of their own")),
        );
        if self.installer == Choice::Pip && (self.uv.is_some() || self.project.is_some()) {
            problems.push("`installer: pip` knows neither `uv` nor `project`".to_owned());
        }
        if self.wheelhouse.is_some() && self.project.is_some() {
            problems.push(
                "a lock says itself where its files come from: `wheelhouse` goes with `requirements` and `packages`".to_owned(),
            );
        }
        if self.wheelhouse.is_some() && self.index_url.is_some() {
            problems.push("`wheelhouse` replaces the index: give either it or `index_url`".to_owned());
        }
        if self.python.is_empty() || self.python.starts_with('-') || self.python.contains(char::is_whitespace) {
            problems.push(format!("`{}` is not the name or path of a Python", self.python));
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<VenvChange>> {
        let wish = self.wish(facts)?;
        let environment = match facts.python_environment(&self.owner(facts)?, &self.path)? {
            Environment::Ready(installed) => match self.wrong_python(&installed) {
                Some(why) => Environment::Broken(why),
                None => Environment::Ready(installed),
            },
            other => other,
        };
        let mut finding = Finding::done();
        let version = match environment {
            Environment::Absent => {
                finding.change(VenvChange::Create { python: self.python.clone() });
                finding.change(VenvChange::Install { why: self.in_words() });
                None
            }
            Environment::Broken(why) => {
                finding.change(VenvChange::Rebuild { why });
                finding.change(VenvChange::Install { why: self.in_words() });
                None
            }
            Environment::Ready(installed) => {
                if let Some(why) = self.unmet(&wish, &installed, facts)? {
                    finding.change(VenvChange::Install { why });
                }
                Some(installed.python)
            }
        };
        let python = self.path.join("bin/python").display().to_string();
        finding = finding.with_output("path", self.path.to_string()).with_output("python", python);
        Ok(match version {
            Some(version) => {
                let digest = wish.digest(&version);
                finding.with_output("version", version).with_fingerprint(&[&digest.0])
            }
            None => finding.with_output("version", crate::step::Value::Unknown),
        })
    }

    fn apply(&self, change: &VenvChange, host: &Host) -> Result<()> {
        let wish = self.wish(host)?;
        let owner = self.owner(host)?;
        let files: Vec<PathBuf> = self.requirements.0.iter().map(|file| file.to_path_buf()).collect();
        let recipe = Recipe {
            path: &self.path,
            owner: &owner,
            python: &self.python,
            installer: self.installer(host)?,
            files: &files,
            packages: &self.packages,
            project: self.project.as_deref(),
            wheelhouse: self.wheelhouse.as_deref(),
            index_url: self.index_url.as_ref(),
            require_hashes: self.require_hashes.unwrap_or(wish.requirements.have_hashes),
        };
        match change {
            VenvChange::Create { .. } | VenvChange::Rebuild { .. } => host.create_python_environment(&recipe),
            VenvChange::Install { .. } => {
                host.install_python_packages(&recipe)?;
                match host.python_environment(&owner, &self.path)? {
                    Environment::Ready(installed) => host.record_start(&self.record(), &wish.digest(&installed.python)),
                    Environment::Broken(why) => Err(Error::new(Kind::Failed, format!("the installer ended well, but {why}"))),
                    Environment::Absent => {
                        Err(Error::new(Kind::Failed, "the installer ended well, but the environment has gone"))
                    }
                }
            }
        }
    }
}

/// What the environment shall hold.
struct WishedFor {
    requirements: Requirements,
    lock: Vec<u8>,
    wheelhouse: String,
}

impl WishedFor {
    /// Changes whenever the installer has to look again.
    fn digest(&self, python: &str) -> Fingerprint {
        let requirements = self.requirements.fingerprint();
        Fingerprint::of(&[&requirements.0, &self.lock, self.wheelhouse.as_bytes(), python.as_bytes()])
    }
}

impl Venv {
    fn owner(&self, facts: &Facts) -> Result<String> {
        match &self.owner {
            Some(owner) => Ok(owner.clone()),
            None => facts.own_name(),
        }
    }

    /// The name of the record of what was last installed here: the machine itself cannot say whether `flask>=2` was looked at.
    fn record(&self) -> String {
        format!("venv:{}", self.path)
    }

    fn wish(&self, facts: &Facts) -> Result<WishedFor> {
        let files: Vec<PathBuf> = self.requirements.0.iter().map(|file| file.to_path_buf()).collect();
        let mut requirements = facts.python_requirements(&files)?;
        requirements.add_lines(&self.packages);
        let lock = match &self.project {
            Some(project) => lock_of(project, facts)?.1,
            None => Vec::new(),
        };
        let wheelhouse = self.wheelhouse.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(WishedFor { requirements, lock, wheelhouse })
    }

    /// What is asked for, in words.
    fn in_words(&self) -> String {
        let files = self.requirements.0.iter().map(|file| format!("`{file}`"));
        let packages = self.packages.iter().map(|package| format!("`{package}`"));
        let project = self.project.iter().map(|project| format!("the lock of `{project}`"));
        files.chain(packages).chain(project).collect::<Vec<_>>().join(", ")
    }

    /// Why the environment's Python is not the one that was asked for.
    fn wrong_python(&self, installed: &Installed) -> Option<String> {
        let of_path = Path::new(&self.python);
        if let Some(folder) = of_path.parent().filter(|_| of_path.is_absolute()) {
            let same =
                |a: &Path, b: &Path| a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
            if !same(folder, Path::new(&installed.home)) {
                return Some(format!("it was made with the Python in `{}`, not with `{}`", installed.home, self.python));
            }
        }
        let name = of_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let minor = name.strip_prefix("python").filter(|version| version.contains('.'))?;
        let fits = installed.python == minor || installed.python.starts_with(&format!("{minor}."));
        (!fits).then(|| format!("it has Python {}, not `{}`", installed.python, self.python))
    }

    /// Why the installer has to run.
    fn unmet(&self, wish: &WishedFor, installed: &Installed, facts: &Facts) -> Result<Option<String>> {
        if let Some(why) = wish.requirements.unmet(installed) {
            return Ok(Some(why));
        }
        // In no order that one could rely on, installers put several packages in at once: only a record says that all arrived.
        Ok(match facts.started_with(&self.record(), &wish.digest(&installed.python))? {
            Some(true) => None,
            Some(false) => Some(format!("{} changed since they were last installed", self.in_words())),
            None => Some(format!("{} were not installed by the agent yet", self.in_words())),
        })
    }

    fn installer(&self, facts: &Facts) -> Result<Installer> {
        let uv = || self.uv.as_deref().map(Path::to_owned).or_else(|| facts.program("uv"));
        let no_uv = || {
            Error::new(Kind::Missing, "uv is not installed")
                .hint("give its path under `uv:`, or let a step before this one install it")
        };
        if let Some(project) = &self.project {
            return match lock_of(project, facts)?.0 {
                Lock::Uv => uv().map(Installer::Uv).ok_or_else(no_uv),
                Lock::Poetry if self.index_url.is_some() => Err(Error::new(
                    Kind::Playbook,
                    "poetry takes its index from the project's `pyproject.toml`, not from `index_url`",
                )
                .hint("keep a `uv.lock` in the project, or let the playbook's `env:` give poetry the user and password of its index")),
                Lock::Poetry => facts.program("poetry").map(Installer::Poetry).ok_or_else(|| {
                    Error::new(Kind::Missing, "poetry is not installed, and nothing else reads `poetry.lock`").hint(
                        "install poetry before this step, or keep a `uv.lock` or an exported requirements file in the project",
                    )
                }),
            };
        }
        match self.installer {
            Choice::Pip => Ok(Installer::Pip),
            Choice::Uv => uv().map(Installer::Uv).ok_or_else(no_uv),
            Choice::Auto => Ok(uv().map_or(Installer::Pip, Installer::Uv)),
        }
    }
}

/// The kinds of lock a project can have.
enum Lock {
    Uv,
    Poetry,
}

/// The project's lock; uv's, where there are both.
fn lock_of(project: &Path, facts: &Facts) -> Result<(Lock, Vec<u8>)> {
    for (name, lock) in [("uv.lock", Lock::Uv), ("poetry.lock", Lock::Poetry)] {
        if let Some(content) = facts.read(&project.join(name))? {
            return Ok((lock, content));
        }
    }
    Err(Error::new(Kind::Missing, format!("there is neither `uv.lock` nor `poetry.lock` in `{}`", project.display())))
}

#[cfg(test)]
mod tests;
