//! Downloads over HTTPS. Whoever asks compares the digest before the bytes get their final name.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};
use crate::host::body::Body;

/// A body that breaks off is fetched again this often.
const TRIES: u32 = 4;
/// Silence longer than this breaks a try off.
const SILENCE: Duration = Duration::from_secs(30);

/// Brings what is at this HTTPS address where `body` says.
///
/// # Errors
/// `Failed` when there is more than `body` takes; whatever the network says.
pub fn download(runtime: &Handle, url: &str, deadline: Instant, body: &mut Body<'_>) -> Result<()> {
    runtime.block_on(fetch(&client(true)?, url, deadline, body))
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

async fn fetch(client: &reqwest::Client, url: &str, deadline: Instant, body: &mut Body<'_>) -> Result<()> {
    let mut attempt = 1;
    loop {
        let error = match tokio::time::timeout_at(deadline.into(), fetch_once(client, url, body)).await {
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

async fn fetch_once(client: &reqwest::Client, url: &str, body: &mut Body<'_>) -> Result<()> {
    let broken = |error: reqwest::Error| {
        let settled = error.is_builder() || error.is_redirect();
        // The address is already said by whoever asked, and may hold a token in its query.
        let error = Error::from_source(Kind::Unreachable, &error.without_url());
        if is_distrusted(&error) {
            return error
                .with_kind(Kind::Failed)
                .hint("the server's certificate is not one that this machine trusts; add its authority to the system's");
        }
        if settled { error.with_kind(Kind::Failed) } else { error }
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
    body.begin(answer.content_length())?;
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        body.add(&piece)?;
    }
    Ok(())
}

/// Whether the server's certificate is refused for good: one that is not valid yet, or no more, may be so by a clock that will be set.
fn is_distrusted(error: &Error) -> bool {
    error
        .causes()
        .any(|cause| cause.contains("invalid peer certificate") && !cause.contains("not valid yet") && !cause.contains("expired"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const BODY: &str = "hello";

    fn fetched(answers: Vec<&'static str>, limit: u64) -> Result<Vec<u8>> {
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
        let result = runtime.block_on(fetch(&client, &url, deadline, &mut Body::new(&mut bytes, limit)));
        server.join().unwrap();
        result.map(|()| bytes)
    }

    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn a_truncated_body_is_fetched_again() {
        let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel";
        assert_eq!(fetched(vec![truncated, WHOLE], 100).unwrap(), BODY.as_bytes());
    }

    #[test]
    fn too_much_is_refused() {
        assert!(fetched(vec![WHOLE], 4).unwrap_err().to_string().contains("larger than the 4 bytes"));
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let error = fetched(vec!["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"], 100).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
    }

    #[test]
    fn a_busy_server_is_asked_again() {
        let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(fetched(vec![busy, WHOLE], 100).unwrap(), BODY.as_bytes());
    }

    #[test]
    fn plain_http_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut bytes = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        let error = download(runtime.handle(), "http://127.0.0.1:9/", deadline, &mut Body::new(&mut bytes, 9)).unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
    }
}
