//! A step's turn, on a thread of its own: wanted or not, evaluated, locks taken, then carried out or forecast. A panic in here
//! is this step's failure and nobody else's.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, milliseconds};
use super::event::{Ending, Event, Failure, Teller, Timing};
use super::forecast::{Forecast, Pending, cannot_tell, judge};
use super::homes::Homes;
use super::horizon::{Horizon, Limit};
use super::job::Job;
use super::locks::{Locks, Refused};
use super::rollback::{Reached, Trial};
use super::stop::Stop;
use super::voice::Voice;
use crate::error::{Error, Kind, Result};
use crate::host::documents::Beside;
use crate::host::traffic::Meter;
use crate::host::{Facts, Host, StepScope, World};
use crate::playbook::{Rendered, Scope, Wanted};
use crate::step::fields::Span;
use crate::step::{AnyStep, Fingerprint, Outputs, Touches};

/// What all steps of a run share.
pub struct Setting {
    /// How they look at the world.
    pub world: Arc<World>,
    /// Tells what happens.
    pub teller: Teller,
    /// Named locks, and places at the workbench.
    pub locks: Locks,
    /// Ends every wait.
    pub stop: Stop,
    /// The files beside the playbook.
    pub beside: Beside,
    /// The run's clock, and the hook's.
    pub horizon: Horizon,
    /// Whether nothing is written: no [`Host`] is ever made then.
    pub dry_run: bool,
    /// Whether we may look everywhere.
    pub is_root: bool,
    /// How long after its time a step may take to clean up before it is abandoned.
    pub grace: Duration,
}

/// What one step is given.
pub struct Turn {
    pub job: Arc<dyn Job>,
    pub scope: Arc<Scope>,
    /// Where homes are.
    pub homes: Arc<Homes>,
    pub fingerprints: Arc<HashMap<String, Option<Fingerprint>>>,
    /// Pending steps it waits for, in a dry-run.
    pub pending: Vec<Pending>,
    /// Steps above that were skipped or failed, and so have no outputs.
    pub without_outputs: Vec<String>,
    /// The step whose end made this one ready.
    pub after: Option<usize>,
    /// Whether one of those it waited for has changed something.
    pub unsettled: bool,
}

/// How a step ended, with what later steps use.
pub struct Outcome {
    pub ending: Ending,
    pub changes: usize,
    pub timing: Timing,
    pub milliseconds: u64,
    pub reason: Option<Failure>,
    pub outputs: Option<Outputs>,
    pub fingerprint: Option<Fingerprint>,
    pub touches: Option<Touches>,
    /// Whether the run's time ended it, not the step's own.
    pub overran: bool,
}

impl Outcome {
    pub fn new(ending: Ending, reason: Option<Failure>) -> Self {
        Self {
            ending,
            changes: 0,
            timing: Timing::default(),
            milliseconds: 0,
            reason,
            outputs: None,
            fingerprint: None,
            touches: None,
            overran: false,
        }
    }

    fn because(ending: Ending, why: impl Into<String>) -> Self {
        Self::new(ending, Some(Failure::because(why)))
    }
}

/// Takes the turn. `began` is told when the step must be over, once that is known.
pub fn take(setting: &Setting, turn: &Turn, voice: &Voice, began: impl Fn(Limit)) -> Outcome {
    let about = turn.job.about();
    let failed = |error: &Error| Outcome::new(Ending::Failed, Some(Failure::of(error, Some(about.place.clone()))));
    match catch_unwind(AssertUnwindSafe(|| try_take(setting, turn, voice, began))) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&error),
        Err(panic) => {
            let said = format!("the agent itself failed: {}", super::panics::describe(panic.as_ref()));
            failed(&Error::new(Kind::Bug, said).hint("this is a defect of the agent; please report it"))
        }
    }
}

fn try_take(setting: &Setting, turn: &Turn, voice: &Voice, began: impl Fn(Limit)) -> Result<Outcome> {
    let about = turn.job.about();
    match turn.job.is_wanted(&turn.scope)? {
        Wanted::Yes => {}
        Wanted::No(expression) => return Ok(Outcome::because(Ending::Skipped, format!("`when: {expression}` is false"))),
        Wanted::Unknown(why) => return unknown(setting, turn, why),
    }
    let step = match turn.job.render(&turn.scope)? {
        Rendered::Ready(step) => step,
        Rendered::Unknown { why } => return unknown(setting, turn, why),
    };
    let trial = Trial::of(step.as_ref(), &turn.scope)?;
    let touches = turn.homes.locate(step.touches());
    let ready = Instant::now();
    let names = if setting.dry_run { &[][..] } else { &touches.locks };
    let taken = setting.locks.take(names, about.number, &setting.horizon, |name, holder| {
        voice.waiting(&format!("lock `{name}`, which step {holder} holds"));
    });
    let held = match taken {
        Ok(held) => held,
        Err(refused) => return Ok(refused_outcome(&refused, &setting.horizon)),
    };
    let locks = milliseconds(ready);
    let start = Instant::now();
    let meter = Meter::begin(!setting.dry_run);
    let limit = Limit::new(about.timeout, setting.horizon.clone());
    began(limit.clone());
    setting.teller.tell(Event::StepStarted {
        step: about.number,
        label: about.label.clone(),
        kind: about.kind.to_owned(),
        after: turn.after,
    });
    let facts = facts_of(setting, turn, voice, &limit);
    let mut outcome = if setting.dry_run {
        forecast(setting, turn, step.as_ref(), &touches, &facts, voice)
    } else {
        carry_out(setting, turn, step.as_ref(), trial.as_ref(), facts, voice, &limit)
    };
    drop(held);
    if let Some(moved) = meter.moved() {
        voice.moved(moved);
    }
    outcome.timing.locks = locks;
    outcome.milliseconds = milliseconds(start);
    outcome.touches = Some(touches);
    Ok(outcome)
}

fn facts_of(setting: &Setting, turn: &Turn, voice: &Voice, limit: &Limit) -> Facts {
    let scope = StepScope {
        deadline: limit.deadline(),
        fingerprints: turn.fingerprints.clone(),
        lines: voice.lines(),
        waiting: voice.waits(),
        beside: setting.beside.clone(),
    };
    Facts::new(setting.world.clone(), scope)
}

/// The turn of a step that was never reached because another one failed: where it judges a release, that one is lost. `reached` says
/// how far the unit of the release had come; nothing is to be done where it says nothing.
pub fn go_back(
    setting: &Setting,
    turn: &Turn,
    voice: &Voice,
    why: &Error,
    reached: impl Fn(&str) -> Option<Reached>,
) -> Option<Outcome> {
    let about = turn.job.about();
    if !matches!(turn.job.is_wanted(&turn.scope), Ok(Wanted::Yes)) {
        return None;
    }
    let Ok(Rendered::Ready(step)) = turn.job.render(&turn.scope) else { return None };
    let trial = Trial::of(step.as_ref(), &turn.scope).ok().flatten()?;
    let reached = reached(trial.unit())?;
    let host = Host::new(facts_of(setting, turn, voice, &Limit::new(about.timeout, setting.horizon.clone())));
    let start = Instant::now();
    let error = trial.lost(why.clone(), reached, &host, &setting.world, voice, &setting.stop);
    if error.causes().count() == why.causes().count() {
        return None;
    }
    let outcome = Outcome::new(Ending::Failed, Some(Failure::of(&error, Some(about.place.clone()))));
    Some(Outcome { milliseconds: milliseconds(start), ..outcome })
}

fn carry_out(
    setting: &Setting,
    turn: &Turn,
    step: &dyn AnyStep,
    trial: Option<&Trial<'_>>,
    facts: Facts,
    voice: &Voice,
    limit: &Limit,
) -> Outcome {
    let about = turn.job.about();
    let host = Host::new(facts);
    let mut attempt = Attempt {
        step,
        host: &host,
        world: &setting.world,
        voice,
        stop: &setting.stop,
        limit: limit.clone(),
        retries: about.retries,
        timing: Timing::default(),
        slept: Cell::default(),
        made: 0,
        unsettled: turn.unsettled,
    };
    let mut done = attempt.carry_out();
    if let Some(trial) = trial {
        done = match done {
            Ok(finding) => trial.won(&host, voice).map(|made| {
                attempt.made += made;
                finding
            }),
            Err(error) => Err(trial.lost(error, Reached::TheUnit, &host, &setting.world, voice, &setting.stop)),
        };
    }
    let waited = u64::try_from((host.waited() + attempt.slept.get()).as_millis()).unwrap_or(u64::MAX);
    let (timing, changes) = (Timing { waited, ..attempt.timing }, attempt.made);
    let outcome = match done {
        Ok(finding) => {
            finding.notice.iter().for_each(|notice| voice.notice(notice));
            finding.behind.iter().for_each(|behind| voice.left(behind));
            // Whoever watches a step that always runs sees a new fingerprint each time: it counts as changed.
            let fingerprint = if step.is_rechecked() { finding.fingerprint } else { Some(Fingerprint(rand::random())) };
            let ending = if changes == 0 { Ending::Unchanged } else { Ending::Changed };
            Outcome { outputs: Some(finding.outputs), fingerprint, ..Outcome::new(ending, None) }
        }
        Err(error) => {
            let error = match about.timeout.filter(|_| limit.is_over() && limit.is_its_own()) {
                Some(timeout) => error.hint(format!("the step's `timeout: {}` is over", Span(timeout))),
                None => error,
            };
            let failure = Failure::of(&error, Some(about.place.clone()));
            Outcome { overran: limit.is_over() && !limit.is_its_own(), ..Outcome::new(Ending::Failed, Some(failure)) }
        }
    };
    Outcome { changes, timing, ..outcome }
}

fn forecast(setting: &Setting, turn: &Turn, step: &dyn AnyStep, touches: &Touches, facts: &Facts, voice: &Voice) -> Outcome {
    let about = turn.job.about();
    let start = Instant::now();
    let judged = judge(step, touches, &about.uses, facts, &turn.pending, setting.is_root);
    let timing = Timing { check: milliseconds(start), ..Timing::default() };
    let outcome = match judged {
        Ok(Forecast::Known(finding)) => {
            finding.notice.iter().for_each(|notice| voice.notice(notice));
            for change in &finding.changes {
                voice.change(change, false, !step.is_rechecked());
            }
            let changes = finding.changes.len();
            let (ending, fingerprint) =
                if changes == 0 { (Ending::Unchanged, finding.fingerprint) } else { (Ending::WouldChange, None) };
            Outcome { changes, outputs: Some(finding.outputs), fingerprint, ..Outcome::new(ending, None) }
        }
        Ok(Forecast::Unknown(why, finding)) => {
            let changes = finding.map_or_else(Vec::new, |finding| finding.changes);
            for change in &changes {
                voice.change(change, false, !step.is_rechecked());
            }
            Outcome { changes: changes.len(), ..Outcome::because(Ending::Unknown, why) }
        }
        Err(error) => Outcome::new(Ending::Failed, Some(Failure::of(&error, Some(about.place.clone())))),
    };
    Outcome { timing, ..outcome }
}

/// Something it is made of is not known: in a dry-run the third answer; in a run only where a step that gives it did not run.
fn unknown(setting: &Setting, turn: &Turn, why: String) -> Result<Outcome> {
    let about = turn.job.about();
    if setting.dry_run {
        let why = turn
            .pending
            .iter()
            .rev()
            .find(|earlier| earlier.id.as_ref().is_some_and(|id| about.uses.contains(id)))
            .map_or(why, cannot_tell);
        return Ok(Outcome::because(Ending::Unknown, why));
    }
    match about.uses.iter().find(|id| turn.without_outputs.contains(id)) {
        Some(id) => {
            Ok(Outcome::because(Ending::Skipped, format!("it uses what step `{id}` gives, which did not run to its end")))
        }
        None => Err(Error::new(Kind::Missing, why).doing("evaluating its fields")),
    }
}

fn refused_outcome(refused: &Refused, horizon: &Horizon) -> Outcome {
    match refused {
        Refused::Closed => Outcome::because(Ending::NotStarted, "another step failed first"),
        Refused::TimedOut(None) => Outcome { overran: true, ..Outcome::because(Ending::NotStarted, horizon.why()) },
        Refused::TimedOut(Some((name, holder))) => {
            Outcome::because(Ending::NotStarted, format!("{}; until then step {holder} held lock `{name}`", horizon.why()))
        }
        Refused::Abandoned(name, holder) => Outcome::because(
            Ending::NotStarted,
            format!("it needs lock `{name}`, which step {holder} still held when it was abandoned"),
        ),
    }
}
