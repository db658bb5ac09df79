//! Keeps a `journalctl` at work: starts it again where it was when it ends, hangs or skips, more and more slowly; notices what is
//! missing; and leaves what comes in the pipe while the outbox is full.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::export::asked_for;
use super::gathered::{Feed, Gathered};
use super::progress::Progress;
use super::{Begin, Cursor, Entry, Filter, Journals, Report, Way};
use crate::error::Result;
use crate::host::journalctl::{Follower, Stopped};
use crate::logs::figures::Figure;
use crate::logs::outbox::SourceId;
use crate::secret::MaskState;

/// Before the first new start, and before each when all fail.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so much silence, we look whether there is something to be heard.
const SILENCE: Duration = Duration::from_secs(60);
/// A follower that skips entries is started again at that place, but not more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long to wait for room before looking whether we are to stop.
const ROOM: Duration = Duration::from_millis(200);

/// The thread that reads.
pub(super) struct Supervisor {
    journals: Journals,
    begin: Begin,
    feeds: Vec<Feed>,
    way: Way,
    progress: Arc<Progress>,
    stopped: Stopped,
    report: Report,
    gathered: Gathered,
    /// The last entry, and its cursor as it is written.
    last: Option<Cursor>,
    cursor: Option<String>,
    /// Nothing has been read since the last start.
    resumed: bool,
    looked_again: Option<Instant>,
    said: String,
}

/// Why reading has ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// We are to stop.
    Stopped,
    /// `journalctl` has ended, or writes what cannot be read.
    Ended,
    /// It is silent although there is something to be read.
    Hangs,
    /// It skipped entries that may still be there.
    Skipped,
}

impl Supervisor {
    pub(super) fn new(
        journals: Journals,
        begin: Begin,
        feeds: Vec<(Filter, SourceId)>,
        way: Way,
        progress: Arc<Progress>,
        stopped: Stopped,
        report: Report,
    ) -> Self {
        let feeds = feeds.into_iter().map(|(filter, source)| Feed { filter, source, mask: MaskState::default() }).collect();
        let cursor = if let Begin::Cursor(cursor) = &begin { Some(cursor.clone()) } else { None };
        let last = cursor.as_deref().and_then(Cursor::parse);
        let gathered = Gathered::default();
        let (resumed, looked_again, said) = (true, None, String::new());
        Self { journals, begin, feeds, way, progress, stopped, report, gathered, last, cursor, resumed, looked_again, said }
    }

    /// Reads until the stop. Whether `journalctl` could be started at all is sent to `started`.
    pub(super) fn run(mut self, started: &Sender<Result<()>>) {
        let fields = asked_for();
        let mut pause = FIRST_PAUSE;
        let mut is_first = true;
        loop {
            let begin = self.cursor.clone().map_or_else(|| self.begin.clone(), Begin::Cursor);
            let follower = Follower::start(&self.journals, &begin, &fields, &self.stopped);
            if is_first {
                let failed = follower.is_err();
                let _ = started.send(follower.as_ref().map(|_| ()).map_err(Clone::clone));
                if failed {
                    return;
                }
                is_first = false;
            }
            self.resumed = true;
            let (end, complaint) = match follower {
                Ok(mut follower) => (self.read(&mut follower), follower.end()),
                Err(error) => (End::Ended, error.to_string()),
            };
            if end == End::Stopped {
                return;
            }
            if self.resumed && complaint.contains("cursor") {
                self.forget_cursor(&complaint);
            } else if end == End::Ended && !complaint.is_empty() {
                self.say(format!("`journalctl` ended and is started again: {complaint}"));
            } else if end == End::Hangs {
                self.say("`journalctl` was silent although the journal went on; it is started again".to_owned());
            }
            pause = if self.resumed { (2 * pause).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
            if end != End::Skipped && self.stopped.within(pause) {
                return;
            }
        }
    }

    fn read(&mut self, follower: &mut Follower) -> End {
        let mut entry = Entry::default();
        loop {
            if !self.way.outbox.has_room() {
                self.hand_on();
                // Where nobody sends any more, there is no waiting for room.
                let waited = Instant::now();
                if !self.way.outbox.wait_for_room(ROOM) && self.stopped.within(ROOM.saturating_sub(waited.elapsed())) {
                    return End::Stopped;
                }
                continue;
            }
            if self.gathered.is_enough() || follower.output.buffer().is_empty() {
                self.hand_on();
            }
            if !follower.has_output(SILENCE) {
                if self.is_behind() {
                    return End::Hangs;
                }
                continue;
            }
            match entry.read(&mut follower.output) {
                Ok(true) => {
                    if let Some(end) = self.take(&entry) {
                        self.hand_on();
                        return end;
                    }
                }
                other => {
                    self.hand_on();
                    let stopped = matches!(&other, Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted);
                    return if stopped { End::Stopped } else { End::Ended };
                }
            }
        }
    }

    fn hand_on(&mut self) {
        if self.gathered.waits() {
            self.gathered.hand_on(&self.feeds, &self.way, &self.progress);
        }
    }

    /// One entry; or why reading has to begin anew before it.
    fn take(&mut self, entry: &Entry) -> Option<End> {
        let text = entry.cursor()?;
        let cursor = Cursor::parse(text);
        let resumed = std::mem::replace(&mut self.resumed, false);
        if let (Some(last), Some(cursor)) = (&self.last, &cursor) {
            // The one to begin at is the one that we have.
            if resumed && last.is_same_entry(cursor) {
                return None;
            }
            if let Some(gap) = last.gap(cursor, resumed) {
                let recently = self.looked_again.is_some_and(|then| then.elapsed() < LOOK_AGAIN);
                if !resumed && !recently {
                    self.looked_again = Some(Instant::now());
                    return Some(End::Skipped);
                }
                self.way.figures.count(Figure::Gaps, 1u64);
                (self.report)(format!(
                    "the journal has lost {gap} before they could be read; `SystemMaxUse=` in journald.conf may be too little"
                ));
            }
        }
        self.last = cursor;
        let known = self.cursor.get_or_insert_default();
        known.clear();
        known.push_str(text);
        let now = jiff::Timestamp::now().as_millisecond();
        self.gathered.add(entry, cursor, &mut self.feeds, &self.way, now);
        None
    }

    /// `journalctl` does not take the cursor: the time in it will do, or else the beginning of this boot.
    fn forget_cursor(&mut self, complaint: &str) {
        let Some(cursor) = self.cursor.take() else { return };
        let time = cursor.split(';').find_map(|part| u64::from_str_radix(part.strip_prefix("t=")?, 16).ok());
        self.last = None;
        self.begin = time.map_or(Begin::ThisBoot, Begin::Since);
        let from = time.map_or("the beginning of this boot", |_| "the time it had then");
        self.say(format!("the place in the journal is not known to it any more; reading goes on from {from}: {complaint}"));
    }

    /// Whether there is an entry behind the last one that was read.
    fn is_behind(&self) -> bool {
        newest(&self.journals).is_some_and(|newest| self.last.is_none_or(|last| !last.has_reached(&newest)))
    }

    fn say(&mut self, what: String) {
        if self.said != what {
            (self.report)(what.clone());
            self.said = what;
        }
    }
}

/// Where the newest entry stands.
pub(super) fn newest(journals: &Journals) -> Option<Cursor> {
    let bytes = journals.newest()?;
    let mut entry = Entry::default();
    entry.read(&mut bytes.as_slice()).ok()?.then(|| entry.cursor().and_then(Cursor::parse)).flatten()
}
