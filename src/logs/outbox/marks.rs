//! How far one source is acknowledged, when its batches may be acknowledged in any order.

use std::collections::VecDeque;

/// The batches that hold something of a source, oldest first, and what each reaches.
#[derive(Debug)]
pub(super) struct Marks {
    acknowledged: u64,
    outstanding: VecDeque<(u64, u64, bool)>,
}

impl Marks {
    /// All is acknowledged up to here.
    pub(super) fn from(acknowledged: u64) -> Self {
        Self { acknowledged, outstanding: VecDeque::new() }
    }

    /// Everything up to here is stored by the service.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// This batch, younger than all before, holds what comes up to the mark.
    pub(super) fn sealed(&mut self, batch: u64, mark: u64) {
        self.outstanding.push_back((batch, mark, false));
    }

    /// There is nothing to ship between what is outstanding and the mark.
    pub(super) fn skip(&mut self, mark: u64) {
        match self.outstanding.back_mut() {
            Some((_, reaches, _)) => *reaches = mark,
            None => self.acknowledged = mark,
        }
    }

    /// This batch is stored.
    pub(super) fn stored(&mut self, batch: u64) {
        if let Some((_, _, stored)) = self.outstanding.iter_mut().find(|(number, _, _)| *number == batch) {
            *stored = true;
        }
        while let Some((_, mark, _)) = self.outstanding.pop_front_if(|(_, _, stored)| *stored) {
            self.acknowledged = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_hole_before_it_counts() {
        let mut marks = Marks::from(10);
        marks.sealed(1, 20);
        marks.sealed(2, 30);
        marks.sealed(5, 40);
        marks.stored(2);
        assert_eq!(marks.acknowledged(), 10);
        marks.stored(1);
        assert_eq!(marks.acknowledged(), 30);
        marks.skip(45);
        assert_eq!(marks.acknowledged(), 30, "what is skipped is reached with what is before it");
        marks.stored(5);
        assert_eq!((marks.acknowledged(), marks.is_settled()), (45, true));
        marks.skip(50);
        assert_eq!(marks.acknowledged(), 50);
    }
}
