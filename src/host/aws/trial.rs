//! Tries out what a run will need, by calls that change nothing: who may not, is told so by the service in its own words.

use std::net::ToSocketAddrs as _;
use std::time::{Duration, SystemTime};

use super::errors::{explain, skew_of};
use super::{AutoScaling as _, Aws, Class, Clients, LogBody, LogStore as _, Verdict};
use crate::error::{Context as _, Error, Kind, Result};

/// Nobody calls a hook like this: an action for it is never found, which only whoever may act is told.
const NO_HOOK: &str = "agent-doctor-only-asks";
/// The service takes an event of 1970, stores nothing, and says so.
const LONG_AGO: u64 = 1;

impl Aws {
    /// Whether the names of objects may be listed.
    ///
    /// # Errors
    /// What the service says.
    pub fn try_listing(&self, bucket: &str, prefix: &str) -> Result<()> {
        self.call(&async |clients: &Clients| {
            let request = clients.objects.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1);
            request.send().await.map(|_| ()).map_err(|error| explain(&error))
        })
    }

    /// Whether events may be written, and group and stream made where they are not there. Makes what a run would make anyway, and
    /// sets how long the group keeps events; stores no event.
    ///
    /// # Errors
    /// What the service says.
    pub fn try_logs(&self, group: &str, stream: &str, days: Option<i32>) -> Result<()> {
        let event = serde_json::json!({ "timestamp": LONG_AGO, "message": "agent doctor" });
        let request = serde_json::json!({ "logGroupName": group, "logStreamName": stream, "logEvents": [event] });
        let body = LogBody { bytes: request.to_string().into_bytes().into(), gzip: false, events: 1 };
        let put = || self.put(&body).map(|_| ());
        let made = put().or_else(|refusal| {
            if refusal.class != Class::Missing {
                return Err(refusal);
            }
            if let Err(refusal) = self.make_stream(group, stream) {
                if refusal.class != Class::Missing {
                    return Err(refusal);
                }
                self.make_group(group, &std::collections::BTreeMap::new())?;
                self.make_stream(group, stream)?;
            }
            put()
        });
        let kept = made.and_then(|()| days.map_or(Ok(()), |days| self.keep(group, days)));
        kept.map_err(|refusal| *refusal.error).doing(|| format!("trying log group `{group}`"))
    }

    /// Whether a hook of this group may be kept waiting and answered. Asks for one that does not exist, so nothing is answered.
    ///
    /// # Errors
    /// What the service says.
    pub fn try_hook(&self, group: &str, instance: &str) -> Result<()> {
        self.heartbeat(group, NO_HOOK, instance)?;
        self.complete(group, NO_HOOK, instance, Verdict::Continue).map(|_| ())
    }
}

/// Where an SDK would send its requests for a service: the environment's endpoint, else the region's own.
#[must_use]
pub fn endpoint(service: &str, region: &str) -> String {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let own = format!("AWS_ENDPOINT_URL_{}", variable(service));
    said(&own).or_else(|| said("AWS_ENDPOINT_URL")).unwrap_or_else(|| {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{service}.{region}.{domain}")
    })
}

/// What the SDK's variables call a service.
fn variable(service: &str) -> &'static str {
    match service {
        "logs" => "CLOUDWATCH_LOGS",
        "autoscaling" => "AUTO_SCALING",
        "s3" => "S3",
        _ => "SSM",
    }
}

/// How a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a connection of our own.
    Direct,
    /// Through the proxy that the environment names.
    Proxy,
}

/// Finds whoever answers at an endpoint, or the proxy before it, and connects.
///
/// # Errors
/// `Missing` when its name has no address, `Unreachable` when nobody takes the connection.
pub fn reach(endpoint: &str, limit: Duration) -> Result<Way> {
    // What a proxy is asked for, it finds by itself.
    let proxy = ["https_proxy", "HTTPS_PROXY"].iter().find_map(|name| std::env::var(name).ok());
    match proxy.filter(|proxy| endpoint.starts_with("https://") && !proxy.is_empty()) {
        Some(proxy) => connect(&proxy, limit).map(|()| Way::Proxy),
        None => connect(endpoint, limit).map(|()| Way::Direct),
    }
}

fn connect(address: &str, limit: Duration) -> Result<()> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    // Never a proxy's password.
    let host = host.rsplit('@').next().unwrap_or_default();
    let default = if address.starts_with("https://") { 443 } else { 80 };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:{default}") };
    let unknown = |because: String| Error::new(Kind::Missing, format!("the name `{host}` has no address: {because}"));
    let addresses = with_port.to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let mut last = unknown("none is known".to_owned());
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => last = Error::new(Kind::Unreachable, format!("nobody at `{address}` takes a connection: {error}")),
        }
    }
    Err(last)
}

/// By how many seconds an endpoint's clock is ahead of ours, as its answers say.
///
/// # Errors
/// When it does not answer, or does not say.
pub fn clock_skew(runtime: &tokio::runtime::Handle, endpoint: &str, limit: Duration) -> Result<i64> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(limit).build();
    let client = client.map_err(|error| Error::from_source(Kind::Failed, &error))?;
    let answer = runtime.block_on(async { client.get(endpoint).send().await });
    let answer = answer.map_err(|error| Error::from_source(Kind::Unreachable, &error.without_url()))?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    date.and_then(|date| skew_of(date, SystemTime::now()))
        .ok_or_else(|| Error::new(Kind::Failed, "the answer does not say what time it is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_address_and_an_address_without_anybody_are_told_apart() {
        let limit = Duration::from_secs(5);
        let unknown = connect("https://no-such-host.invalid", limit).unwrap_err();
        assert_eq!(
            (unknown.kind(), unknown.to_string().contains("`no-such-host.invalid` has no address")),
            (Kind::Missing, true)
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        connect(&format!("http://user:password@{address}/path"), limit).unwrap();
        drop(listener);
        assert_eq!(connect(&format!("http://{address}"), limit).unwrap_err().kind(), Kind::Unreachable);
    }

    #[test]
    fn an_answer_says_what_time_it_is() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]).unwrap();
            let date = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600)).strftime("%a, %d %b %Y %H:%M:%S GMT");
            write!(connection, "HTTP/1.1 403 Forbidden\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let skew = clock_skew(runtime.handle(), &endpoint, Duration::from_secs(20)).unwrap();
        assert!((590..=600).contains(&skew), "{skew}");
        server.join().unwrap();
    }

    #[test]
    fn the_regions_own_endpoints() {
        // The environment of a test may name others, as the lab's does.
        if std::env::vars().all(|(name, _)| !name.starts_with("AWS_ENDPOINT_URL")) {
            assert_eq!(endpoint("logs", "eu-west-1"), "https://logs.eu-west-1.amazonaws.com");
            assert_eq!(endpoint("s3", "cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn");
        }
    }
}
