//! Where a playbook comes from, and what overrides its variables.

use std::path::{Path, PathBuf};

use super::document::Text;
use super::{Problem, Problems, yaml};
use crate::host::documents;

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

impl std::str::FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("s3://") {
            Ok(Self::S3(text.to_owned()))
        } else if text.starts_with("ssm:") {
            Ok(Self::Parameter(text.to_owned()))
        } else if text.starts_with("https://") {
            Ok(Self::Https(text.to_owned()))
        } else if text == "user-data" {
            Ok(Self::UserData)
        } else if let Some((scheme, _)) = text.split_once("://") {
            Err(format!("a playbook cannot come from `{scheme}:`; a path, `s3://`, `ssm:`, `https://` and `user-data` are known"))
        } else {
            Ok(Self::Path(PathBuf::from(text)))
        }
    }
}

/// Fetches a playbook's bytes; nothing is parsed before its digest, where one is given, agrees.
pub fn fetch(location: &Location) -> Result<Text, Problems> {
    match location {
        Location::Path(path) => from_path(path),
        other => Err(Problem::nowhere(format!("{other:?} is fetched elsewhere")).into()),
    }
}

fn from_path(path: &Path) -> Result<Text, Problems> {
    let file = if documents::is_folder(path) { path.join("playbook.yaml") } else { path.to_owned() };
    let bytes = documents::read(&file, yaml::LARGEST).map_err(|error| Problem::nowhere(error.to_string()))?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    // `folder/playbook.yaml` is called like its folder.
    let named = if file.file_name().is_some_and(|name| name == "playbook.yaml") { &folder } else { &file };
    let stem = named.file_stem().map_or_else(|| "playbook".to_owned(), |stem| stem.to_string_lossy().into_owned());
    text(file.display().to_string(), stem, folder, bytes)
}

fn text(label: String, stem: String, folder: PathBuf, bytes: Vec<u8>) -> Result<Text, Problems> {
    use sha2::Digest as _;
    let digest = hex(&sha2::Sha256::digest(&bytes));
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { label, stem, folder, text, digest }),
        Err(_) => Err(Problem::nowhere(format!("`{label}` is not UTF-8 text")).into()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
