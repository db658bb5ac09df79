//! Playbooks from elsewhere: S3, Parameter Store, HTTPS, the instance's user-data. This happens before there is a run, so each call
//! brings a runtime of its own.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Aws;
use crate::host::body::Body;
use crate::host::instance::{Discovery, Instance};
use crate::host::network;

/// How long a playbook may take to arrive. Longer than an instance role's credentials take to appear.
const PATIENCE: Duration = Duration::from_mins(3);

/// An object in S3.
///
/// # Errors
/// As [`Aws::object`].
pub fn object(bucket: &str, key: &str) -> Result<Vec<u8>> {
    let runtime = runtime()?;
    aws(&runtime).object(bucket, key)
}

/// A parameter's value. A `SecureString` is fine: it is then the playbook that is kept secret, not a value in it.
///
/// # Errors
/// As [`Aws::parameter`].
pub fn parameter(name: &str) -> Result<Vec<u8>> {
    let runtime = runtime()?;
    Ok(aws(&runtime).parameter(name)?.value.expose().to_vec())
}

/// What an HTTPS address gives.
///
/// # Errors
/// When there are more than `limit` bytes, or the network fails.
pub fn https(url: &str, limit: u64) -> Result<Vec<u8>> {
    let (runtime, mut bytes) = (runtime()?, Vec::new());
    network::download(runtime.handle(), url, Instant::now() + PATIENCE, &mut Body::new(&mut bytes, limit))
        .doing(|| format!("downloading `{url}`"))?;
    Ok(bytes)
}

/// The instance's user-data.
///
/// # Errors
/// `Missing` off EC2 and where there is no user-data.
pub fn user_data() -> Result<Vec<u8>> {
    let runtime = runtime()?;
    match Instance::discover(runtime.handle(), PATIENCE)? {
        Discovery::Known(instance) => {
            instance.user_data()?.ok_or_else(|| Error::new(Kind::Missing, "this instance has no user-data"))
        }
        Discovery::Absent(why) => Err(Error::new(Kind::Missing, why).doing("reading the instance's user-data")),
    }
}

fn aws(runtime: &Runtime) -> Aws {
    Aws::new(runtime.handle().clone()).until(Instant::now() + PATIENCE)
}

fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().doing(|| "starting the network thread".to_owned())
}
