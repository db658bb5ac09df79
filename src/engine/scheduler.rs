//! Walks the graph: starts what is ready, side by side on threads, and keeps every deadline.
//!
//! After a failure nothing new starts, what runs may finish, and all failures are reported. A step that is past its time is
//! abandoned with its locks held; nobody waits for its thread.

mod rescue;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::event::{Ending, Event, Failure};
use super::forecast::Pending;
use super::graph::Graph;
use super::homes::Homes;
use super::horizon::{GLANCE, Limit};
use super::job::{About, Job};
use super::turn::{self, Outcome, Turn};
use super::voice::Voice;
use crate::error::{Error, Kind, Result};
use crate::host::users;
use crate::playbook::Scope;
use crate::step::{Fingerprint, Touches};

pub use super::turn::Setting;

/// How many steps work at once. Steps wait more than they compute, but a machine that boots has few processors.
pub const WIDTH: usize = 8;

/// How long after its time a step may take to stop its programs before it is abandoned.
pub const GRACE: Duration = Duration::from_secs(10);

/// How one step ended, for whoever sums up.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its number.
    pub number: usize,
    /// Its label.
    pub label: String,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub milliseconds: u64,
    /// Why.
    pub reason: Option<Failure>,
}

enum State {
    Waiting,
    Running { voice: Voice, limit: Limit, since: Instant },
    Over { outcome: Box<Outcome>, order: usize },
}

enum Message {
    Began(usize, Limit),
    Ended(usize, Box<Outcome>),
    Stopped,
}

/// One walk over one playbook.
pub struct Scheduler {
    setting: Arc<Setting>,
    graph: Graph,
    jobs: Vec<Arc<dyn Job>>,
    touches: Vec<Option<Touches>>,
    homes: Arc<Homes>,
    states: Vec<State>,
    scope: Arc<Scope>,
    fingerprints: Arc<HashMap<String, Option<Fingerprint>>>,
    halted: Option<String>,
    /// Whether it was the run's time that ended it.
    overran: bool,
    ended: usize,
}

impl Scheduler {
    /// Puts the steps in order.
    ///
    /// # Errors
    /// When their fields do not evaluate, or one waits for a step below it.
    pub fn new(setting: Setting, jobs: Vec<Arc<dyn Job>>, scope: Scope) -> Result<Self> {
        let touches = jobs
            .iter()
            .map(|job| job.touches(&scope).map_err(|error| error.doing(format!("evaluating {}", job.about().name()))))
            .collect::<Result<Vec<_>>>()?;
        let homes = Homes::gather(&touches, users::homes());
        let touches: Vec<_> = touches.into_iter().map(|touches| touches.map(|touches| homes.locate(touches))).collect();
        let abouts: Vec<&About> = jobs.iter().map(|job| job.about()).collect();
        let graph = Graph::build(&abouts, &touches)?;
        let states = jobs.iter().map(|_| State::Waiting).collect();
        Ok(Self {
            setting: Arc::new(setting),
            graph,
            jobs,
            touches,
            homes: Arc::new(homes),
            states,
            scope: Arc::new(scope),
            fingerprints: Arc::default(),
            halted: None,
            overran: false,
            ended: 0,
        })
    }

    /// Walks to the end, and says how each step ended.
    #[must_use]
    pub fn walk(mut self) -> Vec<Report> {
        let (sender, receiver) = channel();
        let waker = sender.clone();
        self.setting.stop.on_stop(move || {
            // Nobody listens any more once the walk is over.
            let _ = waker.send(Message::Stopped);
        });
        loop {
            self.start_what_is_ready(&sender);
            if self.next_limit().is_none() || self.interrupted() {
                break;
            }
            self.listen(&receiver);
        }
        self.go_back();
        self.leave_the_rest();
        self.reports()
    }

    fn start_what_is_ready(&mut self, sender: &Sender<Message>) {
        if self.halted.is_none() && self.setting.horizon.is_over() {
            let why = self.setting.horizon.why().to_owned();
            self.overran = true;
            self.halt(why);
        }
        for index in 0..self.jobs.len() {
            if self.halted.is_none() && matches!(self.states.get(index), Some(State::Waiting)) && self.is_ready(index) {
                self.start(index, sender);
            }
        }
    }

    fn is_ready(&self, index: usize) -> bool {
        self.graph.edges(index).iter().all(|edge| match self.states.get(edge.from) {
            Some(State::Over { outcome, .. }) => self.satisfies(outcome.ending),
            _ => false,
        })
    }

    /// Whether steps that wait for one that ended so may start. A plan goes on after a failure: the rest of it is worth knowing.
    fn satisfies(&self, ending: Ending) -> bool {
        self.setting.dry_run || !matches!(ending, Ending::Failed | Ending::NotStarted)
    }

    fn start(&mut self, index: usize, sender: &Sender<Message>) {
        let Some(turn) = self.turn_of(index) else { return };
        let number = turn.job.about().number;
        let voice = Voice::new(self.setting.teller.clone(), number);
        let (setting, sender, own_voice) = (self.setting.clone(), sender.clone(), voice.clone());
        let spawned = std::thread::Builder::new().name(format!("step-{number}")).spawn(move || {
            let outcome = turn::take(&setting, &turn, &own_voice, |limit| {
                let _ = sender.send(Message::Began(index, limit));
            });
            // Fails only when the walk is over without us: we were abandoned.
            let _ = sender.send(Message::Ended(index, Box::new(outcome)));
        });
        self.set(index, State::Running { voice, limit: Limit::new(None, self.setting.horizon.clone()), since: Instant::now() });
        if let Err(error) = spawned {
            let error = Error::from(error).doing("starting a thread");
            self.finish(index, Outcome::new(Ending::Failed, Some(Failure::of(&error, None))));
        }
    }

    fn turn_of(&self, index: usize) -> Option<Turn> {
        Some(Turn {
            job: self.jobs.get(index)?.clone(),
            scope: self.scope.clone(),
            homes: self.homes.clone(),
            fingerprints: self.fingerprints.clone(),
            pending: self.pending_before(index),
            without_outputs: self.without_outputs(),
            after: self.last_awaited(index),
            unsettled: self.is_unsettled(index),
        })
    }

    fn listen(&mut self, receiver: &Receiver<Message>) {
        let limit = self.next_limit().unwrap_or_else(Instant::now);
        match receiver.recv_timeout(limit.saturating_duration_since(Instant::now()).min(GLANCE)) {
            Ok(Message::Began(index, limit)) => {
                if let Some(State::Running { limit: known, .. }) = self.states.get_mut(index) {
                    *known = limit;
                }
            }
            Ok(Message::Ended(index, outcome)) => {
                if matches!(self.states.get(index), Some(State::Running { .. })) {
                    self.finish(index, *outcome);
                }
            }
            Ok(Message::Stopped) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => self.abandon_overdue(),
        }
    }

    /// When the next running step is past its time for good; `None` when none runs.
    fn next_limit(&self) -> Option<Instant> {
        let limits = self.states.iter().filter_map(|state| match state {
            State::Running { limit, .. } => Some(limit.left_behind(self.setting.grace)),
            _ => None,
        });
        limits.min()
    }

    fn abandon_overdue(&mut self) {
        let now = Instant::now();
        for index in 0..self.states.len() {
            let Some(State::Running { voice, limit, since }) = self.states.get(index) else { continue };
            if limit.left_behind(self.setting.grace) > now {
                continue;
            }
            let (took, overran) = (since.elapsed(), !limit.is_its_own());
            voice.silence();
            let Some(job) = self.jobs.get(index).cloned() else { continue };
            self.setting.locks.abandon(job.about().number);
            let error =
                Error::new(Kind::TimedOut, "it did not stop when its time was over, and is left behind with its locks held");
            let mut outcome = Outcome::new(Ending::Failed, Some(Failure::of(&error, Some(job.about().place.clone()))));
            outcome.overran = overran;
            outcome.milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.finish(index, outcome);
        }
    }

    /// A signal ended the run: what is at work is not waited for, its programs end with us.
    fn interrupted(&mut self) -> bool {
        let Some(reason) = self.setting.stop.reason() else { return false };
        self.halt(format!("the run was interrupted by {reason}"));
        for index in 0..self.states.len() {
            if let Some(State::Running { voice, since, .. }) = self.states.get(index) {
                voice.silence();
                let mut outcome = Outcome::new(Ending::Failed, self.halted.clone().map(Failure::because));
                outcome.milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.finish(index, outcome);
            }
        }
        true
    }

    fn halt(&mut self, why: String) {
        self.halted.get_or_insert(why);
        self.setting.locks.close();
    }

    fn finish(&mut self, index: usize, mut outcome: Outcome) {
        let Some(job) = self.jobs.get(index).cloned() else { return };
        let about = job.about();
        if outcome.ending == Ending::Failed && about.may_fail && !self.setting.dry_run {
            outcome.ending = Ending::FailedButAllowed;
        }
        if outcome.ending == Ending::Failed && !self.setting.dry_run {
            self.halt(format!("{} failed", about.name()));
        }
        if self.setting.world.reboot_due().is_some() {
            self.halt("the machine reboots first; the boot run after it goes on".to_owned());
        }
        if outcome.overran && !self.setting.dry_run {
            let eater = self.eater(index, &outcome);
            if let Some(reason) = &mut outcome.reason {
                reason.hint = eater;
            }
        }
        if let Some(id) = &about.id {
            self.publish(id, &mut outcome);
        }
        self.setting.teller.tell(Event::StepFinished {
            step: about.number,
            label: about.label.clone(),
            ending: outcome.ending,
            changes: outcome.changes,
            milliseconds: outcome.milliseconds,
            timing: outcome.timing,
            reason: outcome.reason.clone(),
            tentative: self
                .pending_before(index)
                .iter()
                .rev()
                .find(|earlier| earlier.unforeseeable)
                .map(|earlier| earlier.number),
        });
        self.ended += 1;
        let order = self.ended;
        self.set(index, State::Over { outcome: Box::new(outcome), order });
    }

    /// Makes outputs and fingerprint known to the steps below.
    fn publish(&mut self, id: &str, outcome: &mut Outcome) {
        if let Some(outputs) = outcome.outputs.take() {
            Arc::make_mut(&mut self.scope).steps.insert(id.to_owned(), outputs);
        }
        let fingerprint = match outcome.ending {
            Ending::WouldChange | Ending::Unknown => None,
            // A step without one of its own, or that did not run, stands for itself: that it runs at last is a difference.
            ending => Some(outcome.fingerprint.take().unwrap_or_else(|| {
                let ran = matches!(ending, Ending::Unchanged | Ending::Changed);
                Fingerprint::of(&[id.as_bytes(), &[u8::from(ran)]])
            })),
        };
        Arc::make_mut(&mut self.fingerprints).insert(id.to_owned(), fingerprint);
    }

    /// What was never started is said too.
    fn leave_the_rest(&mut self) {
        let why = self.halted.clone().unwrap_or_else(|| "a step it waits for did not run".to_owned());
        for index in 0..self.states.len() {
            if matches!(self.states.get(index), Some(State::Waiting)) {
                let overran = self.overran;
                self.finish(index, Outcome { overran, ..Outcome::new(Ending::NotStarted, Some(Failure::because(why.clone()))) });
            }
        }
    }

    /// Whose fault it is that the run's time is over: of all steps, `index` with this outcome among them, the one that took longest.
    fn eater(&self, index: usize, outcome: &Outcome) -> Option<String> {
        let own = self.jobs.get(index).map(|job| (job.about(), outcome.milliseconds));
        let spans = self.over().map(|(about, outcome)| (about, outcome.milliseconds)).chain(own);
        let (about, longest) = spans.max_by_key(|(_, milliseconds)| *milliseconds)?;
        Some(self.setting.horizon.eaten_by(&about.name(), Duration::from_millis(longest)))
    }

    fn pending_before(&self, index: usize) -> Vec<Pending> {
        if !self.setting.dry_run {
            return Vec::new();
        }
        let pending = self.graph.ancestors(index).into_iter().filter_map(|earlier| {
            let (Some(State::Over { outcome, .. }), Some(job)) = (self.states.get(earlier), self.jobs.get(earlier)) else {
                return None;
            };
            if !matches!(outcome.ending, Ending::WouldChange | Ending::Unknown | Ending::Failed) {
                return None;
            }
            let about = job.about();
            let touches = outcome.touches.clone().or_else(|| self.touches.get(earlier).cloned().flatten());
            Some(Pending {
                number: about.number,
                id: about.id.clone(),
                label: about.label.clone(),
                unforeseeable: about.kind == "command" || touches.is_none(),
                touches,
            })
        });
        pending.collect()
    }

    fn without_outputs(&self) -> Vec<String> {
        let without = self.over().filter(|(_, outcome)| {
            matches!(outcome.ending, Ending::Skipped | Ending::FailedButAllowed | Ending::Failed | Ending::NotStarted)
        });
        without.filter_map(|(about, _)| about.id.clone()).collect()
    }

    fn is_unsettled(&self, index: usize) -> bool {
        self.graph.ancestors(index).into_iter().any(|earlier| match self.states.get(earlier) {
            Some(State::Over { outcome, .. }) => outcome.ending == Ending::Changed,
            _ => false,
        })
    }

    /// Of the steps this one waited for, the one that ended last.
    fn last_awaited(&self, index: usize) -> Option<usize> {
        let ended = self.graph.edges(index).iter().filter_map(|edge| match self.states.get(edge.from) {
            Some(State::Over { order, .. }) => self.jobs.get(edge.from).map(|job| (*order, job.about().number)),
            _ => None,
        });
        ended.max().map(|(_, number)| number)
    }

    fn over(&self) -> impl Iterator<Item = (&About, &Outcome)> {
        self.jobs.iter().zip(&self.states).filter_map(|(job, state)| match state {
            State::Over { outcome, .. } => Some((job.about(), &**outcome)),
            _ => None,
        })
    }

    fn reports(&self) -> Vec<Report> {
        let reports = self.over().map(|(about, outcome)| Report {
            number: about.number,
            label: about.label.clone(),
            ending: outcome.ending,
            milliseconds: outcome.milliseconds,
            reason: outcome.reason.clone(),
        });
        reports.collect()
    }

    fn set(&mut self, index: usize, state: State) {
        if let Some(slot) = self.states.get_mut(index) {
            *slot = state;
        }
    }
}

#[cfg(test)]
mod tests;
