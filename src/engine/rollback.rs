//! What a health step proves of a release: success makes it the one to go back to, failure goes back.
//!
//! A revision that dies at its start fails the step of its unit, and the health step is never reached. Its turn comes all the same
//! then, not to wait but to go back.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::horizon::{Horizon, Limit};
use super::poll::Poll;
use super::stop::Stop;
use super::voice::Voice;
use crate::error::{Error, Kind, Result};
use crate::host::rollback::{Release, WentBack};
use crate::host::{Host, World};
use crate::playbook::Scope;
use crate::step::{AnyStep, Patience, Proof};

/// What going back may take when the step's own time is over: less than the grace after which a step is abandoned.
const LAST_TIME: Duration = Duration::from_secs(8);

/// How far the deployment had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The unit was not touched yet: it still runs what it ran before.
    NotTheUnit,
    /// The unit was started with the release.
    TheUnit,
}

/// A release on trial, and the step that judges it.
pub struct Trial<'a> {
    step: &'a dyn AnyStep,
    proof: Proof,
    release: Release,
}

impl<'a> Trial<'a> {
    /// The trial that this step is; `None` where it is none, and where nothing is known of a release.
    ///
    /// # Errors
    /// When the step that it names keeps no releases.
    pub fn of(step: &'a dyn AnyStep, scope: &Scope) -> Result<Option<Self>> {
        let Some(proof) = step.proves() else { return Ok(None) };
        let Some(outputs) = scope.steps.get(&proof.of) else { return Ok(None) };
        if !outputs.contains_key("release") {
            return Err(Error::new(Kind::Playbook, format!("step `{}` keeps no releases to go back to", proof.of))
                .hint("give it `releases: { keep: 3 }`"));
        }
        Ok(Release::of(outputs).map(|release| Self { step, proof, release }))
    }

    /// The unit that runs the release.
    pub fn unit(&self) -> &str {
        &self.proof.unit
    }

    /// It was seen healthy. Says how many changes followed from that.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn won(&self, host: &Host, voice: &Voice) -> Result<usize> {
        let done = host.prove(&self.release, &self.proof.unit)?;
        done.iter().for_each(|change| voice.also(change));
        Ok(done.iter().count())
    }

    /// It failed: goes back where that is possible, and says so in the error.
    pub fn lost(&self, error: Error, reached: Reached, host: &Host, world: &World, voice: &Voice, stop: &Stop) -> Error {
        // Whoever was interrupted knows nothing, and a mistake of the playbook or of the agent is not the revision's.
        if stop.reason().is_some() || matches!(error.kind(), Kind::Playbook | Kind::Usage | Kind::Bug) {
            return error;
        }
        let began = Instant::now();
        let host = Host::new(host.with_at_least(LAST_TIME));
        let because = error.causes().collect::<Vec<_>>().join(": ");
        let tried = reached == Reached::TheUnit;
        let went = host.go_back(&self.release, &self.proof.unit, &because, tried, tried);
        world.forget();
        match went {
            Ok(None) => error,
            Ok(Some(went)) => {
                voice.also(&went.to_string());
                let healthy = match &went {
                    WentBack::Relinked { restarted: true, .. } => self.is_healthy_again(&host, world, began, stop),
                    _ => String::new(),
                };
                error.followed_by(format!("{went}{healthy}"))
            }
            Err(trouble) => {
                let trouble = [trouble.activities().collect::<Vec<_>>(), trouble.causes().collect()].concat().join(": ");
                error.followed_by(format!("going back to the last healthy release failed too: {trouble}"))
            }
        }
    }

    /// Whether what was gone back to answers, in words.
    fn is_healthy_again(&self, host: &Host, world: &World, began: Instant, stop: &Stop) -> String {
        let left = host.deadline().saturating_duration_since(began);
        let patience = self.step.patience();
        let patience = Patience { within: patience.within.min(left), ..patience };
        let limit = Limit::new(None, Horizon::new(began, left));
        let poll = Poll { patience, limit, stop, slept: &Cell::default() };
        let look = || {
            world.forget();
            self.step.check(host)
        };
        match poll.until_it_holds(look, |_| {}) {
            Ok(_) => ", which is healthy again".to_owned(),
            Err(error) => format!(", which is not healthy either: {}", error.causes().collect::<Vec<_>>().join(": ")),
        }
    }
}
