//! One file that was written under a path, from its first byte to its last: another one in its place, or the same one cut short
//! and begun again, is another generation. Rotation may move it, copy it or compress it meanwhile; its offsets stay the same.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::Content;
use super::desk::{Desk, QUANTUM};
use super::holes::{Zeros, zeros};
use super::identity::{ANCHOR, HEAD, Print, ReadAt as _, TELLING, anchor_of, head_of, length, still_has};
use super::spool::Rescue;
use crate::host::inode::{Handle, Seen, Writer};
use crate::logs::figures::Figure;
use crate::logs::outbox::{Destination, Outbox, SourceId};
use crate::logs::text::{Now, Reader, Rules};
use crate::secret::MaskState;

/// An unfinished line is shipped when nothing was added to it for so long; a rotated file is over then where the kernel cannot
/// tell whether somebody still writes to it.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// What a generation is on disk.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) place: (u64, u64),
    pub(super) born: i64,
    pub(super) handle: Handle,
    /// Compressed by now.
    pub(super) is_packed: bool,
}

impl Inode {
    /// Of an open file.
    pub(super) fn of(file: &File, is_packed: bool) -> io::Result<Self> {
        let seen = Seen::of(file)?;
        Ok(Self { place: seen.place, born: seen.born, handle: Handle::of(file)?, is_packed })
    }

    /// Whether that is this file, as long as it is there.
    pub(super) fn is(&self, seen: &Seen) -> bool {
        self.place == seen.place && (self.born == seen.born || self.born == 0 || seen.born == 0)
    }
}

/// What came of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is nothing more for now.
    Rest,
    /// There is more.
    More,
    /// The outbox takes no more.
    Full,
    /// It is no longer what was read: cut short, or overwritten.
    Cut,
}

/// See the module.
#[allow(clippy::struct_excessive_bools, reason = "each answers a question of its own; their combinations are all possible")]
pub(super) struct Generation {
    /// Of which source.
    pub(super) source: usize,
    /// The path it was written under.
    pub(super) home: PathBuf,
    /// Where it was seen last; `None` when it is out of sight.
    pub(super) path: Option<PathBuf>,
    /// Whether it stands where its source looks for logs, and not among the rotated ones.
    pub(super) is_live: bool,
    /// `None` when its bytes were cut away, and no copy was found yet.
    pub(super) inode: Option<Inode>,
    pub(super) content: Option<Content>,
    /// Everything before was handed on.
    pub(super) offset: u64,
    /// Everything before was looked at: behind `offset` stands an unfinished line.
    pub(super) looked: u64,
    /// How large it was when last seen; of one that is compressed, as far as is known.
    pub(super) size: u64,
    pub(super) changed: i64,
    pub(super) written: i64,
    pub(super) head: Print,
    /// Ends at `offset`.
    pub(super) anchor: Print,
    /// Ends where all was acknowledged when last recorded.
    pub(super) recorded: Print,
    tap: Option<Tap>,
    /// It began by a cut: a writer that does not append leaves a hole of zeros before its next line.
    pub(super) strips: bool,
    /// All that will ever be there was read.
    pub(super) is_over: bool,
    /// When we met it.
    found: Instant,
    /// When it was last seen to have grown.
    pub(super) grown: Option<Instant>,
    /// Since when it has had bytes that the service has not.
    pub(super) waiting_since: Instant,
    /// It is behind: there is more to read.
    pub(super) is_behind: bool,
    /// The scan that saw it last.
    pub(super) scan: u64,
    /// Since when it is nowhere to be found.
    pub(super) missed: Option<Instant>,
    /// The same by the other clock, for the record.
    pub(super) missed_at: Option<i64>,
    /// What could not be read before it vanished was counted.
    pub(super) is_given_up: bool,
    pub(super) rescue: Option<Rescue>,
}

/// How its lines flow.
struct Tap {
    id: SourceId,
    reader: Reader,
    masks: MaskState,
}

impl Generation {
    /// A file that nothing was read of.
    pub(super) fn new(source: usize, home: PathBuf, inode: Option<Inode>, now: Instant) -> Self {
        Self {
            source,
            home,
            path: None,
            is_live: false,
            inode,
            content: None,
            offset: 0,
            looked: 0,
            size: 0,
            changed: 0,
            written: 0,
            head: Print::default(),
            anchor: Print::default(),
            recorded: Print::default(),
            tap: None,
            strips: false,
            is_over: false,
            found: now,
            grown: None,
            waiting_since: now,
            is_behind: true,
            scan: 0,
            missed: None,
            missed_at: None,
            is_given_up: false,
            rescue: None,
        }
    }

    /// It stands there, and is what it was.
    pub(super) fn found_at(&mut self, path: &Path, is_live: bool, scan: u64) {
        if self.path.as_deref() != Some(path) {
            self.path = Some(path.to_owned());
        }
        (self.is_live, self.scan) = (is_live, scan);
        (self.missed, self.missed_at, self.is_given_up) = (None, None, false);
    }

    /// Whether only our own copy is left of it.
    pub(super) fn is_spooled(&self) -> bool {
        self.content.as_ref().is_some_and(Content::is_spooled)
    }

    /// How long nothing has come.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.grown.unwrap_or(self.found))
    }

    /// How far the service has it.
    pub(super) fn acknowledged(&self, outbox: &Outbox) -> u64 {
        self.tap.as_ref().map_or(self.offset, |tap| outbox.acknowledged(tap.id).min(self.offset))
    }

    /// Whether all of it is stored by the service.
    pub(super) fn is_settled(&self, outbox: &Outbox) -> bool {
        self.acknowledged(outbox) == self.offset && !self.tap.as_ref().is_some_and(|tap| tap.reader.holds_back())
    }

    /// Nothing more comes from it.
    pub(super) fn retire(&mut self, outbox: &Outbox) {
        if let Some(tap) = self.tap.take() {
            outbox.retire(tap.id);
        }
    }

    /// Bytes that nobody has read yet.
    pub(super) fn unread(&self) -> u64 {
        self.size.max(self.looked).saturating_sub(self.offset)
    }

    /// Hands on what there is, up to the quantum.
    pub(super) fn read(&mut self, to: &Destination, rules: &Arc<Rules>, desk: &mut Desk, now: Now) -> io::Result<Step> {
        let Some(content) = &mut self.content else { return Ok(Step::Rest) };
        if content.is_plain() {
            let seen = Seen::of(content.file())?;
            if seen.size < self.offset {
                return Ok(Step::Cut);
            }
            let is_new = (self.size, self.changed) != (seen.size, seen.changed);
            (self.size, self.changed, self.written) = (seen.size, seen.changed, seen.written);
            if seen.size == self.looked {
                // Overwritten to the same length?
                let is_ours = !is_new || still_has(content, &self.anchor)?;
                return Ok(if is_ours { Step::Rest } else { Step::Cut });
            }
        }
        if content.is_plain()
            && self.anchor.length < TELLING
            && !(still_has(content, &self.head)? && still_has(content, &self.recorded)?)
        {
            // There is too little before the offset to be sure by that alone.
            return Ok(Step::Cut);
        }
        if self.acknowledged(&desk.outbox) == self.offset {
            self.waiting_since = now.steady;
        }
        self.open_tap(to, rules, desk);
        self.read_on(desk, now)
    }

    fn read_on(&mut self, desk: &mut Desk, now: Now) -> io::Result<Step> {
        let (Some(content), Some(tap)) = (&mut self.content, &mut self.tap) else { return Ok(Step::Rest) };
        // The anchor is read with what follows it, so that it costs nothing to see that nobody has changed it.
        let checked = if content.is_plain() { self.anchor.length } else { 0 };
        let skip = usize::try_from(checked).unwrap_or(0);
        let read = content.fill(desk.buffer.get_mut(..skip + QUANTUM).unwrap_or_default(), self.offset - checked)?;
        let known = desk.buffer.get(..read).unwrap_or_default();
        if read < skip || checked > 0 && !self.anchor.matches(known) {
            return Ok(Step::Cut);
        }
        let data = known.get(skip..).unwrap_or_default();
        match zeros(content, data, self.offset, self.strips) {
            Zeros::None => {}
            Zeros::UpTo(end) => {
                self.pass_over(end, desk, now);
                return Ok(Step::More);
            }
            Zeros::ToTheEnd => return Ok(Step::Rest),
        }
        self.strips &= data.is_empty();
        if self.offset + length(data) > self.looked {
            self.grown = Some(now.steady);
        }
        let all = data.len();
        let (mut way, buffer) = {
            let (way, buffer) = desk.way(tap.id, &mut tap.masks);
            (way, &*buffer)
        };
        let taken = tap.reader.take(buffer.get(skip..skip + all).unwrap_or_default(), self.offset, now, &mut way);
        let is_full = taken < all && !crate::logs::text::Sink::has_room(&mut way);
        drop(way);
        let is_plain = content.is_plain();
        let behind = skip + taken;
        let before = desk.buffer.get(behind.saturating_sub(ANCHOR)..behind).unwrap_or_default();
        desk.figures.count(Figure::ReadBytes, taken);
        self.offset += u64::try_from(taken).unwrap_or(0);
        self.anchor = Print::of(before, self.offset);
        self.looked = if is_full { self.offset } else { self.offset + u64::try_from(all - taken).unwrap_or(0) };
        self.size = self.size.max(self.looked);
        self.grow_head()?;
        if is_full {
            return Ok(Step::Full);
        }
        if all == QUANTUM {
            return Ok(Step::More);
        }
        self.is_over |= !is_plain;
        Ok(Step::Rest)
    }

    /// At the end of what is there: ships what will not go on. Whether nothing will follow.
    pub(super) fn settle(&mut self, to: &Destination, rules: &Arc<Rules>, desk: &mut Desk, now: Now) -> io::Result<bool> {
        if let Some(tap) = &mut self.tap {
            let (mut way, _) = desk.way(tap.id, &mut tap.masks);
            tap.reader.tick(now, &mut way);
        }
        let is_silent = self.silence(now.steady) >= SILENCE;
        if !self.is_live && !self.is_over {
            self.is_over = match &self.content {
                None => self.inode.is_none(),
                Some(content) => match Writer::of(content.file()) {
                    Writer::Present => false,
                    // It may have written just before it left.
                    Writer::Gone => Seen::of(content.file())?.size == self.looked,
                    Writer::Unknown => is_silent,
                },
            };
        }
        if self.is_over || is_silent {
            self.end_line(to, rules, desk, now)?;
        }
        Ok(self.is_over)
    }

    /// Hands on an unfinished line.
    fn end_line(&mut self, to: &Destination, rules: &Arc<Rules>, desk: &mut Desk, now: Now) -> io::Result<()> {
        if self.looked > self.offset {
            self.open_tap(to, rules, desk);
        }
        let (Some(tap), Some(content)) = (&mut self.tap, &mut self.content) else { return Ok(()) };
        let wanted = usize::try_from(self.looked - self.offset).unwrap_or(QUANTUM).min(QUANTUM);
        let read = content.fill(desk.buffer.get_mut(..wanted).unwrap_or_default(), self.offset)?;
        if read == 0 && !tap.reader.holds_back() {
            return Ok(());
        }
        let (mut way, buffer) = desk.way(tap.id, &mut tap.masks);
        tap.reader.end(buffer.get(..read).unwrap_or_default(), self.offset, now, &mut way);
        drop(way);
        desk.figures.count(Figure::ReadBytes, read);
        self.offset += u64::try_from(read).unwrap_or(0);
        self.looked = self.looked.max(self.offset);
        if let Some(anchor) = anchor_of(content, self.offset)? {
            self.anchor = anchor;
        }
        Ok(())
    }

    /// Whether it is shorter than what was read of it, or says something else there.
    pub(super) fn is_cut(&mut self) -> io::Result<bool> {
        let Some(content) = &mut self.content else { return Ok(false) };
        let size = Seen::of(content.file())?.size;
        Ok(size < self.offset || !still_has(content, &self.anchor)? || !still_has(content, &self.head)?)
    }

    /// Its bytes are gone: what was held back of it is all there will be.
    pub(super) fn give_up(&mut self, desk: &mut Desk, now: Now) {
        if let Some(tap) = &mut self.tap {
            let (mut way, _) = desk.way(tap.id, &mut tap.masks);
            tap.reader.end(&[], self.offset, now, &mut way);
        }
        self.is_given_up = true;
    }

    /// Nothing was ever written there.
    fn pass_over(&mut self, end: u64, desk: &mut Desk, now: Now) {
        let Some(tap) = &mut self.tap else { return };
        let (mut way, _) = desk.way(tap.id, &mut tap.masks);
        tap.reader.end(&[], self.offset, now, &mut way);
        crate::logs::text::Sink::skip(&mut way, end);
        self.offset = end;
        self.looked = self.looked.max(end);
        self.anchor = Print::of(&[], end);
        self.strips = true;
    }

    /// The head covers as much of it as there is, up to its length.
    pub(super) fn grow_head(&mut self) -> io::Result<()> {
        if self.head.length >= u64::try_from(HEAD).unwrap_or(0) || self.head.length >= self.looked {
            return Ok(());
        }
        if let Some(content) = &mut self.content {
            let head = head_of(content, self.looked)?;
            if head.length > self.head.length {
                self.head = head;
            }
        }
        Ok(())
    }

    /// What stands before the place up to which all is acknowledged. The last known one where that cannot be read.
    pub(super) fn record_anchor(&mut self, acknowledged: u64) -> Print {
        if acknowledged == self.offset {
            self.recorded = self.anchor;
        } else if self.recorded.end != acknowledged
            && let Some(content) = self.content.as_mut().filter(|content| content.is_plain())
            && let Ok(Some(anchor)) = anchor_of(content, acknowledged)
            // Cut and written anew, and nobody has noticed yet: then that is of what came after.
            && matches!(still_has(content, &self.anchor), Ok(true))
        {
            self.recorded = anchor;
        }
        self.recorded
    }

    fn open_tap(&mut self, to: &Destination, rules: &Arc<Rules>, desk: &Desk) {
        if self.tap.is_none() {
            // How its characters are written stands at its beginning.
            let mut mark = [0; 4];
            let read = self.content.as_mut().and_then(|content| content.fill(&mut mark, 0).ok()).unwrap_or(0);
            let reader = Reader::new(Arc::clone(rules), mark.get(..read).unwrap_or_default());
            let id = desk.outbox.register(to, self.offset);
            self.tap = Some(Tap { id, reader, masks: MaskState::default() });
        }
    }
}
