//! What `agent install` was told, so that `agent run` without a name means the same playbook with the same variables.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::documents;
use crate::playbook::{Location, Overrides};

/// Where a local playbook is copied to, and this record. Root's alone: variables may be nobody else's business.
pub const FOLDER: &str = "/etc/bootstrap-agent";
/// The record's name in that folder.
pub const RECORD: &str = "installed.json";
/// Bytes; the record holds a location and a few variables.
const LARGEST: usize = 1 << 20;

/// What was installed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Where the playbook is, as on a command line.
    pub playbook: String,
    /// Files of variables.
    pub vars: Vec<PathBuf>,
    /// Single variables.
    pub set: Vec<(String, String)>,
}

impl Installed {
    /// The record in this folder.
    ///
    /// # Errors
    /// `Usage` where nothing is installed; `Denied` for others than root.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(RECORD);
        let bytes = documents::read(&path, LARGEST).map_err(|error| match error.kind() {
            Kind::Missing => Error::new(Kind::Usage, "no playbook was named, and none is installed")
                .hint("name one: `agent run playbook.yaml`, or install one: `agent install --playbook playbook.yaml`"),
            _ => error.hint("only root may read what is installed; name a playbook, or try again with `sudo`"),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::from_source(Kind::Failed, &error))
            .doing(|| format!("reading `{}`", path.display()))
    }

    /// The location and the variables, these overridden by what the command line says.
    ///
    /// # Errors
    /// `Usage` when the record holds no location.
    pub fn with(self, overrides: Overrides) -> Result<(Location, Overrides)> {
        let location = self.playbook.parse().map_err(|why: String| Error::new(Kind::Usage, why))?;
        let files = self.vars.into_iter().chain(overrides.files).collect();
        let values = self.set.into_iter().chain(overrides.values).collect();
        Ok((location, Overrides { files, values }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_run_and_the_command_line_has_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Installed::read(folder.path()).unwrap_err().kind(), Kind::Usage);
        let pair = |value: &str| ("environment".to_owned(), value.to_owned());
        let installed =
            Installed { playbook: "s3://bucket/p.yaml".into(), vars: vec!["/v.yaml".into()], set: vec![pair("prod")] };
        std::fs::write(folder.path().join(RECORD), serde_json::to_vec(&installed).unwrap()).unwrap();
        let read = Installed::read(folder.path()).unwrap();
        assert_eq!(read, installed);
        let (location, overrides) = read.with(Overrides { files: Vec::new(), values: vec![pair("dev")] }).unwrap();
        assert_eq!(location, Location::S3("s3://bucket/p.yaml".into()));
        assert_eq!(overrides.values, [pair("prod"), pair("dev")]);
    }
}
