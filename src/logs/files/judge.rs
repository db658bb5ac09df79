//! What an unknown file is: a new log, a rotation that came and went between two looks, or a copy of one that we know.
//!
//! Taking a copy for a new log ships it twice; taking a new log for a copy loses it. So a copy is one only by evidence that
//! another log would not give by chance: a long head and what stands before our offset; or, where there is too little content
//! for that, that our file was cut or compressed just now.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Files;
use super::content::Content;
use super::family::{age, is_legible, is_packed};
use super::generation::{Generation, Inode, SILENCE};
use super::identity::{ANCHOR, HEAD, ReadAt as _, TELLING, anchor_of, head_of, still_has};
use super::source::Entry;
use crate::host::foreign_links;
use crate::host::inode::{Seen, Writer};
use crate::logs::text::Now;

/// A copy is made before what it is a copy of is cut or deleted: so long it may look like one without being needed.
const COPYING: Duration = Duration::from_secs(5);

/// An unknown file as it was when we looked: place, birth, last write.
pub(super) type Key = ((u64, u64), i64, i64);

/// A file that nobody knows.
pub(super) struct Stranger {
    pub(super) source: usize,
    pub(super) path: PathBuf,
    /// The log that it is a rotation of by its name, if the source did not ask for it by itself.
    pub(super) home: Option<PathBuf>,
    pub(super) seen: Seen,
    opened: Option<(Content, Inode)>,
}

impl Stranger {
    pub(super) fn new(source: usize, entry: &Entry, seen: Seen) -> Self {
        Self { source, path: entry.path.clone(), home: entry.home.clone(), seen, opened: None }
    }

    pub(super) fn inode(&mut self) -> io::Result<&Inode> {
        Ok(&self.open()?.1)
    }

    fn open(&mut self) -> io::Result<&mut (Content, Inode)> {
        if self.opened.is_none() {
            let file = foreign_links::open(&self.path)?;
            let inode = Inode::of(&file, is_legible(&self.path))?;
            self.seen = Seen::of(&file)?;
            let content = if inode.is_packed { Content::packed(file)? } else { Content::Plain(file) };
            self.opened = Some((content, inode));
        }
        self.opened.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// It is opened again when it is judged: very many may wait for that.
    pub(super) fn close(&mut self) {
        self.opened = None;
    }

    /// What was opened of it.
    pub(super) fn into_content(self) -> Option<Content> {
        Some(self.opened?.0)
    }

    fn key(&self) -> Key {
        (self.seen.place, self.seen.born, self.seen.written)
    }
}

/// What is done with a stranger.
enum Verdict {
    /// It is followed, or known to be what we follow already.
    Taken,
    /// It was there before us, or is nothing that we could read.
    Ignored,
    /// It is too early to tell.
    Later,
}

impl Files {
    /// Finds a place for each unknown file.
    pub(super) fn judge(&mut self, mut strangers: Vec<Stranger>, now: Now) {
        // What was rotated away is older than what stands in its place.
        strangers.sort_by_key(|stranger| (stranger.home.is_none(), stranger.seen.written, Reverse(age(&stranger.path))));
        let (mut present, mut taken) = (HashSet::new(), HashSet::new());
        for mut stranger in strangers {
            let key = stranger.key();
            let (source, written) = (stranger.source, stranger.seen.written);
            present.insert(key);
            let alike = self.sources.get(source).map_or(source, |source| source.alike);
            if self.ignored.contains(&key) || taken.contains(&(alike, key.0)) {
                continue;
            }
            match self.verdict(&mut stranger, now) {
                Ok(Verdict::Taken) => {
                    // It may have another name.
                    taken.insert((alike, key.0));
                    self.clear(&stranger.path);
                }
                Ok(Verdict::Ignored) => {
                    self.ignored.insert(key);
                }
                Ok(Verdict::Later) => self.postpone(key, source, written, now.steady),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.blame(&stranger.path, &error.to_string());
                    let is_hopeless =
                        self.deferred.get(&key).is_some_and(|since| now.steady.saturating_duration_since(*since) >= SILENCE);
                    if is_hopeless {
                        self.ignored.insert(key);
                    } else if stranger.home.is_some() {
                        self.postpone(key, source, written, now.steady);
                    }
                }
            }
        }
        self.ignored.retain(|key| present.contains(key));
        self.deferred.retain(|key, _| present.contains(key));
        for source in &mut self.sources {
            source.newest = source.newest.max(Some(source.latest));
        }
    }

    /// What cannot be judged yet must not be taken for old when it can.
    fn postpone(&mut self, key: Key, source: usize, written: i64, now: Instant) {
        self.deferred.entry(key).or_insert(now);
        if let Some(source) = self.sources.get_mut(source) {
            source.latest = source.latest.min(written);
        }
    }

    fn verdict(&mut self, stranger: &mut Stranger, now: Now) -> io::Result<Verdict> {
        let Some(source) = self.sources.get(stranger.source) else { return Ok(Verdict::Ignored) };
        let newest = source.newest;
        let mut names: Vec<PathBuf> = source.homes(&stranger.path).collect();
        let is_rotated = !names.is_empty();
        names.push(stranger.path.clone());
        let family: Vec<u64> = self.family(stranger.source, &names);
        let is_missed = |id: &u64| self.generations.get(id).is_some_and(|file| file.missed.is_some());
        if stranger.home.is_some() {
            let is_news = newest.is_some_and(|newest| stranger.seen.written >= newest);
            let was_newest = newest.is_none() && stranger.seen.written >= source.latest;
            if !is_news && !was_newest && !family.iter().any(is_missed)
                || is_packed(&stranger.path) && !is_legible(&stranger.path)
            {
                return Ok(Verdict::Ignored);
            }
            if was_newest {
                // It was there before us. By its time alone it could not be told from what comes next.
                self.take(stranger, now, true)?;
                return Ok(Verdict::Taken);
            }
        }
        let (content, inode) = stranger.open()?;
        if inode.is_packed && Writer::of(content.file()) == Writer::Present {
            return Ok(Verdict::Later);
        }
        if is_rotated {
            let since =
                self.deferred.get(&stranger.key()).map_or(Duration::ZERO, |since| now.steady.saturating_duration_since(*since));
            for id in &family {
                match self.compare(*id, stranger, since)? {
                    Likeness::None => {}
                    Likeness::Possible => return Ok(Verdict::Later),
                    Likeness::Copy => {
                        self.take(stranger, now, true)?;
                        return Ok(Verdict::Taken);
                    }
                }
                self.check_cut(*id, now);
            }
        }
        for id in self.family(stranger.source, &names) {
            if self.is_of(id, stranger, is_rotated)? {
                self.adopt(id, stranger, now.steady);
                return Ok(Verdict::Taken);
            }
        }
        if stranger.home.is_some() && newest.is_none_or(|newest| stranger.seen.written < newest) {
            return Ok(Verdict::Ignored);
        }
        self.take(stranger, now, false)?;
        Ok(Verdict::Taken)
    }

    /// The generations that were written under one of these names, or have it now.
    fn family(&self, source: usize, names: &[PathBuf]) -> Vec<u64> {
        let alike = |source: usize| self.sources.get(source).map(|source| source.alike);
        let is_member = |file: &Generation| {
            alike(file.source) == alike(source)
                && (names.contains(&file.home) || file.path.as_ref().is_some_and(|path| names.contains(path)))
        };
        self.generations.iter().filter(|(_, file)| is_member(file)).map(|(id, _)| *id).collect()
    }

    /// Whether the stranger is a copy of a file that is still what it was: it may be cut, or deleted, at any moment.
    fn compare(&mut self, id: u64, stranger: &mut Stranger, since: Duration) -> io::Result<Likeness> {
        let Some(file) = self.generations.get(&id).filter(|file| file.scan == self.scans) else { return Ok(Likeness::None) };
        let Some((own, path)) = file.inode.as_ref().filter(|inode| !inode.is_packed).zip(file.path.clone()) else {
            return Ok(Likeness::None);
        };
        let Ok(plain) = foreign_links::open(&path) else { return Ok(Likeness::None) };
        if !own.is(&Seen::of(&plain)?) {
            return Ok(Likeness::None);
        }
        let is_compressed = stranger.path.with_extension("") == path;
        let (content, _) = stranger.open()?;
        let is_written = content.is_plain() && Writer::of(content.file()) == Writer::Present;
        let head = match head_of(content, u64::try_from(HEAD).unwrap_or(0)) {
            Ok(head) => head,
            Err(_) if since < COPYING => return Ok(Likeness::Possible),
            Err(_) => return Ok(Likeness::None),
        };
        if head.length == 0 {
            return Ok(if is_written && since < COPYING { Likeness::Possible } else { Likeness::None });
        }
        if !still_has(&mut &plain, &head)? {
            return Ok(Likeness::None);
        }
        if content.is_plain() {
            // The end of what is there by now decides: two logs may begin alike.
            let end = Seen::of(content.file())?.size;
            let tail = anchor_of(content, end)?;
            if !matches!(tail, Some(tail) if still_has(&mut &plain, &tail)?) {
                return Ok(Likeness::None);
            }
            if is_written || since < COPYING {
                return Ok(Likeness::Possible);
            }
            return Ok(if end >= TELLING { Likeness::Copy } else { Likeness::None });
        }
        if since < COPYING {
            return Ok(Likeness::Possible);
        }
        let end = end_of(content)?;
        let is_same = matches!(anchor_of(content, end)?, Some(tail) if still_has(&mut &plain, &tail)?);
        Ok(if is_same && (end >= TELLING || is_compressed) { Likeness::Copy } else { Likeness::None })
    }

    /// Whether the stranger has the bytes of a generation that is nowhere else to be found.
    fn is_of(&self, id: u64, stranger: &mut Stranger, is_rotated: bool) -> io::Result<bool> {
        let Some(file) = self.generations.get(&id) else { return Ok(false) };
        if file.missed.is_none() && !file.is_spooled() || file.head.length == 0 {
            return Ok(false);
        }
        // Whoever cuts a file copies it first, and whoever deletes one after a rotation has compressed it.
        let is_expected = !file.is_given_up && (file.inode.is_none() || is_legible(&stranger.path));
        if file.head.length < TELLING && !(is_rotated && is_expected) {
            return Ok(false);
        }
        let (content, _) = stranger.open()?;
        Ok(still_has(content, &file.head)? && still_has(content, &file.anchor)? && still_has(content, &file.recorded)?)
    }

    /// The generation goes on in this file.
    fn adopt(&mut self, id: u64, stranger: &mut Stranger, now: Instant) {
        let Some(file) = self.generations.get_mut(&id) else { return };
        let Some((content, inode)) = stranger.opened.take() else { return };
        file.found_at(&stranger.path, stranger.home.is_none(), self.scans);
        tracing::debug!(id, path = %stranger.path.display(), offset = file.offset, "it goes on in a copy");
        file.inode = Some(inode);
        if let Some(rescue) = file.rescue.take_if(|_| file.content.as_ref().is_none_or(Content::is_spooled)) {
            // There is more of it here than we saved.
            self.spool.remove(&rescue);
            file.content = None;
        }
        if file.content.is_none() {
            file.content = Some(content);
            file.is_over = false;
            // Other times of change than those of the file that it was.
            file.changed = 0;
        }
        file.is_behind = true;
        self.wake(id, now);
    }

    /// Follows a file from its beginning; one that is known already, from its end.
    fn take(&mut self, stranger: &mut Stranger, now: Now, is_known: bool) -> io::Result<()> {
        let source = stranger.source;
        let log = self.sources.get(source).and_then(|source| source.log_of(&stranger.path));
        stranger.open()?;
        let Some((mut content, inode)) = stranger.opened.take() else { return Ok(()) };
        let mut file = Generation::new(source, log.unwrap_or_else(|| stranger.path.clone()), Some(inode), now.steady);
        file.found_at(&stranger.path, stranger.home.is_none(), self.scans);
        file.head = head_of(&mut content, u64::try_from(HEAD).unwrap_or(0))?;
        (file.written, file.size) = (stranger.seen.written, if content.is_plain() { stranger.seen.size } else { 0 });
        if is_known {
            let end = if content.is_plain() { file.size } else { end_of(&mut content).unwrap_or(0) };
            (file.offset, file.looked, file.changed) = (end, end, stranger.seen.changed);
            file.size = if content.is_plain() { end } else { 0 };
            file.anchor = anchor_of(&mut content, end)?.unwrap_or_default();
            (file.is_over, file.is_behind) = (true, false);
            tracing::debug!(path = %stranger.path.display(), "known from its end");
            self.add(file);
            return Ok(());
        }
        tracing::debug!(path = %stranger.path.display(), size = file.size, "a new one");
        if self.open < self.most_open {
            file.content = Some(content);
            self.open += 1;
        }
        let id = self.add(file);
        self.wake(id, now.steady);
        Ok(())
    }
}

/// How a file is like one that we know.
enum Likeness {
    None,
    Possible,
    Copy,
}

/// Where compressed content ends.
fn end_of(content: &mut Content) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * ANCHOR];
    let mut end = 0;
    loop {
        let read = content.fill(&mut buffer, end)?;
        if read == 0 {
            return Ok(end);
        }
        end += u64::try_from(read).unwrap_or(0);
    }
}
