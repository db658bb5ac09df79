//! Probes of the local application (http, tcp, unix sockets), and downloads over HTTPS.

mod download;
mod probe;

pub use download::download;
pub use probe::{HttpWish, Probe};
