//! What branches and tags meant when this run first asked. Kept for the whole run, so that the check after an apply compares with
//! what was deployed and not with what has been pushed meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::resolve::Resolved;

/// Commits by address and revision.
#[derive(Default)]
pub struct Revisions(Mutex<HashMap<(String, Option<String>), Resolved>>);

impl Revisions {
    /// What it meant, if somebody has asked.
    #[must_use]
    pub fn get(&self, url: &str, revision: Option<&str>) -> Option<Resolved> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(url.to_owned(), revision.map(ToOwned::to_owned))).cloned()
    }

    /// Remembers it; the first answer stays.
    pub fn set(&self, url: &str, revision: Option<&str>, resolved: &Resolved) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((url.to_owned(), revision.map(ToOwned::to_owned))).or_insert_with(|| resolved.clone());
    }
}
