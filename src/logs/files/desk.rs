//! What every file needs to be read, once for all of them: the buffer, the outbox, the masker, the figures.

use std::borrow::Cow;

use super::identity::ANCHOR;
use crate::logs::figures::{Figure, Figures};
use crate::logs::outbox::{Intake, Outbox, SourceId};
use crate::logs::text::Sink;
use crate::secret::{MaskState, Masker};

/// No file has more than so many bytes at one turn, so that a noisy one starves no other.
pub(super) const QUANTUM: usize = 256 * 1024;

/// The shared things.
pub(super) struct Desk {
    pub(super) outbox: Outbox,
    pub(super) figures: Figures,
    masker: Masker,
    /// One for all files: what an unfinished line leaves is read again.
    pub(super) buffer: Vec<u8>,
}

impl Desk {
    pub(super) fn new(outbox: Outbox, masker: Masker, figures: Figures) -> Self {
        Self { outbox, figures, masker, buffer: vec![0; ANCHOR + QUANTUM] }
    }

    /// The way of one file's lines into the outbox, and the buffer they are read into.
    pub(super) fn way<'d>(&'d mut self, source: SourceId, masks: &'d mut MaskState) -> (Way<'d>, &'d mut [u8]) {
        let intake = self.outbox.intake(source);
        (Way { intake, masker: &self.masker, masks, figures: &self.figures, events: 0 }, &mut self.buffer)
    }
}

/// Masks lines and hands them to the outbox, which is locked meanwhile.
pub(super) struct Way<'d> {
    intake: Intake<'d>,
    masker: &'d Masker,
    masks: &'d mut MaskState,
    figures: &'d Figures,
    events: u64,
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        self.figures.count(Figure::ReadEvents, self.events);
    }
}

impl Sink for Way<'_> {
    fn is_clean(&mut self, chunk: &[u8]) -> bool {
        self.masker.is_clean(self.masks, chunk)
    }

    fn clean<'t>(&mut self, line: &'t str) -> Cow<'t, str> {
        self.masker.clean(self.masks, line)
    }

    fn push(&mut self, at: i64, text: &str, mark: u64) {
        self.events += 1;
        self.intake.push(at, text, mark);
    }

    fn skip(&mut self, mark: u64) {
        self.intake.skip(mark);
    }

    fn has_room(&mut self) -> bool {
        self.intake.has_room()
    }

    fn count(&mut self, what: Figure) {
        self.figures.count(what, 1_u64);
    }
}
