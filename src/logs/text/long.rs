//! A line that is longer than what is read at once, and maybe than memory: it becomes events while it is read. Secrets are masked
//! before it is cut, and no cut is made where one may go on.

use std::borrow::Cow;

use encoding_rs::Decoder;

use super::encoding::{Charset, without_end};
use super::{Sink, first_piece};
use crate::logs::figures::Figure;
use crate::logs::limits::LONGEST_EVENT;

/// A secret that is shorter than this is found wherever in a line it stands.
const LONGEST_SECRET: usize = 64 * 1024;
/// One that goes on and on is masked as far as it is known by then.
const MOST_HELD: usize = 2 * LONGEST_EVENT;

/// What becomes of the line.
#[derive(Clone, Copy)]
enum Fate {
    Sent(i64),
    Dropped,
}

/// A line whose end has not been seen.
pub(super) struct Long {
    decoder: Decoder,
    /// Decoded, and neither masked nor handed on yet.
    held: String,
    /// The offset where the line begins.
    start: u64,
    /// Its time, once its beginning has told it.
    fate: Option<Fate>,
    is_split: bool,
}

impl Long {
    pub(super) fn new(charset: Charset, start: u64) -> Self {
        Self { decoder: charset.decoder(), held: String::new(), start, fate: None, is_split: false }
    }

    /// What is decoded of it so far.
    pub(super) fn text(&self) -> &str {
        &self.held
    }

    /// What happens to it, as its beginning has told: its time and what is put in front, or that it is dropped.
    pub(super) fn admit(&mut self, event: Option<(i64, String)>) {
        self.fate = Some(match event {
            Some((at, text)) => {
                self.held = text;
                Fate::Sent(at)
            }
            None => Fate::Dropped,
        });
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.fate.is_some()
    }

    /// The next bytes of the line.
    pub(super) fn add(&mut self, bytes: &[u8], is_last: bool) {
        let room = self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len());
        self.held.reserve(room);
        // With that much room, all of it is taken.
        let _ = self.decoder.decode_to_string(bytes, &mut self.held, is_last);
        if is_last {
            self.held.truncate(without_end(&self.held).len());
        }
    }

    /// Hands on what is certain by now.
    pub(super) fn hand_on(&mut self, to: &mut impl Sink) {
        let Some(Fate::Sent(at)) = self.fate else { return self.held.clear() };
        while self.held.len() >= LONGEST_EVENT + LONGEST_SECRET {
            let Some((clean, kept)) = settled(&self.held, to) else { return };
            self.is_split = true;
            push_pieces(at, &clean, self.start, self.start, to);
            self.held.drain(..self.held.len() - kept);
        }
    }

    /// The line is over, at the offset `mark`.
    pub(super) fn end(mut self, mark: u64, to: &mut impl Sink) {
        self.hand_on(to);
        let Some(Fate::Sent(at)) = self.fate else { return to.skip(mark) };
        let clean = to.clean(&self.held).into_owned();
        let is_split = push_pieces(at, &clean, self.start, mark, to);
        if is_split || self.is_split {
            to.count(Figure::Split);
        }
    }
}

/// The masked beginning of `held` that nothing which follows can change, and how many bytes behind it are to be kept as they are.
fn settled(held: &str, to: &mut impl Sink) -> Option<(String, usize)> {
    match to.clean(held) {
        Cow::Borrowed(_) => {
            let piece = first_piece(held);
            Some((piece.to_owned(), held.len() - piece.len()))
        }
        Cow::Owned(mut clean) => {
            // What both end with stands behind the last secret, whole: the cut is made there, or further on.
            let same = held.bytes().rev().zip(clean.bytes().rev()).take_while(|(a, b)| a == b).count();
            let mut kept = same.min(LONGEST_SECRET);
            while !held.is_char_boundary(held.len() - kept) {
                kept -= 1;
            }
            if kept == 0 && held.len() < MOST_HELD {
                return None;
            }
            clean.truncate(clean.len() - kept);
            Some((clean, kept))
        }
    }
}

/// Hands on the text in as many events as it takes; whether these are several. All but the last leave the offset where the line
/// begins, so that a restart in between sends all of it again. An empty text is no event.
pub(super) fn push_pieces(at: i64, text: &str, start: u64, mark: u64, to: &mut impl Sink) -> bool {
    let mut rest = text;
    let mut is_split = false;
    while rest.len() > LONGEST_EVENT {
        let piece = first_piece(rest);
        to.push(at, piece, start);
        rest = rest.get(piece.len()..).unwrap_or_default();
        is_split = true;
    }
    match (rest.is_empty(), mark > start) {
        (false, _) => to.push(at, rest, mark),
        (true, true) => to.skip(mark),
        (true, false) => {}
    }
    is_split
}
