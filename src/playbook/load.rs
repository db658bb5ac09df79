//! Where a playbook comes from, and what overrides its variables.

use std::path::{Path, PathBuf};

use super::document::Text;
use super::{Problem, Problems, yaml};
use crate::host::documents::{self, remote};

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

/// Fetches a playbook's bytes; nothing is parsed before its digest, where one is given, agrees.
pub fn fetch(location: &Location) -> Result<Text, Problems> {
    let (written, bytes) = match location {
        Location::Path(path) => return from_path(path),
        Location::S3(url) => {
            let (address, digest) = pinned(url)?;
            let (bucket, key) = address
                .strip_prefix("s3://")
                .and_then(|path| path.split_once('/'))
                .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
                .ok_or_else(|| Problem::nowhere(format!("`{address}` is not like `s3://bucket/key`")))?;
            (address, verified(remote::object(bucket, key), digest)?)
        }
        Location::Parameter(url) => {
            let (address, digest) = pinned(url)?;
            (address, verified(remote::parameter(address.trim_start_matches("ssm:")), digest)?)
        }
        Location::Https(url) => {
            let (address, digest) = pinned(url)?;
            let Some(digest) = digest else {
                let problem = Problem::nowhere(format!("`{address}` needs `#sha256=…`"));
                return Err(problem.hint("whoever can change that page could run anything here as root").into());
            };
            (address, verified(remote::https(address, digest, yaml::LARGEST as u64), Some(digest))?)
        }
        Location::UserData => ("user-data", verified(remote::user_data(), None)?),
    };
    let name = written.rsplit('/').next().unwrap_or(written);
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("playbook");
    text(written.to_owned(), stem.to_owned(), PathBuf::new(), bytes)
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
    let bytes = fetched.map_err(|error| {
        let problem = Problem::nowhere(error.to_string());
        Problem { hint: error.advice().map(str::to_owned), ..problem }
    })?;
    let found = sha256(&bytes);
    match digest {
        Some(pinned) if !pinned.eq_ignore_ascii_case(&found) => {
            let problem = Problem::nowhere(format!("the playbook has sha256 `{found}`, not `{pinned}`"));
            Err(problem.hint("it was changed after it was pinned; nothing of it was read"))
        }
        _ => Ok(bytes),
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
    let digest = sha256(&bytes);
    match String::from_utf8(bytes) {
        Ok(content) => Ok(Text { label, stem, folder, content, digest }),
        Err(_) => Err(Problem::nowhere(format!("`{label}` is not UTF-8 text")).into()),
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_known_by_its_form() {
        for (text, location) in [
            ("a/b.yaml", Location::Path("a/b.yaml".into())),
            ("s3://b/k", Location::S3("s3://b/k".into())),
            ("ssm:/n", Location::Parameter("ssm:/n".into())),
            ("https://h/p#sha256=x", Location::Https("https://h/p#sha256=x".into())),
            ("user-data", Location::UserData),
        ] {
            assert_eq!(text.parse(), Ok(location));
        }
        assert!("http://h/p".parse::<Location>().unwrap_err().contains("cannot come from `http:`"));
    }

    #[test]
    fn a_folder_has_a_playbook_and_gives_it_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("shop");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("playbook.yaml"), "abc").unwrap();
        let text = fetch(&Location::Path(own.clone())).unwrap();
        assert_eq!((text.stem.as_str(), text.folder.as_path(), text.content.as_str()), ("shop", own.as_path(), "abc"));
        assert_eq!(text.digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let absent = fetch(&Location::Path(folder.path().join("none.yaml"))).err().unwrap();
        assert!(absent.0[0].message.contains("none.yaml"));
    }

    #[test]
    fn a_pin_is_compared_before_anything_is_read() {
        let pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(verified(Ok(b"abc".to_vec()), Some(pin)).unwrap(), b"abc");
        assert!(verified(Ok(b"abd".to_vec()), Some(pin)).unwrap_err().message.contains("not `ba7816bf"));
        assert_eq!(pinned(&format!("s3://b/k#sha256={pin}")).unwrap(), ("s3://b/k", Some(pin)));
        assert_eq!(pinned("s3://b/k#md5=1").unwrap_err().message, "`#md5=1` is no digest");
        let unpinned = fetch(&Location::Https("https://example.org/p.yaml".into())).err().unwrap();
        assert_eq!(unpinned.0[0].message, "`https://example.org/p.yaml` needs `#sha256=…`");
    }
}
