//! Puts our transports in the place of libgit2's own, once per process.

use std::sync::OnceLock;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ConfigLevel, Error, ErrorClass, ErrorCode};

use super::access::Access;
use super::address::Address;
use super::{https, ssh};
use crate::error::{Kind, Result};

/// What a transport reads from and writes to; libgit2 frees it when the conversation is over.
type Stream = Box<dyn SmartSubtransportStream>;

/// Registers the transports and sets what libgit2 keeps per process.
///
/// # Errors
/// When libgit2 refuses, which it does not.
pub fn register() -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| set_up().map_err(|error| error.message().to_owned()));
    done.clone().map_err(|why| crate::error::Error::new(Kind::Failed, why).doing("preparing the git library"))
}

#[allow(unsafe_code)] // Process-wide settings of a C library.
fn set_up() -> Result<(), Error> {
    // SAFETY: these settings must not be written while others use libgit2; `OnceLock` lets one thread through and holds back every
    // other, and nothing in this process touches libgit2 without coming by here first.
    unsafe {
        // Configuration of the machine or of a user could rewrite addresses or name programs to run.
        for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
            git2::opts::set_search_path(level, "")?;
        }
        // We run as the owner of the tree, or only look; the check would trip over a tree whose owner is about to be set right.
        git2::opts::set_verify_owner_validation(false)?;
        git2::transport::register("ssh", |remote| Transport::smart(remote, false, Router))?;
        git2::transport::register("https", |remote| Transport::smart(remote, true, Router))?;
        // libgit2 has a plain one of its own; ours never gets an address without encryption from a playbook or a redirect.
        git2::transport::register("http", |remote| Transport::smart(remote, true, Router))?;
        git2::transport::register("git", |_| Err(refusal("`git://` is neither encrypted nor signed")))
    }
}

/// Opens a conversation with the server of the errand at hand.
struct Router;

impl SmartSubtransport for Router {
    fn action(&self, url: &str, service: Service) -> Result<Stream, Error> {
        let access = Access::current().ok_or_else(|| refusal("nobody said how to reach this server"))?;
        if !matches!(service, Service::UploadPackLs | Service::UploadPack) {
            return Err(refusal("this agent reads repositories and does not write to them"));
        }
        let stream = match url.parse::<Address>() {
            Ok(address @ Address::Ssh { .. }) => ssh::open(&access, &address).map(|stream| Box::new(stream) as Stream),
            Ok(Address::Https { .. }) => https::open(&access, url, service).map(|stream| Box::new(stream) as Stream),
            #[cfg(test)] // A server without certificate, for the tests of what is said over HTTPS.
            Err(_) if url.starts_with("http://127.0.0.1:") => {
                https::open(&access, url, service).map(|stream| Box::new(stream) as Stream)
            }
            Ok(Address::Local(_)) => return Err(refusal("a path needs no transport")),
            Err(why) => return Err(refusal(&why)),
        };
        stream.map_err(|error| access.fail(error))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn refusal(why: &str) -> Error {
    Error::new(ErrorCode::GenericError, ErrorClass::Net, why)
}
