//! Where the bytes of a file come from when they are not in the playbook.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::{Answer, Facts};
use crate::secret::{Secret, Sensitive};

/// More than this is no configuration file.
const MOST: u64 = 64 * 1024 * 1024;

/// A file elsewhere.
pub enum Source {
    /// Beside the playbook, by its relative path.
    Beside(PathBuf, Option<String>),
    /// An object in S3.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// Its digest, when told.
        sha256: Option<String>,
    },
    /// An HTTPS address and the digest of what is there.
    Https(String, String),
}

impl Source {
    /// What the text stands for.
    pub fn of(text: &str, sha256: Option<&str>) -> Result<Self, String> {
        if sha256.is_some_and(|digest| digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err("`sha256` must be 64 hexadecimal digits".into());
        }
        let sha256 = sha256.map(str::to_ascii_lowercase);
        if let Some(rest) = text.strip_prefix("s3://") {
            return match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned(), sha256 })
                }
                _ => Err(format!("`{text}` is no object: `s3://bucket/key` is expected")),
            };
        }
        if text.starts_with("https://") {
            return match sha256 {
                Some(sha256) => Ok(Self::Https(text.to_owned(), sha256)),
                None => Err("a `source` from `https://` needs its `sha256`".into()),
            };
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "a `source` from `{scheme}://` is not supported: `https://`, `s3://`, or a file beside the playbook"
            ));
        }
        let path = Path::new(text);
        let inside = path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !inside {
            return Err(format!("`{text}` must be a path relative to the playbook's folder, without `..`"));
        }
        Ok(Self::Beside(path.to_owned(), sha256))
    }

    /// The digest the bytes must have.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Beside(_, digest) | Self::Object { sha256: digest, .. } => digest.as_deref(),
            Self::Https(_, digest) => Some(digest),
        }
    }

    /// Whether it takes the network to get it.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Beside(..))
    }

    /// The bytes; unknown where nobody may be asked.
    pub fn content(&self, facts: &Facts) -> Result<Answer<Sensitive>> {
        let bytes = match self {
            Self::Beside(path, _) => {
                let bytes = facts.read_beside(path).doing(|| "reading `source`".to_owned())?;
                public(bytes)
            }
            Self::Object { bucket, key, .. } => match facts.object(bucket, key)? {
                // What S3 holds may be anybody's key: nobody sees it.
                Answer::Known(bytes) => Sensitive::Secret(bytes),
                Answer::Unknown(why) => return Ok(Answer::Unknown(why)),
            },
            Self::Https(url, sha256) => public(facts.download(url, sha256, MOST)?),
        };
        if let Some(wanted) = self.digest() {
            let found = facts.digest(&bytes);
            if found != wanted {
                return Err(Error::new(Kind::Failed, format!("`{self}` has the sha256 `{found}`, not `{wanted}`"))
                    .hint("what is there has changed: verify it, then put its digest into the playbook"));
            }
        }
        Ok(Answer::Known(bytes))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside(path, _) => path.display().fmt(f),
            Self::Object { bucket, key, .. } => write!(f, "s3://{bucket}/{key}"),
            Self::Https(url, _) => f.write_str(url),
        }
    }
}

/// Bytes that are nobody's secret. What is no text is carried like a secret: it is shown by size only in any case.
pub fn public(bytes: Vec<u8>) -> Sensitive {
    match String::from_utf8(bytes) {
        Ok(text) => Sensitive::Plain(text),
        Err(error) => Sensitive::Secret(Secret::new(error.into_bytes())),
    }
}

/// Digest in hexadecimal.
pub fn digest_of(bytes: &[u8]) -> String {
    use fmt::Write as _;
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
