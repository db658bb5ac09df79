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
    config: SdkConfig,
}

/// Makes them as soon as there are a region and credentials: at once, or never, but on an instance within a minute.
pub(super) fn connect(runtime: &Handle, deadline: Option<Instant>) -> Result<Clients> {
    let limit = Instant::now() + CREDENTIALS_APPEAR_WITHIN;
    let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
    let mut on_instance = None;
    loop {
        let error = match runtime.block_on(ready()) {
            Ok(config) => return Ok(Clients::new(config)),
            Err(error) => error,
        };
        let waits = *on_instance
            .get_or_insert_with(|| matches!(Instance::discover(runtime, ASK_INSTANCE), Ok(Discovery::Known(_)) | Err(_)));
        if !waits {
            return Err(error.hint("give AWS credentials and `AWS_REGION` in the environment, or run on an instance with a role"));
        }
        if Instant::now() + LOOK_AGAIN >= limit {
            let seconds = CREDENTIALS_APPEAR_WITHIN.as_secs();
            return Err(error
                .doing(format!("waiting {seconds} s for the credentials of the instance's role"))
                .hint("attach an instance profile with a role to the launch template"));
        }
        tracing::info!("no role credentials yet, looking again");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The configuration, if a call made with it can be signed.
async fn ready() -> Result<SdkConfig> {
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
        return Err(Error::new(Kind::Failed, "no AWS region is known"));
    }
    let provider = config.credentials_provider().ok_or_else(|| Error::new(Kind::Denied, "there are no AWS credentials"))?;
    provider
        .provide_credentials()
        .await
        .map_err(|error| Error::from_source(Kind::Denied, &error).doing("looking for AWS credentials"))?;
    Ok(config)
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
            config,
        }
    }

    /// The same, which have not been given any credentials yet. Connections are kept.
    pub(super) fn with_new_credentials(&self) -> Self {
        Self::new(self.config.to_builder().identity_cache(identity_cache()).build())
    }
}
