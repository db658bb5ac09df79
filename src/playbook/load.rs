//! Where a playbook comes from, and what overrides its variables.

use std::path::PathBuf;

/// Where a playbook comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, or a folder with a `playbook.yaml`.
    Path(PathBuf),
    /// `s3://bucket/key`, optionally `#sha256=…`.
    S3(String),
    /// `ssm:/name`, optionally `#sha256=…`.
    Parameter(String),
    /// `https://…#sha256=…`; the digest is not optional.
    Https(String),
    /// The instance's own user-data.
    UserData,
}

/// `--vars FILE` (in order) and then `--set name=value`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Files of variables; unknown names in them are errors.
    pub files: Vec<PathBuf>,
    /// Single variables; the value is read as YAML.
    pub values: Vec<(String, String)>,
}
