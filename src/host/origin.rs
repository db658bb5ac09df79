//! Where bytes come from that are too many for the playbook: a file beside it, S3, HTTPS. They go to the disk as they come.

use std::fmt;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::aws::Permission;
use super::body::{Body, Target};
use super::digest::Sha256;
use super::documents::Beside;
use super::files::FileKind;
use super::{Answer, Facts, Host, network};
use crate::error::{Context as _, Error, Kind, Result};

/// What is larger belongs into an image.
const LARGEST: u64 = 2 << 30;
/// Copied at once.
const PIECE: usize = 128 * 1024;

/// Bytes that are elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Beside the playbook, by its relative path.
    Beside(PathBuf),
    /// An object in S3.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// An HTTPS address.
    Https(String),
}

impl Origin {
    /// What the text stands for, or why it is nothing.
    ///
    /// # Errors
    /// In words for the playbook's author.
    pub fn of(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
                }
                _ => Err(format!("`{text}` is no object: `s3://bucket/key` is expected")),
            };
        }
        if text.starts_with("https://") {
            return Ok(Self::Https(text.to_owned()));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("`{scheme}://` is not supported: `https://`, `s3://`, or a file beside the playbook"));
        }
        let path = Path::new(text);
        let inside = path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !inside {
            return Err(format!("`{text}` must be a path relative to the playbook's folder, without `..`"));
        }
        Ok(Self::Beside(path.to_owned()))
    }

    /// What getting it takes of the role.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        match self {
            Self::Object { bucket, key } => Some(Permission::to_read(bucket, key)),
            Self::Beside(_) | Self::Https(_) => None,
        }
    }

    /// Whether it takes the network to get it.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Beside(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside(path) => path.display().fmt(f),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Https(url) => f.write_str(url),
        }
    }
}

impl Facts {
    /// What a file beside the playbook holds, when that is no more than `limit` bytes; else it is known by its digest.
    ///
    /// # Errors
    /// `Playbook` or `Missing` when there is none.
    pub fn read_beside(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        if let Some(bytes) = self.beside().in_archive(path)? {
            return Ok((bytes.len() as u64 <= limit).then(|| bytes.to_vec()));
        }
        // The folder may be a user's, in which root does not work.
        let path = self.path_beside(path);
        if self.look(&path)?.is_some_and(|there| matches!(there.kind, FileKind::File(size) if size > limit)) {
            return Ok(None);
        }
        self.read(&path)?.ok_or_else(|| no_file(&path)).map(Some)
    }

    fn path_beside(&self, path: &Path) -> PathBuf {
        match self.beside() {
            // A playbook may be named by a relative path, and what looks and writes takes none.
            Beside::Folder(folder) => {
                let path = folder.join(path);
                std::path::absolute(&path).unwrap_or(path)
            }
            Beside::Archive(_) | Beside::Nothing => path.to_owned(),
        }
    }

    /// The digest of what is there now, without fetching it: `Known(None)` where that would have to be done to tell.
    ///
    /// # Errors
    /// `Missing` or `Denied` with its name; whatever the service says.
    pub fn origin_digest(&self, origin: &Origin) -> Result<Answer<Option<Sha256>>> {
        match origin {
            Origin::Beside(path) => {
                if let Some(bytes) = self.beside().in_archive(path)? {
                    return Ok(Answer::Known(Some(Sha256::of(bytes))));
                }
                let path = self.path_beside(path);
                Ok(Answer::Known(Some(self.file_digest(&path)?.ok_or_else(|| no_file(&path))?)))
            }
            Origin::Object { bucket, key } => {
                let name = origin.to_string();
                if !self.world.options.online {
                    return Ok(Answer::Unknown(format!("cannot tell what `{name}` holds without asking AWS (`--online`)")));
                }
                let tag = self.tag_of(bucket, key)?;
                Ok(Answer::Known(tag.and_then(|tag| self.object_digest(&name, &tag))))
            }
            Origin::Https(_) => Ok(Answer::Known(None)),
        }
    }

    /// The object's entity tag, asked for once per run: a re-check compares with what was written.
    fn tag_of(&self, bucket: &str, key: &str) -> Result<Option<String>> {
        let ask = || Ok(self.world.aws.until(self.deadline()).object_facts(bucket, key)?.tag);
        let tag = self.waits.during(|| self.world.resolved.get(&format!("s3://{bucket}/{key}"), ask))?;
        Ok((*tag).clone())
    }
}

impl Host {
    /// The bytes themselves, where they are few.
    ///
    /// # Errors
    /// As [`Host::write_fetched`], and `Failed` when there are more than `limit`.
    pub fn fetch_bytes(&self, origin: &Origin, sha256: Option<Sha256>, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.fetch_at_most(origin, sha256, &mut bytes, limit)?;
        Ok(bytes)
    }

    /// Brings the bytes into this file, which holds nothing else then, and gives their digest.
    ///
    /// # Errors
    /// `Failed` when the digest differs, there are more than 2 GiB, or they cannot be written; whatever the network says.
    pub(in crate::host) fn fetch_into(&self, origin: &Origin, sha256: Option<Sha256>, file: &mut dyn Target) -> Result<Sha256> {
        self.fetch_at_most(origin, sha256, file, LARGEST)
    }

    fn fetch_at_most(&self, origin: &Origin, sha256: Option<Sha256>, file: &mut dyn Target, limit: u64) -> Result<Sha256> {
        let mut body = Body::new(file, limit);
        match origin {
            Origin::Beside(path) => self.copy_beside(path, &mut body)?,
            Origin::Object { bucket, key } => {
                // With a digest any object that has it will do. Without one it is the one that the check has seen.
                let tag = if sha256.is_some() { None } else { self.tag_of(bucket, key)? };
                let aws = self.world.aws.until(self.deadline());
                self.waits.during(|| aws.object_into(bucket, key, tag.as_deref(), &mut body))?;
                if let Some(tag) = tag {
                    self.learn_object(&origin.to_string(), &tag, body.digest());
                }
            }
            Origin::Https(url) => {
                let runtime = &self.world.options.runtime;
                self.waits
                    .during(|| network::download(runtime, url, self.deadline(), &mut body))
                    .doing(|| format!("downloading `{url}`"))?;
            }
        }
        let found = body.digest();
        sha256.map_or(Ok(()), |told| found.require(told)).doing(|| format!("fetching `{origin}`"))?;
        Ok(found)
    }

    fn copy_beside(&self, path: &Path, body: &mut Body<'_>) -> Result<()> {
        body.begin(None)?;
        if let Some(bytes) = self.beside().in_archive(path)? {
            return body.add(bytes);
        }
        let path = self.path_beside(path);
        let mut file = Facts::open(&path)?.ok_or_else(|| no_file(&path))?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece).doing(|| format!("reading `{}`", path.display()))?;
            match piece.get(..count) {
                Some(bytes) if count > 0 => body.add(bytes)?,
                _ => return Ok(()),
            }
        }
    }
}

fn no_file(path: &Path) -> Error {
    Error::new(Kind::Playbook, format!("there is no file `{}`", path.display()))
}
