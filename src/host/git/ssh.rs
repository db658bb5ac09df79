//! SSH in process: the key stays in memory, and the host key is judged here, against pins.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, decode_secret_key};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::access::Access;
use super::address::Address;
use super::packet::Packet;
use crate::error::{Error, Kind, Result};

/// One try to reach the server and to agree on keys.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// A silent connection is asked for a sign of life this often; three unanswered ones end it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A conversation with `git-upload-pack` on the server.
pub struct SshStream {
    access: Arc<Access>,
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<client::Msg>,
    /// Keeps the connection alive.
    _connection: Handle<Judge>,
    /// What the server sent and libgit2 has not read yet.
    pending: Packet,
    /// What the program said on its standard error.
    complaint: Vec<u8>,
    ended: bool,
}

/// Opens one.
///
/// # Errors
/// `Denied` for a host key that is not pinned or a refused deploy key, `Unreachable` when nobody answers.
pub fn open(access: &Arc<Access>, address: &Address) -> Result<SshStream> {
    let Address::Ssh { user, host, port, path } = address else {
        return Err(Error::new(Kind::Bug, "this address is not for SSH"));
    };
    if !access.covers(address) {
        let because = format!("there is no key for `{host}`: the step's key is for its own host only");
        return Err(Error::new(Kind::Denied, because).hint("give the repository a step of its own"));
    }
    let key = private_key(access)?;
    let pins = access.pins.keys();
    if pins.is_empty() {
        return Err(Error::new(Kind::Denied, format!("no host key of `{host}` is known"))
            .hint("list the server's keys under `host_keys:` once you have verified them; they are never accepted blindly"));
    }
    let connection = connect(access, host, *port, &pins)?;
    access.wait("asking the server for the repository", Some(CONNECT_LIMIT), start(connection, access, user, host, path, key))?
}

/// The deploy key in memory.
fn private_key(access: &Access) -> Result<Arc<PrivateKey>> {
    let secret = access.ssh_key.as_ref().ok_or_else(|| {
        Error::new(Kind::Playbook, "an address over SSH needs a key").hint("give the deploy key under `ssh_key:`")
    })?;
    let wrong = |why: &str| {
        Error::new(Kind::Playbook, format!("`ssh_key` is not a private key we can use: {why}"))
            .hint("an unencrypted private key in OpenSSH or PEM format is expected, from its `BEGIN` to its `END` line")
    };
    let text = secret.expose_text().ok_or_else(|| wrong("it is not text"))?;
    // Keys that went through a web form or a parameter store often carry foreign line ends, or literal ones.
    let text = zeroize::Zeroizing::new(text.replace("\\n", "\n").replace('\r', ""));
    if text.contains("ENCRYPTED") {
        return Err(wrong("it is protected by a passphrase"));
    }
    let text = zeroize::Zeroizing::new(text.lines().map(str::trim).collect::<Vec<_>>().join("\n"));
    let key = decode_secret_key(&text, None).map_err(|_| wrong("it is in no known format"))?;
    if key.is_encrypted() { Err(wrong("it is protected by a passphrase")) } else { Ok(Arc::new(key)) }
}

/// Connects and agrees on keys, unless the server shows a key that is not pinned.
fn connect(access: &Access, host: &str, port: u16, pins: &[PublicKey]) -> Result<Handle<Judge>> {
    let shown = Arc::new(Mutex::new(None));
    let judge = Judge { pins: pins.to_vec(), refused: shown.clone() };
    let config = Arc::new(client::Config {
        keepalive_interval: Some(KEEPALIVE),
        nodelay: true,
        preferred: russh::Preferred { key: Cow::Owned(preferred(pins)), ..russh::Preferred::DEFAULT },
        ..client::Config::default()
    });
    let connected = access.wait(&format!("connecting to `{host}`"), Some(CONNECT_LIMIT), async {
        let socket = tokio::net::TcpStream::connect((host, port))
            .await
            .map_err(|error| Error::new(Kind::Unreachable, format!("`{host}` port {port} does not answer: {}", plain(&error))))?;
        client::connect_stream(config, socket, judge)
            .await
            .map_err(|error| Error::new(Kind::Unreachable, format!("agreeing on keys with `{host}` failed: {}", lower(&error))))
    })?;
    let refused = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match refused {
        None => connected,
        Some(fingerprint) => Err(Error::new(
            Kind::Denied,
            format!("the server's host key is not one of the {} pinned for `{host}`; it shows `{fingerprint}`", pins.len()),
        )
        .hint(
            "the server changed its key or someone is in between; add the new key under `host_keys:` once you have verified it",
        )),
    }
}

/// Algorithms of the pinned keys first, so that a server with several keys shows one we know; then the others, so that a server
/// with none of them is told apart from one that speaks nothing we know.
fn preferred(pins: &[PublicKey]) -> Vec<Algorithm> {
    let pinned = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => pins.iter().any(|pin| matches!(pin.algorithm(), Algorithm::Rsa { .. })),
        other => pins.iter().any(|pin| pin.algorithm() == *other),
    };
    // RSA with SHA-1 is not offered.
    let offered = russh::Preferred::DEFAULT.key.iter().filter(|algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None }));
    let (first, last): (Vec<Algorithm>, Vec<Algorithm>) = offered.cloned().partition(pinned);
    first.into_iter().chain(last).collect()
}

/// Logs in and starts the program.
async fn start(
    mut connection: Handle<Judge>,
    access: &Arc<Access>,
    user: &str,
    host: &str,
    path: &str,
    key: Arc<PrivateKey>,
) -> Result<SshStream> {
    let broken =
        |error: russh::Error| Error::new(Kind::Unreachable, format!("the connection to `{host}` broke: {}", lower(&error)));
    let hash = match key.algorithm() {
        Algorithm::Rsa { .. } => Some(match connection.best_supported_rsa_hash().await.map_err(broken)? {
            Some(Some(hash)) => hash,
            // A server that does not say is asked for what every one of the last ten years can do.
            _ => HashAlg::Sha256,
        }),
        _ => None,
    };
    let key = PrivateKeyWithHashAlg::new(key, hash);
    if !connection.authenticate_publickey(user, key).await.map_err(broken)?.success() {
        return Err(Error::new(Kind::Denied, format!("`{host}` refused the key for `{user}`"))
            .hint("is the public half of `ssh_key` registered as a deploy key of this repository?"));
    }
    let channel = connection.channel_open_session().await.map_err(broken)?;
    channel.exec(true, format!("git-upload-pack {}", quoted(path))).await.map_err(broken)?;
    let (reader, writer) = channel.split();
    Ok(SshStream {
        access: access.clone(),
        reader,
        writer,
        _connection: connection,
        pending: Packet::default(),
        complaint: Vec::new(),
        ended: false,
    })
}

/// For the shell that every SSH server puts between us and the program.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl Read for SshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.is_empty() && !self.ended {
            let message = self.access.wait("waiting for the server", None, self.reader.wait());
            match message.map_err(|error| self.failed(error))? {
                Some(ChannelMsg::Data { data }) => self.pending = Packet::new(data.to_vec()),
                Some(ChannelMsg::ExtendedData { data, .. }) if self.complaint.len() < 4096 => {
                    self.complaint.extend_from_slice(&data);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => return Err(self.refused()),
                Some(ChannelMsg::Failure) => return Err(self.refused()),
                Some(_) => {}
                None => {
                    self.ended = true;
                    if !self.complaint.is_empty() {
                        return Err(self.refused());
                    }
                }
            }
        }
        Ok(self.pending.read(buffer))
    }
}

impl Write for SshStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let sent =
            self.access.wait("sending to the server", None, self.writer.data(buffer)).map_err(|error| self.failed(error))?;
        match sent {
            Ok(()) => Ok(buffer.len()),
            // The program ended already: what it had to say is worth more than "connection closed".
            Err(_) => Err(self.read(&mut [0]).err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SshStream {
    /// The server said no, in words of its own.
    fn refused(&self) -> io::Error {
        let said = String::from_utf8_lossy(&self.complaint);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let because = format!("the server has no such repository, or not for this key{}", if said.is_empty() { "" } else { ":" });
        let error = Error::new(Kind::Missing, [because.as_str(), &said.join("; ")].join(" ").trim_end().to_owned());
        self.failed(error.hint("is the address right, and may this key read it?"))
    }

    fn failed(&self, error: Error) -> io::Error {
        io::Error::other(self.access.fail(error).message().to_owned())
    }
}

/// Judges the server's key.
struct Judge {
    pins: Vec<PublicKey>,
    /// Fingerprint of the key that was refused.
    refused: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => Some(key),
            // Certificates are not offered, so none should come.
            PublicKeyOrCertificate::Certificate(_) => None,
        };
        let known = key.is_some_and(|key| self.pins.iter().any(|pin| pin.key_data() == key.key_data()));
        if !known {
            let text = key.map_or_else(|| "a certificate".to_owned(), |key| key.fingerprint(HashAlg::Sha256).to_string());
            *self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(text);
        }
        Ok(known)
    }
}

/// The system's words without its error number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// The library's words in our style.
fn lower(error: &russh::Error) -> String {
    error.to_string().trim_end_matches('.').to_lowercase()
}
