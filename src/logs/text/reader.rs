//! The machine that one file's bytes pass: chunks in, events out. It takes whole lines and leaves the rest to be read again with
//! what comes behind it, so that thousands of files with an unfinished line cost no memory.

use std::borrow::Cow;
use std::sync::Arc;

use super::encoding::{Charset, without_end};
use super::long::{Long, push_pieces};
use super::multiline::Pending;
use super::stamp::Clock;
use super::{Now, Rules, Sink};
use crate::logs::figures::Figure;
use crate::logs::limits::LONGEST_EVENT;

/// An unfinished line of this length is taken without waiting for its end. Chunks must be longer.
pub const LONG_LINE: usize = 64 * 1024;

/// Reads one file. A file that was cut short or replaced gets a new one.
pub struct Reader {
    rules: Arc<Rules>,
    charset: Charset,
    clock: Clock,
    /// An event that may go on.
    pending: Option<Pending>,
    /// A line that is too long to wait for.
    long: Option<Long>,
}

/// Where a line stands in the file.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    end: u64,
}

impl Reader {
    /// For a file that begins with these bytes; a few are enough, none if nothing is there yet.
    #[must_use]
    pub fn new(rules: Arc<Rules>, head: &[u8]) -> Self {
        let charset = Charset::by_mark(head).map_or(rules.charset, |(charset, _)| charset);
        Self { rules, charset, clock: Clock::default(), pending: None, long: None }
    }

    /// Takes what stands at the offset `from` on, and returns how many bytes of it were taken: the rest is an unfinished line, or
    /// did not find room, and has to come again.
    pub fn take(&mut self, chunk: &[u8], from: u64, now: Now, to: &mut impl Sink) -> usize {
        let mut done = 0;
        if from == 0
            && let Some((charset, mark)) = Charset::by_mark(chunk)
        {
            self.charset = charset;
            done = mark;
        }
        let beginning = done;
        while let Some(rest) = chunk.get(done..).filter(|rest| !rest.is_empty()) {
            if !to.has_room() {
                break;
            }
            let at = from + length(done);
            if self.long.is_some() {
                done += self.go_on(rest, at, now, to);
            } else if let Some(end) = self.charset.last_line_end(rest) {
                let lines = rest.get(..end).unwrap_or(rest);
                let taken = self.lines(lines, at, now, to);
                done += taken;
                if taken < lines.len() {
                    break;
                }
            } else if rest.len() >= LONG_LINE {
                self.flush(now, to);
                self.long = Some(Long::new(self.charset, at));
            } else {
                break;
            }
        }
        // The mark alone is read again with the first line, so that it is known then.
        if done == beginning { 0 } else { done }
    }

    /// The file ends with these bytes, which nothing will follow: an unfinished line and an unfinished event are whole now.
    /// [`Reader::take`] has had them before and left them.
    pub fn end(&mut self, rest: &[u8], from: u64, now: Now, to: &mut impl Sink) {
        let mark = if from == 0 { Charset::by_mark(rest).map_or(0, |(_, mark)| mark) } else { 0 };
        let rest = rest.get(mark..).unwrap_or_default();
        let place = Place { start: from + length(mark), end: from + length(mark + rest.len()) };
        if let Some(mut long) = self.long.take() {
            self.add(&mut long, rest, true, now, to);
            long.end(place.end, to);
        } else if !rest.is_empty() {
            let text = self.charset.decode(rest);
            self.line(&text, place, false, now, to);
        }
        self.flush(now, to);
    }

    /// Hands on an event that nothing was added to for a second.
    pub fn tick(&mut self, now: Now, to: &mut impl Sink) {
        if self.pending.as_ref().is_some_and(|pending| pending.is_over(now.steady)) {
            self.flush(now, to);
        }
    }

    /// Whether bytes that were taken wait in here, so that [`Reader::tick`] and [`Reader::end`] matter.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.pending.is_some() || self.long.is_some()
    }

    /// Whole lines; returns how many bytes of them found room.
    fn lines(&mut self, lines: &[u8], from: u64, now: Now, to: &mut impl Sink) -> usize {
        let is_clean = self.charset.is_utf8() && to.is_clean(lines);
        if is_clean
            && self.rules.are_plain()
            && let Ok(text) = std::str::from_utf8(lines)
        {
            return clean_lines(text, from, now, to);
        }
        let mut done = 0;
        while let Some(rest) = lines.get(done..)
            && let Some(line) = self.charset.line_end(rest).and_then(|end| rest.get(..end))
            && to.has_room()
        {
            let place = Place { start: from + length(done), end: from + length(done + line.len()) };
            let text = self.charset.decode(line);
            self.line(&text, place, is_clean, now, to);
            done += line.len();
        }
        done
    }

    /// One line, with its end or without.
    fn line(&mut self, text: &str, place: Place, is_clean: bool, now: Now, to: &mut impl Sink) {
        let line = without_end(text);
        // A line is cleaned even where it is empty: it may stand within a secret of several lines.
        let masked = if is_clean { Cow::Borrowed(line) } else { to.clean(line).into_owned().into() };
        let begins = self.rules.begins.as_ref().map(|begins| begins.is_met(line));
        if let (Some(false), Some(pending)) = (begins, self.pending.as_mut().filter(|pending| pending.takes(&masked))) {
            return pending.add(&masked, place.end, now.steady);
        }
        self.flush(now, to);
        if masked.is_empty() {
            return to.skip(place.end);
        }
        let at = self.clock.of(self.rules.stamp.as_ref(), line, now);
        if begins.is_some() {
            self.pending = Some(Pending::new(at, &masked, place.start, place.end, now.steady));
        } else {
            self.push(at, &masked, place, now, to);
        }
    }

    fn flush(&mut self, now: Now, to: &mut impl Sink) {
        if let Some(pending) = self.pending.take() {
            self.push(pending.at, pending.text(), Place { start: pending.start, end: pending.mark }, now, to);
        }
    }

    fn push(&self, at: i64, text: &str, place: Place, now: Now, to: &mut impl Sink) {
        let Some((at, text)) = self.rules.admit(at, text, now, to) else { return to.skip(place.end) };
        if push_pieces(at, &text, place.start, place.end, to) {
            to.count(Figure::Split);
        }
    }

    /// More of a long line, and its end if that is in there; returns how many bytes were the line's.
    fn go_on(&mut self, bytes: &[u8], from: u64, now: Now, to: &mut impl Sink) -> usize {
        let Some(mut long) = self.long.take() else { return 0 };
        let end = self.charset.line_end(bytes);
        let own = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
        self.add(&mut long, own, end.is_some(), now, to);
        if end.is_some() {
            long.end(from + length(own.len()), to);
        } else {
            long.hand_on(to);
            self.long = Some(long);
        }
        own.len()
    }

    fn add(&mut self, long: &mut Long, bytes: &[u8], is_last: bool, now: Now, to: &mut impl Sink) {
        long.add(bytes, is_last);
        if !long.is_admitted() {
            let at = self.clock.of(self.rules.stamp.as_ref(), long.text(), now);
            let event = self.rules.admit(at, long.text(), now, to).map(|(at, text)| (at, text.into_owned()));
            long.admit(event);
        }
    }
}

/// The usual case: whole lines of UTF-8 with nothing to mask and no rules, looked at for their ends only.
fn clean_lines(text: &str, from: u64, now: Now, to: &mut impl Sink) -> usize {
    let mut start = 0;
    for newline in memchr::memchr_iter(b'\n', text.as_bytes()) {
        if !to.has_room() {
            return start;
        }
        let line = text.get(start..newline).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let end = from + length(newline + 1);
        if line.is_empty() {
            to.skip(end);
        } else if line.len() <= LONGEST_EVENT {
            to.push(now.wall, line, end);
        } else if push_pieces(now.wall, line, from + length(start), end, to) {
            to.count(Figure::Split);
        }
        start = newline + 1;
    }
    start
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
