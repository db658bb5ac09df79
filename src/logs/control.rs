//! How a run speaks to the service that ships: one question and one answer, each a line of JSON, over a socket that only root can
//! reach. Each question is a connection of its own, so that neither side minds when the other was restarted.

mod client;
mod server;

pub use client::Client;
pub use server::{Served, Server};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Kind, Result};

/// Both sides are of one binary; while it is replaced they may differ for a moment.
const VERSION: u32 = 1;
/// The socket's name in the runtime folder.
const SOCKET: &str = "logs.sock";
/// No question or answer is longer: a playbook's secrets are kilobytes.
const LONGEST: u64 = 4 << 20;

/// What is asked.
#[derive(Serialize, Deserialize)]
struct Question<'q> {
    version: u32,
    #[serde(borrow)]
    ask: Ask<'q>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask<'q> {
    /// Where its records are.
    Hello,
    /// These are the secrets; see [`crate::secret::handover`].
    Learn(#[serde(borrow)] &'q str),
    /// Everything written so far goes out, within so many milliseconds.
    Flush { milliseconds: u64 },
    /// The configuration has been written anew.
    Reload,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    version: u32,
    /// Where the service keeps its records.
    state: PathBuf,
    /// Whether what was asked for was done: for a flush, whether all of it went out.
    done: bool,
    /// Why not.
    #[serde(default)]
    error: Option<String>,
}

/// Where the socket is.
fn socket(runtime: &Path) -> PathBuf {
    runtime.join(SOCKET)
}

/// Whoever is at the other end must be who we are: root, or in a test the user who runs it.
fn judge(stream: &std::os::unix::net::UnixStream) -> Result<()> {
    let peer = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)
        .doing(|| "finding out who is at the other end of the socket".to_owned())?;
    if peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Error::new(Kind::Denied, format!("user {} is at the other end of the socket, not root", peer.uid())));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
