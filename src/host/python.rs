//! Python environments: what is in one, and how one is made. Everything in one is done by its owner.

mod environment;
mod installer;
mod requirements;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::as_user::Errand;
use super::{Facts, Host};
use crate::error::{Error, Kind, Result};

pub use environment::{Environment, Installed};
pub use installer::{Installer, Recipe};
pub use requirements::Requirements;

/// What is asked of the helper that looks into an environment as its owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PythonErrand {
    /// The environment.
    pub path: PathBuf,
}

impl PythonErrand {
    /// Looks, as whoever we are.
    ///
    /// # Errors
    /// Where we may not look.
    pub fn perform(&self) -> Result<Environment> {
        environment::examine(&self.path)
    }
}

impl Facts {
    /// What stands where an environment shall be.
    ///
    /// # Errors
    /// Where its owner may not look.
    pub fn python_environment(&self, owner: &str, path: &Path) -> Result<Environment> {
        let Some(account) = self.user(owner)? else {
            return match path.symlink_metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Environment::Absent),
                _ => Err(Error::new(Kind::Missing, format!("there is no user `{owner}`"))),
            };
        };
        let ourselves = nix::unistd::geteuid();
        let errand = PythonErrand { path: path.to_owned() };
        if !ourselves.is_root() && ourselves.as_raw() != account.uid {
            return errand.perform();
        }
        self.errand(owner, &Errand::Python(errand))
    }

    /// All that these requirement files ask for, with the files they include.
    ///
    /// # Errors
    /// `Missing` when one of them is not there.
    pub fn python_requirements(&self, files: &[PathBuf]) -> Result<Requirements> {
        let mut read = |path: &Path| {
            let content = self.read(path)?;
            content.ok_or_else(|| Error::new(Kind::Missing, format!("there is no file `{}`", path.display())))
        };
        requirements::read(files, &mut read)
    }
}

impl Host {
    /// Makes an empty environment where there is none, or one that has to go.
    ///
    /// # Errors
    /// `Missing` when Python or its `venv` module is not installed; whatever the program says.
    pub fn create_python_environment(&self, recipe: &Recipe<'_>) -> Result<()> {
        self.remove(recipe.path)?;
        // Where only root may make a directory, root makes it, empty, and the owner fills it.
        self.make_directory(recipe.path, &recipe.ownership())?;
        let invocation = recipe.create();
        let output = self.ask(&invocation)?;
        installer::judge(output, &invocation, recipe, &self.world.options.redactor)
    }

    /// Brings what the recipe asks for into the environment.
    ///
    /// # Errors
    /// Whatever the installer says.
    pub fn install_python_packages(&self, recipe: &Recipe<'_>) -> Result<()> {
        let invocation = recipe.install();
        let output = self.ask(&invocation)?;
        installer::judge(output, &invocation, recipe, &self.world.options.redactor)
    }
}
