//! The SDK's clients, and the wait for what an instance may not have in its first seconds: a region and role credentials.

use std::time::{Duration, Instant};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_cloudwatchlogs::config::SharedIdentityCache;
use aws_sdk_ssm::config::ProvideCredentials as _;
use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};
use crate::host::instance::{Discovery, Instance};

/// Role credentials may appear this late after the start of an instance.
const CREDENTIALS_APPEAR_WITHIN: Duration = Duration::from_mins(1);
/// Between two looks for them.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the metadata service may take to tell whether this is an instance at all.
const ASK_INSTANCE: Duration = Duration::from_millis(900);

/// One answer of the metadata service may take this long while an instance boots; the SDK's own limit is a second.
const METADATA_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// One client for each service we use.
pub(super) struct Clients {
    pub(super) parameters: aws_sdk_ssm::Client,
    pub(super) objects: aws_sdk_s3::Client,
    pub(super) groups: aws_sdk_autoscaling::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    /// They took the place of some whose credentials were refused.
    pub(super) is_renewed: bool,
    config: SdkConfig,
}

/// Makes them as soon as there are a region and credentials: at once, or never, but on an instance within a minute.
pub(super) fn connect(runtime: &Handle, deadline: Option<Instant>) -> Result<Clients> {
    let begin = Instant::now();
    let limit = begin + CREDENTIALS_APPEAR_WITHIN;
    let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
    let mut on_instance = None;
    loop {
        let lack = match runtime.block_on(ready()) {
            Ok(config) => return Ok(Clients::new(config)),
            Err(lack) => lack,
        };
        let waits = *on_instance
            .get_or_insert_with(|| matches!(Instance::discover(runtime, ASK_INSTANCE), Ok(Discovery::Known(_)) | Err(_)));
        if !waits {
            return Err(lack.off_instance());
        }
        if Instant::now() + LOOK_AGAIN >= limit {
            return Err(lack.on_instance(begin.elapsed()));
        }
        tracing::info!("no role credentials yet, looking again");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What a call needs and is not there. None of it says anything about what the role may do.
enum Lack {
    Region,
    Credentials(Error),
}

impl Lack {
    fn off_instance(self) -> Error {
        let error = match self {
            Self::Region => Error::new(Kind::Failed, "no AWS region is known"),
            Self::Credentials(error) => error.summed_up("there are no AWS credentials"),
        };
        error.hint("give AWS credentials and `AWS_REGION` in the environment, or run on an instance with a role")
    }

    fn on_instance(self, waited: Duration) -> Error {
        let seconds = waited.as_secs().max(1);
        match self {
            Self::Region => Error::new(Kind::TimedOut, format!("the metadata service gave no region within {seconds} s")),
            Self::Credentials(error) => error
                .with_kind(Kind::TimedOut)
                .summed_up(format!("no role credentials appeared within {seconds} s"))
                .hint("attach an instance profile with a role, to this instance or to its launch template"),
        }
    }
}

/// The configuration, if a call made with it can be signed.
async fn ready() -> Result<SdkConfig, Lack> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(15))
        .operation_attempt_timeout(Duration::from_secs(20))
        .build();
    let metadata =
        aws_config::imds::Client::builder().connect_timeout(Duration::from_secs(1)).read_timeout(METADATA_ANSWERS_WITHIN).build();
    let of_the_instance = ImdsRegionProvider::builder().imds_client(metadata.clone()).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .region(RegionProviderChain::default_provider().or_else(of_the_instance))
        .credentials_provider(DefaultCredentialsChain::builder().imds_client(metadata).build().await)
        .identity_cache(identity_cache())
        .load()
        .await;
    if config.region().is_none() {
        return Err(Lack::Region);
    }
    let Some(provider) = config.credentials_provider() else {
        return Err(Lack::Credentials(Error::new(Kind::Failed, "nobody is configured to provide them")));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        Err(error) => Err(Lack::Credentials(Error::from_source(Kind::Failed, &error))),
    }
}

fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(METADATA_ANSWERS_WITHIN * 4).build()
}

impl Clients {
    /// They sign and connect as this says.
    pub(super) fn new(config: SdkConfig) -> Self {
        // Services behind an endpoint of their own rarely have a name for each bucket.
        let own_endpoint = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"].iter().any(|name| std::env::var_os(name).is_some());
        let objects = aws_sdk_s3::config::Builder::from(&config).force_path_style(own_endpoint).build();
        // A log body is one piece of memory: there is no stream in it that could stall.
        let logs = aws_sdk_cloudwatchlogs::config::Builder::from(&config)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            parameters: aws_sdk_ssm::Client::new(&config),
            objects: aws_sdk_s3::Client::from_conf(objects),
            groups: aws_sdk_autoscaling::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(logs),
            is_renewed: false,
            config,
        }
    }

    /// The same, which have not been given any credentials yet. Connections are kept.
    pub(super) fn with_new_credentials(&self) -> Self {
        let renewed = Self::new(self.config.to_builder().identity_cache(identity_cache()).build());
        Self { is_renewed: true, ..renewed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_never_come_are_not_told_as_a_denial() {
        let lack = || Lack::Credentials(Error::new(Kind::Failed, "the instance metadata service answered 404"));
        let error = lack().on_instance(Duration::from_millis(59_400));
        assert_eq!(error.causes().next(), Some("no role credentials appeared within 59 s"));
        assert!(error.advice().is_some_and(|hint| hint.contains("attach an instance profile")));
        assert_eq!(error.kind(), Kind::TimedOut);
        let error = lack().off_instance();
        assert_eq!(
            error.causes().collect::<Vec<_>>(),
            ["there are no AWS credentials", "the instance metadata service answered 404"]
        );
        assert_eq!(error.kind(), Kind::Failed);
    }
}
