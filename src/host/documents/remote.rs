//! Playbooks from elsewhere: S3, Parameter Store, HTTPS, the instance's user-data. This happens before there is a run, so each call
//! brings a runtime of its own.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::body::Body;
use crate::host::instance::{Discovery, Instance};
use crate::host::network;
use crate::host::retry::Retry;

/// How long a playbook may take to arrive where nobody looks on. Longer than an instance role's credentials take to appear.
pub const UNATTENDED: Duration = Duration::from_mins(3);
/// The same for whoever sits in front of it.
pub const ATTENDED: Duration = Duration::from_secs(20);

/// An object in S3.
///
/// # Errors
/// As [`Aws::object`].
pub fn object(bucket: &str, key: &str, patience: Duration) -> Result<Vec<u8>> {
    let runtime = runtime()?;
    aws(&runtime, patience).object(bucket, key)
}

/// A parameter's value. A `SecureString` is fine: it is then the playbook that is kept secret, not a value in it.
///
/// # Errors
/// As [`Aws::parameter`].
pub fn parameter(name: &str, patience: Duration) -> Result<Vec<u8>> {
    let runtime = runtime()?;
    Ok(aws(&runtime, patience).parameter(name)?.value.expose().to_vec())
}

/// What an HTTPS address gives.
///
/// # Errors
/// When there are more than `limit` bytes, or the network fails.
pub fn https(url: &str, limit: u64, patience: Duration) -> Result<Vec<u8>> {
    let (runtime, mut bytes) = (runtime()?, Vec::new());
    let deadline = Instant::now() + patience;
    let mut body = Body::new(&mut bytes, limit);
    // The address may hold a key: whoever asks knows how to name it.
    Retry::default().run(deadline, || network::download(runtime.handle(), url, deadline, &mut body))?;
    Ok(bytes)
}

/// The instance's user-data.
///
/// # Errors
/// `Missing` off EC2 and where there is no user-data.
pub fn user_data(patience: Duration) -> Result<Vec<u8>> {
    let runtime = runtime()?;
    match Instance::discover(runtime.handle(), patience)? {
        Discovery::Known(instance) => {
            instance.user_data()?.ok_or_else(|| Error::new(Kind::Missing, "this instance has no user-data"))
        }
        Discovery::Absent(why) => Err(Error::new(Kind::Missing, why).doing("reading the instance's user-data")),
    }
}

fn aws(runtime: &Runtime, patience: Duration) -> Aws {
    Aws::new(runtime.handle().clone()).until(Instant::now() + patience)
}

fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().doing(|| "starting the network thread".to_owned())
}
