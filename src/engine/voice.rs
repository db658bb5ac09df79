//! How one step tells what happens to it; silenced once nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::diff;
use super::event::{Event, Teller};
use crate::error::Error;
use crate::host::LineSink;
use crate::host::traffic::Traffic;
use crate::step::AnyChange;

/// The voice of one step. Clones share it.
#[derive(Clone)]
pub struct Voice {
    teller: Teller,
    step: usize,
    silenced: Arc<AtomicBool>,
}

impl Voice {
    /// The voice of the step with this number.
    #[must_use]
    pub fn new(teller: Teller, step: usize) -> Self {
        Self { teller, step, silenced: Arc::default() }
    }

    /// A step that was abandoned may still be at work; what it says is no part of the run any more.
    pub fn silence(&self) {
        self.silenced.store(true, Ordering::Relaxed);
    }

    fn tell(&self, event: Event) {
        if !self.silenced.load(Ordering::Relaxed) {
            self.teller.tell(event);
        }
    }

    /// It waits for this.
    pub fn waiting(&self, reason: &str) {
        self.tell(Event::StepWaiting { step: self.step, reason: reason.to_owned() });
    }

    /// It makes this change, or would; every run does, if it is routine.
    pub fn change(&self, change: &AnyChange, applying: bool, routine: bool) {
        let diff = change.diff.as_ref().map(diff::unified);
        self.tell(Event::Change { step: self.step, text: change.text.clone(), diff, applying, routine });
    }

    /// It makes a change that is no step's own.
    pub fn also(&self, text: &str) {
        self.tell(Event::Change { step: self.step, text: text.to_owned(), diff: None, applying: true, routine: false });
    }

    /// It differs like this, and this run may not repair that.
    pub fn left(&self, text: &str) {
        self.tell(Event::Change { step: self.step, text: text.to_owned(), diff: None, applying: false, routine: false });
    }

    /// Something the operator should know.
    pub fn notice(&self, text: &str) {
        self.tell(Event::Notice { text: text.to_owned() });
    }

    /// The machine moved this meanwhile.
    pub fn moved(&self, moved: Traffic) {
        self.tell(Event::Traffic { step: Some(self.step), moved });
    }

    /// It is tried again.
    pub fn retried(&self, attempt: u32, because: &Error) {
        self.tell(Event::StepRetried { step: self.step, attempt, because: because.to_string() });
    }

    /// Where the host says what it waits for.
    #[must_use]
    pub fn waits(&self) -> LineSink {
        let voice = self.clone();
        Arc::new(move |reason| voice.waiting(reason))
    }

    /// Where the lines of its programs go.
    #[must_use]
    pub fn lines(&self) -> LineSink {
        let voice = self.clone();
        Arc::new(move |line| voice.tell(Event::Output { step: voice.step, line: line.to_owned() }))
    }
}
