//! Ten names a call, a few calls at a time. A call that fails is halved until each name that is at fault stands alone.

use std::sync::Mutex;
use std::sync::PoisonError;

use indexmap::IndexMap;

use super::super::parameters::{MOST_NAMES, Parameter};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// So many calls are under way at the same time; the account's quota is shared with the whole fleet.
const SIDE_BY_SIDE: usize = 4;

/// Everything that was found, and everything that was not.
pub(super) struct Collected<P> {
    /// By the name they were asked for.
    pub(super) named: IndexMap<String, P>,
    /// By path.
    pub(super) below: IndexMap<String, Vec<Parameter>>,
    /// By source.
    pub(super) objects: IndexMap<String, Secret>,
    /// What does not exist.
    pub(super) missing: Vec<String>,
    /// What could not be had for another reason.
    pub(super) failed: Vec<(String, Error)>,
}

/// What an answer is known by.
pub(super) trait Named {
    /// The name it was asked for by, and what is kept of it.
    type Kept: Send;
    fn split(self) -> (String, Self::Kept);
}

impl Named for Parameter {
    type Kept = Self;
    fn split(self) -> (String, Self) {
        (self.name.clone(), self)
    }
}

impl Named for (String, i64) {
    type Kept = i64;
    fn split(self) -> (String, i64) {
        self
    }
}

/// Asks for all names. Those that are not among the answers are missing.
pub(super) fn collect<A: Named + Send>(names: &[String], ask: impl Fn(&[String]) -> Result<Vec<A>> + Sync) -> Collected<A::Kept> {
    let todo = Mutex::new(names.chunks(MOST_NAMES));
    let found = Mutex::new(Vec::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(names.len().div_ceil(MOST_NAMES)) {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(batch) = next else { return };
                    bisect(batch, &ask, &found, &failed);
                }
            });
        }
    });
    let answers = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut failed: Vec<(String, Error)> = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut by_name: IndexMap<String, A::Kept> = answers.into_iter().map(Named::split).collect();
    // The order of the playbook, whatever order the answers came in.
    let mut in_order = IndexMap::new();
    let mut missing = Vec::new();
    for name in names {
        match by_name.swap_remove(name) {
            Some(kept) => {
                in_order.insert(name.clone(), kept);
            }
            None if failed.iter().any(|(failed, _)| failed == name) => {}
            None => missing.push(name.clone()),
        }
    }
    failed.sort_by_key(|(name, _)| names.iter().position(|known| known == name));
    Collected { named: in_order, below: IndexMap::new(), objects: IndexMap::new(), missing, failed }
}

fn bisect<A>(
    batch: &[String],
    ask: &impl Fn(&[String]) -> Result<Vec<A>>,
    found: &Mutex<Vec<A>>,
    failed: &Mutex<Vec<(String, Error)>>,
) {
    match (ask(batch), batch) {
        (Ok(answers), _) => found.lock().unwrap_or_else(PoisonError::into_inner).extend(answers),
        (Err(error), [name]) => failed.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), error)),
        // Halving helps to find who is at fault; it does not bring back a service that is away.
        (Err(error), _) if error.kind().is_transient() => {
            let all = batch.iter().map(|name| (name.clone(), error.clone()));
            failed.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
        }
        (Err(_), _) => {
            let (front, back) = batch.split_at(batch.len() / 2);
            bisect(front, ask, found, failed);
            bisect(back, ask, found, failed);
        }
    }
}
