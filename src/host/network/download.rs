//! Downloads over HTTPS, compared with a digest that was known before: what differs never gets its final name.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::{Facts, Host};

/// A body that breaks off is fetched again this often.
const TRIES: u32 = 4;
/// Silence longer than this breaks a try off.
const SILENCE: Duration = Duration::from_secs(30);

/// The bytes at this HTTPS address, for what is fetched before there is a run: a playbook.
///
/// # Errors
/// As [`Facts::download`].
pub fn download_now(runtime: &Handle, url: &str, sha256: &str, limit: u64, deadline: Instant) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (client, mut sink) = (client(true)?, Memory(&mut bytes));
    runtime.block_on(fetch(&client, url, sha256, limit, deadline, &mut sink))?;
    Ok(bytes)
}

impl Facts {
    /// The bytes at this HTTPS address, after their sha256 was found right.
    ///
    /// # Errors
    /// `Failed` when the digest differs or there are more than `limit` bytes; whatever the network says.
    pub fn download(&self, url: &str, sha256: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (client, mut sink) = (client(true)?, Memory(&mut bytes));
        let work = fetch(&client, url, sha256, limit, self.deadline(), &mut sink);
        self.waits.during(|| self.world.options.runtime.block_on(work)).doing(|| format!("downloading `{url}`"))?;
        Ok(bytes)
    }
}

impl Host {
    /// Downloads into this file (0600, ours), unless it already holds the right bytes. `s3://bucket/key` is fetched as well.
    ///
    /// # Errors
    /// As [`Facts::download`]; there is then no such file.
    pub fn download_file(&self, url: &str, sha256: &str, limit: u64, path: &Path) -> Result<()> {
        if fs::read(path).is_ok_and(|bytes| hexadecimal(&Sha256::digest(bytes)) == sha256.to_ascii_lowercase()) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(|| format!("making `{}`", folder.display()))?;
        }
        let partial = path.with_extension("partial");
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .doing(|| format!("writing `{}`", partial.display()))?;
        let (client, mut sink) = (client(true)?, OnDisk(&mut file));
        let work = fetch(&client, url, sha256, limit, self.deadline(), &mut sink);
        let fetched = self.waits.during(|| self.world.options.runtime.block_on(work)).doing(|| format!("downloading `{url}`"));
        match fetched.and_then(|()| fs::rename(&partial, path).doing(|| format!("naming `{}`", path.display()))) {
            Ok(()) => Ok(()),
            Err(error) => {
                let _ = fs::remove_file(&partial);
                Err(error)
            }
        }
    }
}

/// Where a body goes; emptied before each try.
trait Sink {
    fn empty(&mut self) -> std::io::Result<()>;
    fn add(&mut self, piece: &[u8]) -> std::io::Result<()>;
}

struct Memory<'b>(&'b mut Vec<u8>);

impl Sink for Memory<'_> {
    fn empty(&mut self) -> std::io::Result<()> {
        self.0.clear();
        Ok(())
    }

    fn add(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.0.extend_from_slice(piece);
        Ok(())
    }
}

struct OnDisk<'f>(&'f mut File);

impl Sink for OnDisk<'_> {
    fn empty(&mut self) -> std::io::Result<()> {
        use std::io::Seek as _;
        self.0.rewind()?;
        self.0.set_len(0)
    }

    fn add(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.0.write_all(piece)
    }
}

fn client(https_only: bool) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        // A redirect to plain HTTP is refused too.
        .https_only(https_only)
        .read_timeout(SILENCE)
        .connect_timeout(SILENCE)
        .build()
        .map_err(|error| Error::from_source(Kind::Failed, &error))
}

async fn fetch(
    client: &reqwest::Client,
    url: &str,
    sha256: &str,
    limit: u64,
    deadline: Instant,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut attempt = 1;
    loop {
        let work = fetch_once(client, url, sha256, limit, sink);
        let error = match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(Error::new(Kind::TimedOut, "the step's time is over")),
        };
        if attempt == TRIES || !error.kind().is_transient() {
            return Err(error);
        }
        // Full jitter: a fleet that starts together does not ask again together.
        tokio::time::sleep(Duration::from_millis(500 << attempt).mul_f64(rand::random::<f64>())).await;
        attempt += 1;
    }
}

async fn fetch_once(client: &reqwest::Client, url: &str, sha256: &str, limit: u64, sink: &mut dyn Sink) -> Result<()> {
    sink.empty()?;
    let broken = |error: reqwest::Error| {
        let kind = if error.is_builder() || error.is_redirect() { Kind::Failed } else { Kind::Unreachable };
        // The address is already said by whoever asked, and may hold a token in its query.
        Error::from_source(kind, &error.without_url())
    };
    let mut answer = client.get(url).send().await.map_err(broken)?;
    let status = answer.status();
    if !status.is_success() {
        let kind = match status.as_u16() {
            404 | 410 => Kind::Missing,
            401 | 403 => Kind::Denied,
            429 => Kind::Throttled,
            500.. => Kind::Unreachable,
            _ => Kind::Failed,
        };
        return Err(Error::new(kind, format!("the server answered {status}")));
    }
    let mut hash = Sha256::new();
    let mut size: u64 = 0;
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        size += piece.len() as u64;
        if size > limit {
            return Err(Error::new(Kind::Failed, format!("it is larger than the {limit} bytes that are allowed")));
        }
        hash.update(&piece);
        sink.add(&piece)?;
    }
    let found = hexadecimal(&hash.finalize());
    if found == sha256.to_ascii_lowercase() {
        return Ok(());
    }
    let why = format!("the {size} bytes there have sha256 `{found}`, not `{sha256}`");
    Err(Error::new(Kind::Failed, why).hint("the file was replaced, or the digest in the playbook is not its own"))
}

fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const BODY: &str = "hello";
    const DIGEST: &str = "2CF24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn fetched(answers: Vec<&'static str>, sha256: &str, limit: u64) -> Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let _ = connection.read(&mut [0; 4096]).unwrap();
                connection.write_all(answer.as_bytes()).unwrap();
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut bytes = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = client(false).unwrap();
        let result = runtime.block_on(fetch(&client, &url, sha256, limit, deadline, &mut Memory(&mut bytes)));
        server.join().unwrap();
        result.map(|()| bytes)
    }

    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn a_truncated_body_is_fetched_again() {
        let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel";
        assert_eq!(fetched(vec![truncated, WHOLE], DIGEST, 100).unwrap(), BODY.as_bytes());
    }

    #[test]
    fn wrong_bytes_are_refused_at_once() {
        let error = fetched(vec!["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\njello"], DIGEST, 100).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.to_string().contains("have sha256"), "{error}");
    }

    #[test]
    fn too_much_is_refused() {
        assert!(fetched(vec![WHOLE], DIGEST, 4).unwrap_err().to_string().contains("larger than the 4 bytes"));
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let error = fetched(vec!["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"], DIGEST, 100).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
    }

    #[test]
    fn a_busy_server_is_asked_again() {
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(fetched(vec![busy, WHOLE], DIGEST, 100).unwrap(), BODY.as_bytes());
    }

    #[test]
    fn plain_http_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut bytes = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        let (client, mut sink) = (client(true).unwrap(), Memory(&mut bytes));
        let work = fetch(&client, "http://127.0.0.1:9/", DIGEST, 9, deadline, &mut sink);
        assert_eq!(runtime.block_on(work).unwrap_err().kind(), Kind::Failed);
    }
}
