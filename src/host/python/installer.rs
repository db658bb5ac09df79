//! The programs that fill an environment, and how each is called: uv, pip or poetry, always as the owner.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::programs::{Invocation, Output};
use crate::host::write::Attributes;
use crate::secret::{Redactor, Sensitive};

/// Which program fills the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installer {
    /// uv at this path.
    Uv(PathBuf),
    /// The environment's own pip.
    Pip,
    /// poetry at this path, for a project with its lock.
    Poetry(PathBuf),
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uv(_) => "uv",
            Self::Pip => "pip",
            Self::Poetry(_) => "poetry",
        })
    }
}

/// An environment as it shall be made and filled.
#[derive(Debug, Clone)]
pub struct Recipe<'r> {
    /// The environment.
    pub path: &'r Path,
    /// Who owns it.
    pub owner: &'r str,
    /// The Python it is made with.
    pub python: &'r str,
    /// What fills it.
    pub installer: Installer,
    /// Requirement files.
    pub files: &'r [PathBuf],
    /// Requirements given in the playbook.
    pub packages: &'r [String],
    /// A project with a lock.
    pub project: Option<&'r Path>,
    /// A directory of wheels that replaces the index.
    pub wheelhouse: Option<&'r Path>,
    /// The index, which may carry a password.
    pub index_url: Option<&'r Sensitive>,
    /// Whether everything must have a hash.
    pub require_hashes: bool,
}

impl Recipe<'_> {
    /// Who the environment's directory belongs to.
    #[must_use]
    pub fn ownership(&self) -> Attributes {
        Attributes { owner: Some(self.owner.to_owned()), group: None, mode: Some(0o755) }
    }

    /// The call that makes an empty environment.
    pub fn create(&self) -> Invocation {
        let path = self.path.display().to_string();
        let invocation = match &self.installer {
            Installer::Uv(uv) => {
                let arguments = ["venv", "--quiet", "--allow-existing", "--python", self.python, &path];
                Invocation::new(uv.display().to_string(), &arguments)
            }
            // poetry brings its own pip.
            Installer::Poetry(_) => Invocation::new(self.python, &["-m", "venv", "--without-pip", &path]),
            Installer::Pip => Invocation::new(self.python, &["-m", "venv", &path]),
        };
        self.finished(invocation)
    }

    /// The call that fills it.
    pub fn install(&self) -> Invocation {
        let python = self.path.join("bin/python").display().to_string();
        let mut invocation = match &self.installer {
            Installer::Uv(uv) if self.project.is_some() => {
                let mut invocation = Invocation::new(uv.display().to_string(), &["sync", "--locked", "--no-dev"]);
                invocation.environment.insert("UV_PROJECT_ENVIRONMENT".into(), self.path.display().to_string().into());
                invocation
            }
            Installer::Uv(uv) => Invocation::new(uv.display().to_string(), &["pip", "install", "--python", &python]),
            Installer::Poetry(poetry) => {
                let arguments = ["install", "--no-root", "--only", "main", "--no-interaction", "--no-ansi"];
                let mut invocation = Invocation::new(poetry.display().to_string(), &arguments);
                invocation.environment.insert("VIRTUAL_ENV".into(), self.path.display().to_string().into());
                invocation.environment.insert("POETRY_VIRTUALENVS_CREATE".into(), "false".into());
                invocation
            }
            // Byte code is made when a module is first imported, by the same user: compiling all of it now would be waited for.
            Installer::Pip => {
                let arguments = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"];
                Invocation::new(python, &arguments)
            }
        };
        invocation.directory = self.project.map(Path::to_owned);
        if self.project.is_none() {
            let mut add = |words: &[&str]| invocation.arguments.extend(words.iter().map(|word| (*word).to_owned()));
            if self.require_hashes {
                add(&["--require-hashes"]);
            }
            if let Some(wheels) = self.wheelhouse {
                add(&["--no-index", "--find-links", &wheels.display().to_string()]);
            }
            for file in self.files {
                add(&["-r", &file.display().to_string()]);
            }
            // Nothing after this can be taken for an option.
            if !self.packages.is_empty() {
                add(&["--"]);
                add(&self.packages.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        self.finished(invocation).live()
    }

    /// What all calls share. The index goes through the environment: arguments are readable by everybody on the machine.
    fn finished(&self, invocation: Invocation) -> Invocation {
        let mut invocation = invocation.as_user(self.owner);
        // A Python from somewhere else is not what the playbook says.
        invocation.environment.insert("UV_PYTHON_DOWNLOADS".into(), "never".into());
        invocation.environment.insert("UV_NO_PROGRESS".into(), "1".into());
        // A build that fails says why on one output; what it had to say on the other must not come out only then, below it.
        invocation.environment.insert("PYTHONUNBUFFERED".into(), "1".into());
        if let Some(index) = self.index_url {
            for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"] {
                invocation.environment.insert(name.into(), index.clone());
            }
        }
        invocation
    }
}

/// The installer's failure, with what the operator can do about the common ones.
pub fn judge(output: Output, invocation: &Invocation, recipe: &Recipe<'_>, redactor: &Redactor) -> Result<()> {
    if output.success() {
        return Ok(());
    }
    let said = format!("{}{}", output.text(), String::from_utf8_lossy(&output.stderr));
    // Python breaks its sentences into lines.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let Err(error) = output.required(invocation, redactor) else { return Ok(()) };
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    Err(if says(&["ensurepip is not available", "No module named venv", "No module named ensurepip"]) {
        let error = Error::new(Kind::Missing, format!("the `venv` module of `{}` is not installed", recipe.python));
        error.hint("a step `packages: [python3-venv]` before this one installs it; uv does not need it")
    } else if says(&["No space left on device"]) {
        error.hint("the disk is full; free some space, the next run finishes the work")
    } else if says(&["Could not find a version", "No solution found", "was not found in the package registry"]) {
        error.hint("is the name right, and does the index (or wheelhouse) have this version for this Python?")
    } else {
        error
    })
}
