//! Writing to S3: a file becomes an object whose bytes the service verifies, and objects are removed many at once.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Aws;
use super::errors::explain;
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::digest::Sha256;

/// The service takes no more in one piece.
const LARGEST: u64 = 5 << 30;
/// What is smaller arrives within the time that every call has.
const QUICK: u64 = 4 << 20;
/// At least this much of a larger one arrives in a minute.
const A_MINUTE_S_WORTH: u64 = 16 << 20;
/// The service removes no more at once.
const MOST_REMOVED: usize = 1000;

/// What is told to whoever fetches an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
}

impl Aws {
    /// Puts all that the file holds there, and gives the entity tag that the object has now. The service refuses it when its bytes
    /// arrive with another digest.
    ///
    /// # Errors
    /// `Denied` with the permission that is missing; `Failed` when it is too large, or changed while it was read.
    pub fn put_object(&self, bucket: &str, key: &str, file: &File, sha256: Sha256, headers: &Headers) -> Result<Option<String>> {
        let doing = || format!("putting `s3://{bucket}/{key}`");
        let size = file.metadata().doing(doing)?.len();
        if size > LARGEST {
            return Err(Error::new(Kind::Failed, format!("it is larger than {} GiB", LARGEST >> 30)).doing(doing()));
        }
        // The very file that was hashed, whatever its name stands for by now; each try reads it from its beginning.
        let held = format!("/proc/self/fd/{}", file.as_raw_fd());
        let digest = STANDARD.encode(sha256.bytes());
        self.call(&async |clients: &super::Clients| {
            let body = ByteStream::from_path(&held).await.map_err(|error| Error::from_source(Kind::Failed, &error))?;
            let request = clients.objects.put_object().bucket(bucket).key(key).body(body).checksum_sha256(&digest);
            let request = request.content_type(&headers.content_type).set_cache_control(headers.cache_control.clone());
            let sent = match patience(size) {
                None => request.send().await,
                Some(patience) => {
                    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(patience).read_timeout(patience).build();
                    let patient = aws_sdk_s3::config::Builder::new().timeout_config(timeouts);
                    request.customize().config_override(patient).send().await
                }
            };
            Ok(sent.map_err(|error| explain(&error))?.e_tag().map(str::to_owned))
        })
        .map_err(|error| match error.kind() {
            Kind::Denied => error.hint(format!("the role needs `s3:PutObject` on `arn:aws:s3:::{bucket}/{key}`")),
            _ => error,
        })
        .doing(doing)
    }

    /// Removes these objects. Those that are not there are fine.
    ///
    /// # Errors
    /// `Denied` with the permission that is missing; `Failed` with the first key that could not be removed.
    pub fn remove_objects(&self, bucket: &str, keys: &[String]) -> Result<()> {
        let doing = || format!("removing objects from `s3://{bucket}`");
        for some in keys.chunks(MOST_REMOVED) {
            let named: Vec<ObjectIdentifier> = some
                .iter()
                .map(|key| ObjectIdentifier::builder().key(key).build())
                .collect::<Result<_, _>>()
                .map_err(|error| Error::from_source(Kind::Bug, &error))?;
            let wanted = Delete::builder()
                .set_objects(Some(named))
                .quiet(true)
                .build()
                .map_err(|error| Error::from_source(Kind::Bug, &error))?;
            let answer = self.call(&async |clients: &super::Clients| {
                let request = clients.objects.delete_objects().bucket(bucket).delete(wanted.clone());
                request.send().await.map_err(|error| explain(&error))
            });
            let needs = || format!("the role needs `s3:DeleteObject` on `arn:aws:s3:::{bucket}/*`");
            let answer = answer.map_err(|error| if error.kind() == Kind::Denied { error.hint(needs()) } else { error });
            if let Some(failed) = answer.doing(doing)?.errors().first() {
                let (key, code) = (failed.key().unwrap_or_default(), failed.code().unwrap_or_default());
                let kind = super::errors::kind_of(code, 0);
                let error = Error::new(kind, format!("`{code}` for `{key}`")).doing(doing());
                return Err(if kind == Kind::Denied { error.hint(needs()) } else { error });
            }
        }
        Ok(())
    }
}

/// How long this much may take on its way; `None` where the time of every call does. In few different lengths, since connections are
/// shared only among calls with the same.
fn patience(size: u64) -> Option<Duration> {
    (size > QUICK).then(|| Duration::from_mins((size / A_MINUTE_S_WORTH + 1).next_power_of_two()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_may_take_its_time() {
        assert_eq!(patience(QUICK), None);
        assert_eq!(patience(QUICK + 1), Some(Duration::from_mins(1)));
        assert_eq!(patience(40 << 20), Some(Duration::from_mins(4)));
        assert!(patience(LARGEST).is_some_and(|patience| patience >= Duration::from_mins(320)));
    }
}
