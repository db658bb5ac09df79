//! Where a playbook comes from, and what overrides its variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::document::Text;
use super::{Problem, Problems};
use crate::error::Context as _;
use crate::host::aws::{Permission, Resource};
use crate::host::digest::Sha256;
use crate::host::documents::archive::{self, Archive};
use crate::host::documents::{self, Beside, PLAYBOOK, remote};
use crate::host::origin::Origin;

/// Where a playbook comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file, or a folder with a `playbook.yaml`. Like every other location it may be a `.tar.gz` of such a folder.
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

impl Location {
    /// What fetching it takes of the role.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        let address = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
        match self {
            Self::S3(text) => Origin::of(&address(text)).ok()?.permission(),
            Self::Parameter(text) => {
                let name = address(text).trim_start_matches("ssm:").to_owned();
                Some(Permission::new("ssm:GetParameters", Resource::Parameter(name)))
            }
            Self::Path(_) | Self::Https(_) | Self::UserData => None,
        }
    }
}

/// As it is written on a command line.
impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::S3(text) | Self::Parameter(text) | Self::Https(text) => f.write_str(text),
            Self::UserData => f.write_str("user-data"),
        }
    }
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

/// Fetches a playbook's bytes, which may take this long; nothing is parsed before its digest, where one is given, agrees.
pub fn fetch(location: &Location, patience: Duration) -> Result<Text, Problems> {
    let (written, bytes) = match location {
        Location::Path(path) => return from_path(path),
        Location::S3(url) => {
            let (address, digest) = pinned(url)?;
            let (bucket, key) = address
                .strip_prefix("s3://")
                .and_then(|path| path.split_once('/'))
                .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
                .ok_or_else(|| Problem::nowhere(format!("`{address}` is not like `s3://bucket/key`")))?;
            (address, verified(remote::object(bucket, key, patience), digest)?)
        }
        Location::Parameter(url) => {
            let (address, digest) = pinned(url)?;
            (address, verified(remote::parameter(address.trim_start_matches("ssm:"), patience), digest)?)
        }
        Location::Https(url) => {
            let (address, digest) = pinned(url)?;
            let Some(digest) = digest else {
                let problem = Problem::nowhere(format!("`{}` needs `#sha256=…`", shown(address)));
                return Err(problem.hint("whoever can change that page could run anything here as root").into());
            };
            let fetched = remote::https(address, archive::LARGEST as u64, patience);
            (address, verified(fetched.doing(|| format!("downloading `{}`", shown(address))), Some(digest))?)
        }
        Location::UserData => ("user-data", verified(remote::user_data(patience), None)?),
    };
    let label = shown(written);
    let name = label.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("playbook").to_owned();
    whole(label, stem, Beside::Nothing, bytes)
}

/// An address without what may be a key to it: a presigned query, a password.
fn shown(address: &str) -> String {
    let address = address.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
}

/// An address and the digest pinned to it.
fn pinned(url: &str) -> Result<(&str, Option<&str>), Problem> {
    let Some((address, fragment)) = url.split_once('#') else { return Ok((url, None)) };
    match fragment.strip_prefix("sha256=") {
        Some(digest) if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => Ok((address, Some(digest))),
        _ => Err(Problem::nowhere(format!("`#{fragment}` is no digest")).hint("write `#sha256=` and 64 hexadecimal digits")),
    }
}

fn verified(fetched: crate::error::Result<Vec<u8>>, digest: Option<&str>) -> Result<Vec<u8>, Problem> {
    let bytes = fetched.map_err(Problem::from)?;
    let found = Sha256::of(&bytes).to_string();
    match digest {
        Some(pinned) if !pinned.eq_ignore_ascii_case(&found) => {
            let problem = Problem::nowhere(format!("the playbook has sha256 `{found}`, not `{pinned}`"));
            Err(problem.hint("it was changed after it was pinned; nothing of it was read"))
        }
        _ => Ok(bytes),
    }
}

/// A playbook that somebody holds already.
pub fn alone(name: &str, text: &str) -> Result<Text, Problems> {
    whole(name.to_owned(), name.to_owned(), Beside::Nothing, text.as_bytes().to_vec())
}

fn from_path(path: &Path) -> Result<Text, Problems> {
    let file = if documents::is_folder(path) { path.join(PLAYBOOK) } else { path.to_owned() };
    let bytes = documents::read(&file, archive::LARGEST).map_err(Problem::from)?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    // `folder/playbook.yaml` is called like its folder.
    let named = if file.file_name().is_some_and(|name| name == PLAYBOOK) { &folder } else { &file };
    let stem = named.file_stem().map_or_else(|| "playbook".to_owned(), |stem| stem.to_string_lossy().into_owned());
    whole(file.display().to_string(), stem, Beside::Folder(folder), bytes)
}

/// A playbook, or an archive with a playbook: its bytes tell.
fn whole(label: String, stem: String, beside: Beside, bytes: Vec<u8>) -> Result<Text, Problems> {
    let digest = Sha256::of(&bytes).to_string();
    let (label, stem, beside, bytes) = if archive::is_archive(&bytes) {
        let archive = Archive::unpack(&label, &bytes).map_err(Problem::from)?;
        let playbook = archive.file(Path::new(PLAYBOOK)).unwrap_or_default().to_vec();
        let folder = archive.folder().file_name().map(|name| name.to_string_lossy().into_owned());
        let stem = folder.unwrap_or_else(|| stem.trim_end_matches(".tar").to_owned());
        (archive.name_of(Path::new(PLAYBOOK)), stem, Beside::Archive(Arc::new(archive)), playbook)
    } else {
        (label, stem, beside, bytes)
    };
    match String::from_utf8(bytes) {
        Ok(content) if !content.contains('\0') => Ok(Text { label, stem, beside, content, digest }),
        _ => {
            let problem = Problem::nowhere(format!("`{label}` is neither text in UTF-8 nor a `.tar.gz`"));
            Err(problem
                .hint("a playbook is YAML; with the files beside it, it may come in a tar archive compressed by gzip")
                .into())
        }
    }
}

#[cfg(test)]
mod tests;
