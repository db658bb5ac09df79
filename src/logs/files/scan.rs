//! The look at all folders: which files are still where they were, which were moved, which are new, which are gone.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use super::Files;
use super::content::Content;
use super::generation::Generation;
use super::judge::Stranger;
use super::source::Entry;
use crate::host::inode::Seen;
use crate::logs::figures::Figure;
use crate::logs::text::Now;

/// Folders are looked at this often, whatever inotify says.
const RESCAN: Duration = Duration::from_secs(10);
/// Nor more often than so many times what a look costs: a two-thousandth of a processor.
const SHARE: u32 = 2000;
const LONGEST: Duration = Duration::from_secs(60);
/// A hint brings a look soon, but for no more than a twentieth of a processor.
const SOON: Duration = Duration::from_millis(250);
const SHARE_OF_HINTS: u32 = 20;
/// While a file is there that cannot be judged yet.
const WAITING: Duration = Duration::from_secs(1);
/// What is nowhere to be found for so long is counted as lost.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// What is gone is remembered for a day, in case it comes back as a copy, and for no more files than this.
const REMEMBERED: i64 = 24 * 3_600_000;
const MOST_REMEMBERED: usize = 4096;

/// What the last look cost, and when it was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    at: Option<Instant>,
    took: Duration,
}

/// Known files by the source they belong to and their place.
type Places = HashMap<(usize, (u64, u64)), u64>;

impl Files {
    /// Looks at all folders and files in the next turn: somebody waits for what is written by now.
    pub fn look_now(&mut self, now: Instant) {
        self.next_scan = None;
        self.active.values_mut().for_each(|due| *due = now);
    }

    /// Names have come or gone: the next look is due soon.
    pub(super) fn look_soon(&mut self, now: Instant) {
        let earliest = self.last_scan.at.map_or(now, |at| at + SOON.max(self.last_scan.took * SHARE_OF_HINTS));
        self.next_scan = self.next_scan.map(|next| next.min(earliest.max(now)));
    }

    /// Looks at all folders.
    pub(super) fn scan(&mut self, now: Now) {
        let began = processor_time();
        self.scans += 1;
        self.open = self.open_files();
        let places: Places = self.generations.iter().filter_map(|(id, file)| Some((self.place_of(file)?, *id))).collect();
        let mut strangers = Vec::new();
        self.sources.iter_mut().for_each(|source| source.latest = i64::MIN);
        for source in 0..self.sources.len() {
            for listing in self.sources.get_mut(source).map(super::source::Source::look).unwrap_or_default() {
                for entry in listing.iter() {
                    self.sight(source, entry, &places, now, &mut strangers);
                }
            }
        }
        self.find_by_handle(&mut strangers, now.steady);
        self.lose_sight(now);
        self.judge(strangers, now);
        self.give_up(now);
        self.forget(now);
        self.watch_folders();
        self.by_path = self.generations.iter().filter_map(|(id, file)| Some((file.path.clone()?, *id))).collect();
        let took = processor_time().saturating_sub(began);
        self.last_scan = Cost { at: Some(now.steady), took };
        let pause =
            if self.deferred.is_empty() { RESCAN.max(took * SHARE).min(LONGEST) } else { WAITING.max(took * SHARE_OF_HINTS) };
        self.next_scan = Some(now.steady + pause);
    }

    /// Of a file that this process has seen. What a record says about a place is not to be trusted: devices get other numbers.
    fn place_of(&self, file: &Generation) -> Option<(usize, (u64, u64))> {
        let inode = file.inode.as_ref().filter(|_| file.scan > 0)?;
        Some((self.sources.get(file.source)?.alike, inode.place))
    }

    fn sight(&mut self, source: usize, entry: &Entry, places: &Places, now: Now, strangers: &mut Vec<Stranger>) {
        let seen = match Seen::at(&entry.path) {
            Ok(seen) if seen.is_file() => seen,
            Ok(_) => {
                // A pattern may match folders; a path that is one is a mistake.
                if self.sources.get(source).is_some_and(|source| Path::new(&source.given.pattern) == entry.path) {
                    self.blame(&entry.path, "it is not a regular file");
                }
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.blame(&entry.path, &error.to_string()),
        };
        let Some(asking) = self.sources.get_mut(source) else { return };
        asking.latest = asking.latest.max(seen.written);
        let alike = asking.alike;
        let known = places.get(&(alike, seen.place)).copied();
        let Some((id, file)) = known.and_then(|id| Some((id, self.generations.get_mut(&id)?))) else {
            return strangers.push(Stranger::new(source, entry, seen));
        };
        if !file.inode.as_ref().is_some_and(|inode| inode.is(&seen)) {
            return strangers.push(Stranger::new(source, entry, seen));
        }
        if file.scan == self.scans {
            // Another name of the same file.
            file.is_live |= entry.home.is_none();
            return;
        }
        file.found_at(&entry.path, entry.home.is_none(), self.scans);
        let is_packed = file.inode.as_ref().is_some_and(|inode| inode.is_packed);
        let is_changed = (file.size, file.changed) != (seen.size, seen.changed);
        if is_packed {
            file.changed = seen.changed;
        } else if is_changed {
            file.is_over = false;
            let is_closed = file.content.is_none();
            if is_closed && self.open < self.most_open {
                // An error is found again, and told, when its turn comes.
                self.open(id).ok();
            }
            self.wake(id, now.steady);
        }
    }

    /// Files that were moved, or were found by an earlier process, are recognised by their handles.
    fn find_by_handle(&mut self, strangers: &mut Vec<Stranger>, now: Instant) {
        let unseen = |file: &Generation| file.scan != self.scans && file.content.as_ref().is_none_or(Content::is_plain);
        let mut handles = HashMap::new();
        for (id, file) in self.generations.iter().filter(|(_, file)| unseen(file)) {
            if let Some(inode) = &file.inode {
                let alike = self.sources.get(file.source).map_or(file.source, |source| source.alike);
                handles.insert((alike, inode.handle.clone()), (*id, inode.born));
            }
        }
        if handles.is_empty() {
            return;
        }
        let mut left = Vec::new();
        for mut stranger in strangers.drain(..) {
            let alike = self.sources.get(stranger.source).map_or(stranger.source, |source| source.alike);
            let inode = stranger.inode().ok().cloned();
            let known = inode.as_ref().and_then(|inode| handles.get(&(alike, inode.handle.clone())));
            let known = known.filter(|(_, born)| *born == stranger.seen.born || *born == 0 || stranger.seen.born == 0);
            match known.and_then(|(id, _)| Some((*id, self.generations.get_mut(id)?))) {
                Some((id, file)) if file.scan != self.scans => {
                    let is_packed = file.inode.as_ref().is_some_and(|inode| inode.is_packed);
                    file.inode = inode;
                    if let Some(inode) = &mut file.inode {
                        inode.is_packed = is_packed;
                    }
                    file.found_at(&stranger.path, stranger.home.is_none(), self.scans);
                    file.is_over &= is_packed;
                    tracing::debug!(id, path = %stranger.path.display(), offset = file.offset, "known by its handle");
                    if file.content.is_none() && !file.is_over && self.open < self.most_open {
                        // An open file can be read even when it is deleted before its turn comes.
                        file.content = stranger.into_content();
                        self.open += 1;
                    }
                    self.active.insert(id, now);
                }
                // Another name of one that was recognised just now.
                Some(_) => {}
                None => {
                    if left.len() >= self.most_open {
                        stranger.close();
                    }
                    left.push(stranger);
                }
            }
        }
        *strangers = left;
    }

    /// What was not seen was moved away, deleted, or never was.
    fn lose_sight(&mut self, now: Now) {
        let unseen: Vec<u64> = self.generations.iter().filter(|(_, file)| file.scan != self.scans).map(|(id, _)| *id).collect();
        for id in unseen {
            let Some(file) = self.generations.get_mut(&id) else { continue };
            if file.path.take().is_some() && file.scan > 0 {
                self.desk.figures.count(Figure::Rotations, 1_u64);
            }
            file.is_live = false;
            if file.missed.is_some() || file.is_spooled() {
                if file.is_spooled() {
                    self.active.entry(id).or_insert(now.steady);
                }
                continue;
            }
            if file.content.is_none() && file.missed_at.is_none() {
                file.content = reach(file).ok();
            }
            let is_there = |content: &Content| Seen::of(content.file()).is_ok_and(|seen| seen.names > 0);
            if !file.content.as_ref().is_some_and(is_there) {
                file.missed = Some(now.steady);
                file.missed_at = file.missed_at.or(Some(now.wall));
            }
            tracing::debug!(id, home = %file.home.display(), missed = file.missed.is_some(), offset = file.offset, size = file.size, "out of sight");
            if file.content.is_some() || file.missed.is_some() {
                self.active.entry(id).or_insert(now.steady);
            }
        }
    }

    /// What could not be found again, and was not read to its end, is lost; that is counted and told.
    fn give_up(&mut self, now: Now) {
        if !self.deferred.is_empty() {
            // It may be in what is being compressed just now.
            return;
        }
        let mut lost = Vec::new();
        for file in self.generations.values_mut() {
            let is_gone = file.missed.is_some_and(|missed| now.steady.saturating_duration_since(missed) >= GIVEN_UP);
            if !is_gone || file.is_given_up || file.content.is_some() {
                continue;
            }
            file.give_up(&mut self.desk, now);
            if file.unread() > 0 {
                lost.push((file.home.clone(), file.unread()));
            }
        }
        for (home, bytes) in lost {
            self.desk.figures.count(Figure::DroppedVanished, bytes);
            self.blame(&home, &format!("{bytes} bytes of it vanished before they could be read"));
        }
    }

    /// What is gone, or was saved and shipped, is forgotten in time.
    fn forget(&mut self, now: Now) {
        let (outbox, spool) = (&self.desk.outbox, &self.spool);
        let mut gone = Vec::new();
        let mut over = Vec::new();
        for (id, file) in &mut self.generations {
            if file.missed.is_some() && file.content.is_none() && file.is_settled(outbox) {
                file.retire(outbox);
                if let Some(rescue) = file.rescue.take() {
                    spool.remove(&rescue);
                }
                gone.push((file.missed_at.unwrap_or(now.wall), *id));
            }
            if file.is_spooled() && file.is_over && file.is_settled(outbox) {
                over.push(*id);
            }
        }
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(MOST_REMEMBERED);
        let old = gone.iter().enumerate().filter(|(place, (since, _))| *place < surplus || now.wall - since > REMEMBERED);
        over.extend(old.map(|(_, (_, id))| *id));
        for id in over {
            if let Some(mut file) = self.generations.remove(&id) {
                file.retire(&self.desk.outbox);
                if let Some(rescue) = file.rescue.take() {
                    self.spool.remove(&rescue);
                }
            }
            self.active.remove(&id);
        }
    }

    /// Hints are wanted from where the files are. Where the machine has run out of them, the regular look must do.
    fn watch_folders(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let folders: HashSet<&PathBuf> = self.sources.iter().flat_map(super::source::Source::folders).collect();
        watch.keep(|folder| folders.contains(&folder.to_path_buf()));
        for folder in folders {
            if let Err(error) = watch.add(folder) {
                tracing::warn!(%error, folder = %folder.display(), "it is polled");
            }
        }
    }
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD);
    usage.map_or(Duration::ZERO, |usage| {
        let micros = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
        Duration::from_micros(micros.iter().sum::<i64>().try_into().unwrap_or(0))
    })
}

/// Opens a file that is out of sight, wherever it is on its file system.
fn reach(file: &Generation) -> io::Result<Content> {
    let inode = file.inode.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let beside = File::open(file.home.parent().ok_or(io::ErrorKind::NotFound)?)?;
    let found = inode.handle.open(&beside)?;
    let seen = Seen::of(&found)?;
    if seen.born != inode.born && inode.born != 0 && seen.born != 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    if inode.is_packed { Content::packed(found) } else { Ok(Content::Plain(found)) }
}
