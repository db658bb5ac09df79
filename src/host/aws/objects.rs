//! S3 objects: a body goes where it belongs piece by piece, and one that breaks off is fetched again, which the SDK does not do
//! by itself.

use std::cell::RefCell;

use aws_sdk_s3::types::ChecksumMode;

use super::Aws;
use super::errors::explain;
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::body::Body;

/// More objects than this below one prefix are no folder of anybody's application.
const MOST_LISTED: usize = 100_000;
/// Objects larger than this are not held in memory: they go to the disk as they come.
const LARGEST_IN_MEMORY: u64 = 16 * 1024 * 1024;

/// What S3 says about an object without its content.
#[derive(Debug, Clone, Default)]
pub struct ObjectFacts {
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// Its entity tag: another content has another one.
    pub tag: Option<String>,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag, in its quotes.
    pub tag: Option<String>,
}

impl Aws {
    /// Every object whose key begins with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// `Missing` or `Denied` with the bucket's name; `Failed` when there are too many.
    pub fn objects_below(&self, bucket: &str, prefix: &str) -> Result<Vec<ListedObject>> {
        let mut found = Vec::new();
        let mut page = None;
        loop {
            let answer = self
                .call(&async |clients: &super::Clients| {
                    let request = clients.objects.list_objects_v2().bucket(bucket).prefix(prefix);
                    request.set_continuation_token(page.clone()).send().await.map_err(|error| explain(&error))
                })
                .map_err(|error| match error.kind() {
                    Kind::Denied => error.hint(format!("the role needs `s3:ListBucket` on `arn:aws:s3:::{bucket}`")),
                    _ => error,
                })
                .doing(|| format!("listing `s3://{bucket}/{prefix}`"))?;
            found.extend(answer.contents().iter().filter_map(|object| {
                Some(ListedObject {
                    key: object.key()?.to_owned(),
                    size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
                    tag: object.e_tag().map(str::to_owned),
                })
            }));
            if found.len() > MOST_LISTED {
                let message = format!("there are more than {MOST_LISTED} objects below `s3://{bucket}/{prefix}`");
                return Err(Error::new(Kind::Failed, message).hint("name a prefix with fewer of them"));
            }
            page = answer.next_continuation_token().map(str::to_owned);
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    /// The object, complete, for what is small: a playbook, a key.
    ///
    /// # Errors
    /// As [`Aws::object_into`].
    pub fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.object_into(bucket, key, None, &mut Body::new(&mut bytes, LARGEST_IN_MEMORY))?;
        Ok(bytes)
    }

    /// Brings the object, complete, where `body` says: its length and, where the service knows it, its checksum are verified.
    /// With a `tag` it must still be the object with this entity tag.
    ///
    /// # Errors
    /// `Missing` or `Denied` with its name; `Unreachable` when it broke off again and again; `Failed` when it has changed, is too
    /// large, or cannot be written down.
    pub fn object_into(&self, bucket: &str, key: &str, tag: Option<&str>, body: &mut Body<'_>) -> Result<ObjectFacts> {
        let body = RefCell::new(body);
        self.call(&async |clients: &super::Clients| {
            let request = clients.objects.get_object().bucket(bucket).key(key).set_if_match(tag.map(str::to_owned));
            let answer = request.checksum_mode(ChecksumMode::Enabled).send().await.map_err(|error| explain(&error))?;
            let said = answer.content_length().and_then(|size| u64::try_from(size).ok());
            let facts = ObjectFacts { version: answer.version_id().map(str::to_owned), tag: answer.e_tag().map(str::to_owned) };
            body.borrow_mut().begin(said)?;
            let mut pieces = answer.body;
            // Whatever goes wrong from here on, it went wrong on the way.
            while let Some(piece) = pieces.try_next().await.map_err(|error| Error::from_source(Kind::Unreachable, &error))? {
                body.borrow_mut().add(&piece)?;
            }
            let size = body.borrow().size();
            if said.is_some_and(|said| said != size) {
                return Err(Error::new(Kind::Unreachable, format!("the object broke off after {size} bytes")));
            }
            Ok(facts)
        })
        .map_err(|error| advise(error, bucket, key))
        .doing(|| format!("fetching `s3://{bucket}/{key}`"))
    }

    /// What there is to know about it without its content.
    ///
    /// # Errors
    /// As [`Aws::object_into`].
    pub fn object_facts(&self, bucket: &str, key: &str) -> Result<ObjectFacts> {
        let answer = self
            .call(&async |clients: &super::Clients| {
                let request = clients.objects.head_object().bucket(bucket).key(key);
                request.send().await.map_err(|error| explain(&error))
            })
            .map_err(|error| advise(error, bucket, key))
            .doing(|| format!("asking for `s3://{bucket}/{key}`"))?;
        Ok(ObjectFacts { version: answer.version_id().map(str::to_owned), tag: answer.e_tag().map(str::to_owned) })
    }
}

/// S3 answers "denied" for what does not exist, unless one may list the bucket.
fn advise(error: Error, bucket: &str, key: &str) -> Error {
    match error.kind() {
        Kind::Denied => error.hint(format!(
            "the role needs `s3:GetObject` on `arn:aws:s3:::{bucket}/{key}`; without `s3:ListBucket` a missing object looks the same"
        )),
        Kind::Failed if error.to_string().contains("PreconditionFailed") => {
            error.doing("the object was replaced while this run was under way").hint("run again")
        }
        _ => error,
    }
}
