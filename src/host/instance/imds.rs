//! The metadata service's protocol, version 2: a token first, no fallback to version 1, never through a proxy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};

/// Where the service is, if not at its usual address. May have a path.
pub(super) const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// How long a token lives: as long as the service allows.
const TOKEN_LIFETIME: Duration = Duration::from_hours(6);
/// Connecting to a link-local address takes microseconds, or does not happen.
const CONNECT: Duration = Duration::from_secs(1);
/// The service may be slow while an instance boots.
const ANSWER: Duration = Duration::from_secs(2);
/// Nothing it says is larger; user-data is the largest, with 16 KiB.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// A client of the metadata service. Clones share the token.
#[derive(Clone)]
pub struct Imds {
    base: Arc<str>,
    http: reqwest::Client,
    token: Arc<Mutex<Option<(String, Instant)>>>,
    runtime: Handle,
}

impl std::fmt::Debug for Imds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Imds({})", self.base)
    }
}

impl Imds {
    /// The service that the SDK's own environment variables name, else the usual one. The error says why there is none.
    pub(super) fn from_environment(runtime: Handle) -> Result<Self, String> {
        let said = |name: &str| std::env::var(name).unwrap_or_default();
        if said("AWS_EC2_METADATA_DISABLED").eq_ignore_ascii_case("true") {
            return Err("`AWS_EC2_METADATA_DISABLED` is set".to_owned());
        }
        let usual = if said("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").eq_ignore_ascii_case("ipv6") {
            "http://[fd00:ec2::254]"
        } else {
            "http://169.254.169.254"
        };
        let given = said(ENDPOINT);
        Self::at(if given.is_empty() { usual } else { &given }, runtime).map_err(|error| error.to_string())
    }

    /// The service at this address, which may have a path.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn at(base: &str, runtime: Handle) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(CONNECT + ANSWER)
            // Plain HTTP only: reading the system's certificates would be the slowest thing here.
            .tls_certs_only([])
            .build()
            .map_err(|error| Error::from_source(Kind::Failed, &error))?;
        Ok(Self { base: base.trim_end_matches('/').into(), http, token: Arc::default(), runtime })
    }

    /// Waits for this work from a step's thread, at most this long.
    pub(super) fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Error::new(Kind::Unreachable, "the instance metadata service does not answer")))
        })
    }

    /// What is at this path; `None` when the service says that there is nothing.
    ///
    /// # Errors
    /// `Denied`, `Throttled`, `TimedOut` (connected, no answer) or `Unreachable` (not even connected).
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        for last in [false, true] {
            let token = self.token(last).await?;
            let request = self.request(Method::GET, path).header("x-aws-ec2-metadata-token", token);
            let answer = request.send().await.map_err(|error| explain(&error))?;
            match answer.status() {
                StatusCode::OK => return body(answer).await.map(Some),
                StatusCode::NOT_FOUND => return Ok(None),
                // The token ran out early, as after hibernation: once more with a new one.
                StatusCode::UNAUTHORIZED if !last => {}
                status => return Err(refused(status, path)),
            }
        }
        Ok(None)
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`Imds::get`].
    pub async fn text(&self, path: &str) -> Result<Option<String>> {
        Ok(self.get(path).await?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Whether it answers to a request without a token, which version 2 never does.
    pub(super) async fn answers_without_token(&self, path: &str) -> Result<bool> {
        let answer = self.request(Method::GET, path).send().await.map_err(|error| explain(&error))?;
        Ok(answer.status().is_success())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base))
    }

    async fn token(&self, renew: bool) -> Result<String> {
        let held = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, ends)) = held
            && !renew
            && Instant::now() < ends
        {
            return Ok(token);
        }
        let request = self
            .request(Method::PUT, "latest/api/token")
            .header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFETIME.as_secs().to_string());
        let answer = request.send().await.map_err(|error| explain(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(status, "latest/api/token"));
        }
        let token = String::from_utf8_lossy(&body(answer).await?).trim().to_owned();
        // A minute early, so that it does not run out on the way.
        let ends = Instant::now() + TOKEN_LIFETIME.saturating_sub(Duration::from_mins(1));
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), ends));
        Ok(token)
    }
}

async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| explain(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_ANSWER {
            return Err(Error::new(Kind::Failed, "the metadata service's answer is too large"));
        }
    }
    Ok(bytes)
}

fn explain(error: &reqwest::Error) -> Error {
    let kind = if error.is_connect() {
        Kind::Unreachable
    } else if error.is_timeout() || error.is_request() || error.is_body() || error.is_decode() {
        // Somebody took the connection and did not answer as it should.
        Kind::TimedOut
    } else {
        Kind::Failed
    };
    Error::from_source(kind, error)
}

fn refused(status: StatusCode, path: &str) -> Error {
    let text = format!("the instance metadata service answers {} for `{path}`", status.as_u16());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::new(Kind::Denied, text)
            .hint("metadata access is switched off for this instance, or a proxy stands in between; allow metadata version 2"),
        StatusCode::TOO_MANY_REQUESTS => Error::new(Kind::TimedOut, text),
        status if status.is_server_error() => Error::new(Kind::TimedOut, text),
        _ => Error::new(Kind::Missing, text),
    }
}
