//! Git in process: clone, fetch and check out with libgit2 over our own transports.
//!
//! Everything here happens in a helper that runs as the owner of the tree ([`GitErrand`]), network included: root neither works
//! inside a tree that somebody else can change nor parses what a server sends. Hooks never run, filters neither, and no
//! configuration but the repository's own is read.

mod access;
mod address;
mod ask;
mod bring;
mod checkout;
mod errand;
mod hand_over;
mod https;
mod locks;
mod look;
mod mark;
mod packet;
mod pins;
mod releases;
mod resolve;
mod revisions;
mod ssh;
mod submodules;
mod transport;

pub use address::Address;
pub use ask::Source;
pub use bring::Wish;
pub use checkout::{modified_error, own_commits_error};
pub use errand::{GitErrand, GitReply, Server};
pub use look::{Checkout, Place};
pub use pins::Pins;
pub use releases::{FOLDER as RELEASES, Releases};
pub use resolve::{Resolved, is_commit};
pub use revisions::Revisions;

#[cfg(test)]
mod tests;
