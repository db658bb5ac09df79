//! One round: hints are heard, folders are looked at when it is time, and every file that may have something is read, in turn.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Files;
use super::content::Content;
use super::generation::{Generation, SILENCE, Step};
use crate::host::folder_watch::Hint;
use crate::host::foreign_links;
use crate::host::inode::{Seen, Writer};
use crate::logs::figures::Figure;
use crate::logs::text::Now;

/// A file that grew so lately is looked at on a timer, whatever inotify says about each write.
const HOT: Duration = Duration::from_secs(5);
const HOT_PAUSE: Duration = Duration::from_millis(100);
const WARM_PAUSE: Duration = Duration::from_secs(1);
const COLD_PAUSE: Duration = Duration::from_secs(10);
/// Unread bytes of a deleted file are saved after so long.
const RESCUED_AFTER: Duration = Duration::from_secs(30);

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When the next one is due.
    pub wait: Duration,
    /// The outbox takes no more.
    pub is_full: bool,
    /// Files are being written to: hints would come all the time.
    is_hot: bool,
}

/// Ends a wait early.
#[derive(Debug)]
pub struct Waker(PipeWriter);

impl Waker {
    /// The thread that waits goes on.
    pub fn wake(&self) {
        // A full pipe wakes as well.
        rustix::io::write(&self.0, &[0]).ok();
    }
}

/// Where wakers are heard.
pub(super) struct Waking(Option<(PipeReader, PipeWriter)>);

impl Waking {
    pub(super) fn new() -> Self {
        let pipe = io::pipe().ok();
        let unblock =
            |end: BorrowedFd| nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).is_ok();
        Self(pipe.filter(|(reader, writer)| unblock(reader.as_fd()) && unblock(writer.as_fd())))
    }
}

impl Files {
    /// Ends waits of [`Files::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Option<Waker> {
        Some(Waker(self.waker.0.as_ref()?.1.try_clone().ok()?))
    }

    /// Waits until the next turn is due, something happens, or a waker wants it.
    pub fn wait(&self, turn: Turn) {
        if turn.is_full {
            let _has_room = self.desk.outbox.wait_for_room(turn.wait.max(HOT_PAUSE));
            return;
        }
        let watch = self.watch.as_ref().filter(|_| !turn.is_hot);
        let pipe = self.waker.0.as_ref();
        let mut wanted: Vec<PollFd> = watch.map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)).into_iter().collect();
        wanted.extend(pipe.map(|(reader, _)| PollFd::new(reader.as_fd(), PollFlags::POLLIN)));
        poll(&mut wanted, PollTimeout::from(milliseconds(turn.wait))).ok();
        if let Some((reader, _)) = pipe {
            rustix::io::read(reader, &mut [0; 64]).ok();
        }
    }

    /// One round.
    pub fn turn(&mut self, now: Now) -> Turn {
        self.hear(now.steady);
        if self.next_scan.is_none_or(|next| next <= now.steady) {
            self.scan(now);
        }
        self.open = self.open_files();
        let mut due: Vec<u64> = self.active.iter().filter(|(_, due)| **due <= now.steady).map(|(id, _)| *id).collect();
        let first = due.iter().position(|id| *id >= self.resume_at).unwrap_or(0);
        due.rotate_left(first);
        let before = self.oldest_behind();
        self.resume_at = 0;
        let mut is_full = false;
        for id in due {
            let Some(file) = self.generations.get(&id) else {
                self.active.remove(&id);
                continue;
            };
            if file.is_behind && before.get(&(file.source, file.home.clone())).is_some_and(|first| *first < id) {
                // What was written earlier is shipped earlier.
                continue;
            }
            let step = self.visit(id, now);
            self.plan(id, step, now.steady);
            if step == Step::Full {
                (is_full, self.resume_at) = (true, id);
                break;
            }
        }
        self.outlook(is_full, now.steady)
    }

    /// The oldest generation of each log that has something to read.
    fn oldest_behind(&self) -> HashMap<(usize, PathBuf), u64> {
        let mut oldest = HashMap::new();
        for id in self.active.keys() {
            if let Some(file) = self.generations.get(id).filter(|file| file.is_behind && file.content.is_some()) {
                oldest.entry((file.source, file.home.clone())).or_insert(*id);
            }
        }
        oldest
    }

    fn hear(&mut self, now: Instant) {
        for hint in self.watch.as_mut().map(crate::host::folder_watch::FolderWatch::drain).unwrap_or_default() {
            match hint {
                Hint::Written(folder, name) => {
                    let id = self.by_path.get(&folder.join(name)).copied();
                    let has_timer =
                        |id: &u64| self.active.contains_key(id) && self.generations.get(id).is_some_and(|file| is_hot(file, now));
                    if let Some(id) = id.filter(|id| !has_timer(id)) {
                        self.wake(id, now);
                    }
                }
                Hint::Moved | Hint::Anything => self.look_soon(now),
            }
        }
    }

    /// Reads one file for its turn.
    fn visit(&mut self, id: u64, now: Now) -> Step {
        let step = match self.read(id, now) {
            Ok(step) => step,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.look_soon(now.steady);
                Step::Rest
            }
            Err(error) => {
                self.fail(id, &error, now.steady);
                Step::Rest
            }
        };
        if step == Step::Cut {
            self.cut(id, now);
            // Its copy is there already, and may not stay for long.
            self.next_scan = Some(now.steady);
            return Step::Cut;
        }
        if let Some(file) = self.generations.get_mut(&id) {
            file.is_behind = step != Step::Rest;
        }
        self.rescue(id, now);
        step
    }

    fn read(&mut self, id: u64, now: Now) -> io::Result<Step> {
        let Some(file) = self.generations.get(&id) else { return Ok(Step::Rest) };
        let Some((to, rules)) = self.rules_of(file.source) else { return Ok(Step::Rest) };
        if file.content.is_none() && !file.is_over && (file.is_behind || is_changed(file)) {
            self.open(id)?;
        }
        let is_crowded = self.open > self.most_open;
        let Some(file) = self.generations.get_mut(&id) else { return Ok(Step::Rest) };
        let step = file.read(&to, &rules, &mut self.desk, now)?;
        if step != Step::Rest {
            return Ok(step);
        }
        let is_over = file.settle(&to, &rules, &mut self.desk, now)?;
        if is_over && file.path.is_none() && !file.is_settled(&self.desk.outbox) {
            // Nothing else keeps its bytes until the service has them.
            return Ok(step);
        }
        if is_over {
            self.open = self.open.saturating_sub(usize::from(file.content.take().is_some()));
            if file.path.is_none() {
                // Whether or not it is anywhere, we are done with it.
                file.missed = file.missed.or(Some(now.steady));
                file.missed_at = file.missed_at.or(Some(now.wall));
            }
        } else if is_crowded && file.path.is_some() && file.unread() == 0 {
            self.open = self.open.saturating_sub(usize::from(file.content.take().is_some()));
        }
        Ok(step)
    }

    /// Opens it where it stands, if it still stands there.
    pub(super) fn open(&mut self, id: u64) -> io::Result<()> {
        let Some(file) = self.generations.get_mut(&id) else { return Ok(()) };
        let (Some(path), Some(inode)) = (&file.path, &file.inode) else { return Ok(()) };
        let found = foreign_links::open(path)?;
        if !inode.is(&Seen::of(&found)?) {
            return Err(io::ErrorKind::NotFound.into());
        }
        file.content = Some(if inode.is_packed { Content::packed(found)? } else { Content::Plain(found) });
        let path = path.clone();
        self.open += 1;
        self.clear(&path);
        Ok(())
    }

    pub(super) fn open_files(&self) -> usize {
        self.generations.values().filter(|file| file.content.is_some()).count()
    }

    /// It is not what it was: what stands there now is another generation, and what was there may have been copied.
    pub(super) fn cut(&mut self, id: u64, now: Now) {
        let Some(file) = self.generations.get_mut(&id) else { return };
        let mut fresh = Generation::new(file.source, file.home.clone(), file.inode.take(), now.steady);
        (fresh.path, fresh.content, fresh.is_live) = (file.path.take(), file.content.take(), file.is_live);
        (fresh.scan, fresh.strips) = (file.scan, true);
        (fresh.missed, fresh.missed_at) = (file.missed.take(), file.missed_at.take());
        (file.missed, file.missed_at, file.is_live) = (Some(now.steady), Some(now.wall), false);
        file.is_behind = false;
        tracing::debug!(id, home = %file.home.display(), offset = file.offset, "it was cut");
        self.desk.figures.count(Figure::Truncations, 1_u64);
        self.wake(id, now.steady);
        let fresh = self.add(fresh);
        self.wake(fresh, now.steady);
    }

    /// Looks whether a file is still what was read of it.
    pub(super) fn check_cut(&mut self, id: u64, now: Now) {
        let Some(file) = self.generations.get(&id).filter(|file| file.missed.is_none() && !file.is_spooled()) else { return };
        let is_plain = file.inode.as_ref().is_some_and(|inode| !inode.is_packed);
        if !is_plain || file.content.is_none() && self.open(id).is_err() {
            return;
        }
        let Some(file) = self.generations.get_mut(&id) else { return };
        if file.is_cut().unwrap_or(false) {
            self.cut(id, now);
        }
    }

    fn fail(&mut self, id: u64, error: &io::Error, now: Instant) {
        let Some(file) = self.generations.get_mut(&id) else { return };
        let path = file.path.clone().unwrap_or_else(|| file.home.clone());
        // What is compressed badly does not become better.
        file.is_over |= file.content.as_ref().is_some_and(|content| !content.is_plain()) && file.silence(now) >= SILENCE;
        self.blame(&path, &error.to_string());
    }

    /// Saves unread bytes of a file that is deleted, and that nobody else keeps.
    fn rescue(&mut self, id: u64, now: Now) {
        let Some(file) = self.generations.get_mut(&id) else { return };
        let is_late = file.missed.is_some_and(|missed| now.steady.saturating_duration_since(missed) >= RESCUED_AFTER);
        let Some(Content::Plain(source)) = file.content.as_ref().filter(|_| is_late) else { return };
        let acknowledged = file.acknowledged(&self.desk.outbox);
        let end = file.size;
        match self.spool.save(&mut file.rescue, source, acknowledged, end) {
            Ok(saved) => self.desk.figures.count(Figure::RescuedBytes, saved),
            Err(error) => tracing::warn!(%error, "unread bytes of a deleted file are not saved"),
        }
        let Some(rescue) = file.rescue.as_ref().filter(|rescue| rescue.end >= end) else { return };
        // Our copy is all that is needed, and the file's own space is free.
        if Writer::of(source) == Writer::Gone
            && Seen::of(source).is_ok_and(|seen| seen.size == end)
            && let Ok((saved, _)) = self.spool.open(&rescue.name, rescue.base)
        {
            tracing::debug!(id, base = rescue.base, "our copy is all that is needed");
            file.content = Some(Content::Spooled(saved, rescue.base));
            file.inode = None;
        }
    }

    /// Saves all unread bytes that would vanish with this process. For its end.
    pub fn save_vanishing(&mut self) {
        for file in self.generations.values_mut() {
            let Some(Content::Plain(source)) = &file.content else { continue };
            let Ok(seen) = Seen::of(source) else { continue };
            let from = file.acknowledged(&self.desk.outbox);
            if file.missed.is_none() && seen.names > 0 || from >= seen.size {
                continue;
            }
            file.size = seen.size;
            match self.spool.save(&mut file.rescue, source, from, seen.size) {
                Ok(saved) => self.desk.figures.count(Figure::RescuedBytes, saved),
                Err(error) => tracing::warn!(%error, "unread bytes of a deleted file are not saved"),
            }
            let saved = file.rescue.as_ref().map_or(from, |rescue| rescue.end);
            self.desk.figures.count(Figure::DroppedSpoolFull, seen.size.saturating_sub(saved.max(from)));
        }
    }

    /// When it is looked at next, if at all before something happens to it.
    fn plan(&mut self, id: u64, step: Step, now: Instant) {
        let Some(file) = self.generations.get(&id) else { return };
        let is_done = file.is_settled(&self.desk.outbox) && file.unread() == 0;
        let rests = file.silence(now) >= SILENCE || file.content.is_none();
        if step == Step::Rest && is_done && (file.is_live && rests || file.is_over && file.content.is_none()) {
            self.active.remove(&id);
            return;
        }
        let pause = match step {
            Step::More | Step::Full | Step::Cut => Duration::ZERO,
            Step::Rest if is_hot(file, now) => HOT_PAUSE,
            Step::Rest if file.silence(now) < SILENCE => WARM_PAUSE,
            Step::Rest => COLD_PAUSE,
        };
        self.active.insert(id, now + pause);
    }

    fn outlook(&self, is_full: bool, now: Instant) -> Turn {
        let next = self.active.values().copied().chain(self.next_scan).min();
        let is_hot = self.active.keys().any(|id| self.generations.get(id).is_some_and(|file| is_hot(file, now)));
        Turn { wait: next.map_or(COLD_PAUSE, |next| next.saturating_duration_since(now)), is_full, is_hot }
    }
}

/// As the kernel waits: never less, so that nobody asks again and again within the last millisecond, and not at all where there is
/// more to do.
fn milliseconds(wait: Duration) -> u16 {
    u16::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX)
}

fn is_hot(file: &Generation, now: Instant) -> bool {
    file.grown.is_some_and(|grown| now.saturating_duration_since(grown) < HOT)
}

/// Whether a closed file is another than when we closed it.
fn is_changed(file: &Generation) -> bool {
    let seen = file.path.as_ref().and_then(|path| Seen::at(path).ok());
    seen.is_some_and(|seen| (file.size, file.changed) != (seen.size, seen.changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_more_to_do_does_not_wait() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(HOT_PAUSE), 100);
        assert_eq!(milliseconds(Duration::from_hours(1)), u16::MAX);
    }
}
