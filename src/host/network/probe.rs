//! One look at the local application: does it answer, and does it say what it should? "No" is an answer here, not an error.

use std::error::Error as _;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::host::Facts;

/// How much of a page is searched.
const LONGEST_PAGE: usize = 1 << 20;

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// As it should be.
    Healthy,
    /// Not, or not yet, for this reason.
    NotYet(String),
}

/// What an HTTP probe expects.
#[derive(Debug, Clone)]
pub struct HttpWish {
    /// Where.
    pub url: String,
    /// The one status it must answer with; any of 2xx and 3xx unless told.
    pub status: Option<u16>,
    /// Text that the page must hold.
    pub contains: Option<String>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// A client that asks exactly where it is told: no proxy, no redirects, no connection kept from an earlier answer.
struct ProbeClient(reqwest::Client);

impl Facts {
    /// One HTTP request.
    ///
    /// # Errors
    /// When the URL makes no sense; an application that does not answer is `NotYet`.
    pub fn probe_http(&self, wish: &HttpWish) -> Result<Probe> {
        let encrypted = !wish.url.starts_with("http://");
        // Made once for all looks: what a client is made of is no fact about the machine, and reading certificates takes longer
        // than asking.
        let name = if encrypted { "https probe client" } else { "http probe client" };
        let client: Arc<ProbeClient> = self.world.resolved.get(name, || probe_client(encrypted))?;
        Ok(self.waits.during(|| self.world.options.runtime.block_on(ask(&client.0, wish))))
    }

    /// One TCP connection.
    ///
    /// # Errors
    /// When the address is not `host:port`.
    pub fn probe_tcp(&self, address: &str, timeout: Duration) -> Result<Probe> {
        let addresses = match address.to_socket_addrs() {
            Ok(addresses) => with_both_families(address, addresses),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Error::new(Kind::Playbook, format!("`{address}` is not an address such as `localhost:5432`")));
            }
            Err(error) => return Ok(Probe::NotYet(format!("`{address}`: {error}"))),
        };
        let mut last = format!("`{address}` has no address");
        for address in addresses {
            match self.waits.during(|| std::net::TcpStream::connect_timeout(&address, timeout)) {
                Ok(_) => return Ok(Probe::Healthy),
                Err(error) => last = in_words(&error, timeout),
            }
        }
        Ok(Probe::NotYet(last))
    }

    /// One connection to a unix socket.
    pub fn probe_socket(&self, path: &Path) -> Probe {
        match UnixStream::connect(path) {
            Ok(_) => Probe::Healthy,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Probe::NotYet(format!("there is no `{}`", path.display())),
            Err(error) => Probe::NotYet(in_words(&error, Duration::ZERO)),
        }
    }
}

/// `localhost` is both families, whatever `/etc/hosts` says: applications listen on either.
fn with_both_families(asked: &str, found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = found.collect();
    if let (true, Some(port)) = (asked.starts_with("localhost:"), all.first().map(SocketAddr::port)) {
        for address in loopback(port) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))]
}

fn probe_client(encrypted: bool) -> Result<ProbeClient> {
    let builder = reqwest::Client::builder();
    // No redirect leads to where the system's certificates would be needed.
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .resolve_to_addrs("localhost", &loopback(0))
        .build()
        .map(ProbeClient)
        .map_err(|error| Error::from_source(Kind::Failed, &error))
}

async fn ask(client: &reqwest::Client, wish: &HttpWish) -> Probe {
    let mut answer = match client.get(&wish.url).timeout(wish.timeout).send().await {
        Ok(answer) => answer,
        Err(error) => return Probe::NotYet(why(&error, wish.timeout)),
    };
    let status = answer.status();
    let fits = match wish.status {
        Some(wanted) => status.as_u16() == wanted,
        None => status.is_success() || status.is_redirection(),
    };
    if !fits {
        return Probe::NotYet(format!("it answered {status}"));
    }
    let Some(text) = &wish.contains else { return Probe::Healthy };
    let mut page = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) => page.extend_from_slice(&piece),
            Ok(None) => break,
            Err(error) => return Probe::NotYet(why(&error, wish.timeout)),
        }
        if page.len() > LONGEST_PAGE {
            break;
        }
    }
    if page.windows(text.len().max(1)).any(|part| part == text.as_bytes()) {
        Probe::Healthy
    } else {
        Probe::NotYet(format!("it answered {status}, without `{text}` in the page"))
    }
}

/// The innermost reason, in our words.
fn why(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return no_answer(timeout);
    }
    let mut inner = error.source();
    let mut last = error.to_string();
    while let Some(cause) = inner {
        if let Some(io) = cause.downcast_ref::<io::Error>().filter(|io| io.raw_os_error().is_some()) {
            return in_words(io, timeout);
        }
        last = cause.to_string();
        inner = cause.source();
    }
    last
}

fn in_words(error: &io::Error, timeout: Duration) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::TimedOut => no_answer(timeout),
        _ => error.to_string(),
    }
}

fn no_answer(timeout: Duration) -> String {
    format!("no answer within {}", crate::step::fields::Span(timeout))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives these answers, one per connection, and then closes.
    pub(super) fn serve(listener: TcpListener, answers: Vec<&'static str>) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).unwrap();
                connection.write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    fn probe(wish: &HttpWish) -> Probe {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = probe_client(false).unwrap();
        runtime.block_on(ask(&client.0, wish))
    }

    fn wish(url: String) -> HttpWish {
        HttpWish { url, status: None, contains: None, timeout: Duration::from_millis(500) }
    }

    #[test]
    fn localhost_is_either_family() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let server = serve(listener, vec!["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]);
            assert_eq!(probe(&wish(format!("http://localhost:{port}/healthcheck"))), Probe::Healthy, "{address}");
            server.join().unwrap();
        }
    }

    #[test]
    fn answers_are_compared_with_the_wish() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = wish(format!("http://{}/", listener.local_addr().unwrap()));
        let ready = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready";
        let moved = "HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n";
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        let server = serve(listener, vec![ready, ready, moved, busy, ready]);
        let with = |contains: &str| HttpWish { contains: Some(contains.into()), ..base.clone() };
        assert_eq!(probe(&with("ready")), Probe::Healthy);
        assert_eq!(probe(&with("green")), Probe::NotYet("it answered 200 OK, without `green` in the page".into()));
        assert_eq!(probe(&base), Probe::Healthy, "a redirect is an answer, and is not followed");
        assert_eq!(probe(&base), Probe::NotYet("it answered 503 Service Unavailable".into()));
        assert_eq!(probe(&HttpWish { status: Some(204), ..base.clone() }), Probe::NotYet("it answered 200 OK".into()));
        server.join().unwrap();
        assert_eq!(probe(&base), Probe::NotYet("connection refused".into()));
    }

    #[test]
    fn silence_ends_after_one_try() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = wish(format!("http://{}/", listener.local_addr().unwrap()));
        assert_eq!(probe(&silent), Probe::NotYet("no answer within 500ms".into()));
    }
}
