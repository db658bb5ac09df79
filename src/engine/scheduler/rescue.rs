//! After a failure, for releases on trial that nobody got to judge: their revision may be what failed.

use super::super::event::Ending;
use super::super::rollback::Reached;
use super::super::turn;
use super::super::voice::Voice;
use super::{Scheduler, State};
use crate::error::{Error, Kind};
use crate::step::Thing;

impl Scheduler {
    /// Steps that would have judged a release and were never reached: what failed before them may have been that release.
    pub(super) fn go_back(&mut self) {
        if self.setting.dry_run || self.setting.stop.reason().is_some() {
            return;
        }
        let Some(halted) = &self.halted else { return };
        let failed = self.over().filter(|(_, outcome)| outcome.ending == Ending::Failed);
        let reasons = failed.filter_map(|(_, outcome)| outcome.reason.as_ref()).flat_map(|reason| reason.because.clone());
        let why = reasons.fold(Error::new(Kind::Failed, halted.clone()), Error::followed_by);
        for index in 0..self.states.len() {
            if !matches!(self.states.get(index), Some(State::Waiting)) {
                continue;
            }
            let Some(turn) = self.turn_of(index) else { continue };
            let voice = Voice::new(self.setting.teller.clone(), turn.job.about().number);
            if let Some(outcome) = turn::go_back(&self.setting, &turn, &voice, &why, |unit| self.reached(unit)) {
                self.finish(index, outcome);
            }
        }
    }

    /// How far a unit had come when the run ended; `None` where it was started and is none the worse for it, so that the next run
    /// may go on from there.
    fn reached(&self, unit: &str) -> Option<Reached> {
        let unit = Thing::Unit(unit.to_owned());
        let endings = self.touches.iter().zip(&self.states).filter_map(|(touches, state)| match state {
            State::Over { outcome, .. } => {
                let touches = outcome.touches.as_ref().or(touches.as_ref())?;
                touches.writes.contains(&unit).then_some(outcome.ending)
            }
            _ => None,
        });
        let endings: Vec<Ending> = endings.filter(|ending| !matches!(ending, Ending::NotStarted | Ending::Skipped)).collect();
        match endings.as_slice() {
            [] => Some(Reached::NotTheUnit),
            some if some.contains(&Ending::Failed) => Some(Reached::TheUnit),
            _ => None,
        }
    }
}
