//! S3 objects, whole: a body that breaks off is fetched again, which the SDK does not do by itself.

use aws_sdk_s3::types::ChecksumMode;

use super::Aws;
use super::errors::explain;
use crate::error::{Context as _, Error, Kind, Result};

/// Objects are held in memory; what is larger than this belongs into an archive on disk.
const LARGEST: i64 = 512 * 1024 * 1024;

/// An object.
#[derive(Clone)]
pub struct Object {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// Its entity tag.
    pub tag: Option<String>,
}

impl Aws {
    /// The object, complete: length and, where the service knows it, checksum are verified.
    ///
    /// # Errors
    /// `Missing` or `Denied` with its name; `Unreachable` when it broke off again and again.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Object> {
        self.call(&async |clients: &super::Clients| {
            let request = clients.objects.get_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled);
            let answer = request.send().await.map_err(|error| explain(&error))?;
            let said = answer.content_length();
            if said.is_some_and(|size| size > LARGEST) {
                return Err(Error::new(Kind::Failed, format!("the object is larger than {} MiB", LARGEST / 1024 / 1024)));
            }
            let (version, tag) = (answer.version_id().map(str::to_owned), answer.e_tag().map(str::to_owned));
            // Whatever goes wrong from here on, it went wrong on the way.
            let body = answer.body.collect().await;
            let bytes = body.map_err(|error| Error::from_source(Kind::Unreachable, &error))?.to_vec();
            if said.is_some_and(|size| usize::try_from(size) != Ok(bytes.len())) {
                return Err(Error::new(Kind::Unreachable, format!("the object broke off after {} bytes", bytes.len())));
            }
            Ok(Object { bytes, version, tag })
        })
        .map_err(|error| advise(error, bucket, key))
        .doing(|| format!("fetching `s3://{bucket}/{key}`"))
    }

    /// Its version or entity tag, never its content: for a dry-run with `--online`.
    ///
    /// # Errors
    /// As [`Aws::object`].
    pub fn object_version(&self, bucket: &str, key: &str) -> Result<String> {
        let answer = self
            .call(&async |clients: &super::Clients| {
                let request = clients.objects.head_object().bucket(bucket).key(key);
                request.send().await.map_err(|error| explain(&error))
            })
            .map_err(|error| advise(error, bucket, key))
            .doing(|| format!("asking for `s3://{bucket}/{key}`"))?;
        Ok(answer.version_id().or(answer.e_tag()).unwrap_or("unknown").to_owned())
    }
}

/// S3 answers "denied" for what does not exist, unless one may list the bucket.
fn advise(error: Error, bucket: &str, key: &str) -> Error {
    match error.kind() {
        Kind::Denied => error.hint(format!(
            "the role needs `s3:GetObject` on `arn:aws:s3:::{bucket}/{key}`; without `s3:ListBucket` a missing object looks the same"
        )),
        _ => error,
    }
}
