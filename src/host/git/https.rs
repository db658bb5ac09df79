//! HTTPS for git: one question for the list of branches, then one or more posts. The token goes to its own host only.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use git2::transport::Service;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header, redirect};
use zeroize::Zeroizing;

use super::access::Access;
use super::packet::Packet;
use crate::error::{Error, Kind, Result};

/// One try to reach the server.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// A server that has not sent a byte for this long has gone.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);
/// How often a server may send us elsewhere.
const MOST_REDIRECTS: usize = 5;

/// One question and its answer.
pub struct HttpsStream {
    access: Arc<Access>,
    /// The repository as libgit2 knows it.
    repository: String,
    client: Client,
    url: Url,
    service: Service,
    question: Vec<u8>,
    answer: Option<Response>,
    pending: Packet,
}

/// Opens one below this repository's URL.
///
/// # Errors
/// `Failed` when there is no store of certificates on this machine.
pub fn open(access: &Arc<Access>, repository: &str, service: Service) -> Result<HttpsStream> {
    let path = match service {
        Service::UploadPackLs => "info/refs?service=git-upload-pack",
        _ => "git-upload-pack",
    };
    let text = format!("{}/{path}", access.place_of(repository).trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|error| Error::from_source(Kind::Playbook, &error).doing(format!("reading `{text}`")))?;
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .user_agent(concat!("git/2.0 (", env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), ")"))
        .build()
        .map_err(|error| {
            Error::from_source(Kind::Failed, &error)
                .hint("HTTPS needs the system's certificates: install `ca-certificates`, or set `SSL_CERT_FILE`")
        })?;
    let (question, pending) = (Vec::new(), Packet::default());
    let repository = repository.to_owned();
    Ok(HttpsStream { access: access.clone(), repository, client, url, service, question, answer: None, pending })
}

impl HttpsStream {
    /// Sends what libgit2 wrote and waits for the answer's first bytes.
    fn ask(&mut self) -> Result<Response> {
        let access = self.access.clone();
        let answer = access.wait("waiting for the server", None, self.follow())??;
        judge(&answer, &self.url, self.with_token())?;
        Ok(answer)
    }

    async fn follow(&mut self) -> Result<Response> {
        for _ in 0..=MOST_REDIRECTS {
            let mut answer = self.request().send().await.map_err(|error| unreachable(&error))?;
            if self.with_token() && refuses_basic(&answer) && self.access.turn_to_bearer() {
                answer = self.request().send().await.map_err(|error| unreachable(&error))?;
            }
            // Only the first question follows; a repository that moved between two posts is not the same repository.
            let may_follow = self.service == Service::UploadPackLs && answer.status().is_redirection();
            let next = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
            let Some(next) = next.filter(|_| may_follow) else { return Ok(answer) };
            let next = self.url.join(next).map_err(|error| Error::from_source(Kind::Failed, &error))?;
            if next.scheme() != "https" && next.scheme() != self.url.scheme() {
                return Err(Error::new(Kind::Denied, format!("the server sends us to `{}`, without encryption", place(&next))));
            }
            self.access.has_moved(&self.repository, &place(&next));
            self.url = next;
        }
        Err(Error::new(Kind::Failed, format!("the server sent us elsewhere more than {MOST_REDIRECTS} times")))
    }

    fn request(&self) -> RequestBuilder {
        let request = match self.service {
            Service::UploadPackLs => self.client.request(Method::GET, self.url.clone()),
            _ => self
                .client
                .request(Method::POST, self.url.clone())
                .header(header::CONTENT_TYPE, "application/x-git-upload-pack-request")
                .header(header::ACCEPT, "application/x-git-upload-pack-result")
                .body(self.question.clone()),
        };
        match &self.access.token {
            Some((name, token)) if self.with_token() => {
                let value = if self.access.with_bearer() {
                    Zeroizing::new([b"Bearer ", token.expose()].concat())
                } else {
                    let pair = Zeroizing::new([name.as_bytes(), b":", token.expose()].concat());
                    let coded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(&*pair));
                    Zeroizing::new([b"Basic ", coded.as_bytes()].concat())
                };
                match header::HeaderValue::from_bytes(&value) {
                    Ok(mut value) => {
                        value.set_sensitive(true);
                        request.header(header::AUTHORIZATION, value)
                    }
                    Err(_) => request,
                }
            }
            _ => request,
        }
    }

    /// Whether there is a token, and this is the very host that it was given for.
    fn with_token(&self) -> bool {
        let own = Url::parse(&self.access.address.as_url());
        self.access.token.is_some() && own.is_ok_and(|own| own.origin() == self.url.origin())
    }
}

/// Whether the server wants a bearer token where it was sent name and token.
fn refuses_basic(answer: &Response) -> bool {
    let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut schemes = challenges.flat_map(|value| value.split(',')).filter_map(|part| part.split_whitespace().next());
    answer.status() == StatusCode::UNAUTHORIZED && schemes.any(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

/// What the answer's status says.
fn judge(answer: &Response, asked: &Url, with_token: bool) -> Result<()> {
    let status = answer.status();
    let place = place(asked);
    Err(match status {
        StatusCode::OK => return Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_token => {
            Error::new(Kind::Denied, format!("`{place}` refused the token (status {})", status.as_u16()))
                .hint("may this token read this repository, and has it not expired?")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::new(Kind::Denied, format!("`{place}` asks for credentials (status {})", status.as_u16()))
                .hint("give a token under `token:`")
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::new(Kind::Missing, format!("there is no repository at `{place}`"))
            .hint("is the address right? some servers also answer so when a token is missing or may not read the repository"),
        StatusCode::TOO_MANY_REQUESTS => Error::new(Kind::Throttled, format!("`{place}` asks us to slow down")),
        _ if status.is_server_error() => {
            Error::new(Kind::Unreachable, format!("`{place}` answers with status {}", status.as_u16()))
        }
        _ => Error::new(Kind::Failed, format!("`{place}` answers with status {}", status.as_u16())),
    })
}

/// The URL without its query, for people.
fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string().trim_end_matches("/info/refs").trim_end_matches("/git-upload-pack").to_owned()
}

/// Why there was no answer. A certificate that we do not trust will not be trusted a second later.
fn unreachable(error: &reqwest::Error) -> Error {
    let error = Error::from_source(Kind::Unreachable, error);
    if error.causes().any(|cause| cause.contains("certificate")) {
        let hint = "is it signed by an authority that this machine knows? `ca-certificates` brings the public ones, `SSL_CERT_FILE` \
                    names others";
        return error.with_kind(Kind::Denied).hint(hint);
    }
    error
}

impl Read for HttpsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let access = self.access.clone();
        let failed = |error: Error| io::Error::other(access.fail(error).message().to_owned());
        if self.answer.is_none() {
            self.answer = Some(self.ask().map_err(failed)?);
        }
        while self.pending.is_empty() {
            let Some(answer) = &mut self.answer else { return Ok(0) };
            let chunk = access.wait("waiting for the server", None, answer.chunk()).map_err(failed)?;
            match chunk.map_err(|error| failed(unreachable(&error)))? {
                Some(bytes) => self.pending = Packet::new(bytes.to_vec()),
                None => return Ok(0),
            }
        }
        Ok(self.pending.read(buffer))
    }
}

impl Write for HttpsStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.question.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
