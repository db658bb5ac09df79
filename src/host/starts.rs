//! The record of last starts: which inputs a unit (or an `on_change` command) was last started with.
//!
//! Restart-after-change is a fact, not a notification: the digest is recorded after the successful start, so a crash between
//! change and restart cannot lose it. Digests are keyed with a random value of this machine, so the record tells nothing about
//! secrets among the inputs.

use super::{Facts, Host};
use crate::error::Result;
use crate::step::Fingerprint;

impl Facts {
    /// Whether the last recorded start of `what` had exactly these inputs; `None` without a record.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn started_with(&self, what: &str, inputs: &Fingerprint) -> Result<Option<bool>> {
        let _ = (what, inputs);
        todo!()
    }
}

impl Host {
    /// Records that `what` was started with these inputs.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_start(&self, what: &str, inputs: &Fingerprint) -> Result<()> {
        let _ = (what, inputs);
        todo!()
    }
}
