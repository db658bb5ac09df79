//! The thread that reads files, and sees to everything else between two rounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Plan;
use super::flush::Flushes;
use super::report::Report;
use crate::error::{Kind, Result};
use crate::host::state::StateFolder;
use crate::logs::complaints::Complaints;
use crate::logs::delivery::{self, DEAD_LETTER_LIMIT, Delivery};
use crate::logs::figures::Figures;
use crate::logs::figures::report::Gauges;
use crate::logs::files::{FileSource, Files, FilesRecord, Waker};
use crate::logs::journals::{Begin, Filter, Journal, Journals, Way};
use crate::logs::outbox::{Destination, Outbox};
use crate::logs::places::PlaceRecord;
use crate::logs::settings::{LogSettings, Source, days};
use crate::logs::text::{Now, Rules};
use crate::secret::Masker;

/// Where unread bytes of deleted files are saved.
const SPOOL: &str = "spool";
/// How long the journal may take to hand on what a flush waits for.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Places that are new are written down soon, even if nothing else happens.
const SOON: Duration = Duration::from_secs(1);

/// How far the service has everything.
#[derive(Default, Serialize, Deserialize)]
struct Places {
    files: FilesRecord,
    /// The cursor of the last entry.
    journal: Option<String>,
}

pub(super) struct Work {
    files: Files,
    journal: Option<Journal>,
    /// The journal's place, as it was when we began.
    resumed: Option<String>,
    outbox: Outbox,
    delivery: Delivery,
    record: PlaceRecord,
    report: Report,
    state: StateFolder,
    figures: Figures,
    complaints: Complaints,
    flushes: Arc<Flushes>,
    sources: u64,
}

impl Work {
    pub(super) fn begin(plan: Plan, outbox: &Outbox, complaints: Complaints, flushes: Arc<Flushes>) -> Result<Self> {
        let figures = Figures::default();
        let masker = Masker::new(plan.means.redactor, &plan.settings.mask.patterns, plan.settings.mask.builtin)?;
        let record = PlaceRecord::new(plan.means.state.clone(), complaints.clone());
        let places: Places = record.read();

        let (mut followed, mut filters) = (Vec::new(), Vec::new());
        for source in &plan.settings.sources {
            let to = destination(&plan.settings, Some(source), &plan.stream);
            if let Some(pattern) = &source.file {
                followed.push(FileSource { pattern: pattern.clone(), to, rules: Arc::new(Rules::new(source)?) });
            } else if let Some(filter) = Filter::of(source) {
                filters.push((filter, to));
            }
        }
        let sources = u64::try_from(followed.len() + filters.len()).unwrap_or(0);
        let spool = plan.means.state.path().join(SPOOL);
        let mut files = Files::new(followed, &spool, outbox.clone(), masker.clone(), figures.clone());
        files.resume(places.files, Instant::now());

        let way = Way { outbox: outbox.clone(), masker, figures: figures.clone() };
        let journal = follow(filters, places.journal.as_deref(), way, &complaints);
        let means = delivery::Means {
            service: plan.means.service,
            clock: plan.means.clock,
            figures: figures.clone(),
            compression: plan.means.compression,
            state: plan.means.state.clone(),
            dead_letter_limit: DEAD_LETTER_LIMIT,
            complaints: complaints.clone(),
        };
        Ok(Self {
            files,
            journal,
            resumed: places.journal,
            outbox: outbox.clone(),
            delivery: Delivery::start(outbox, means)?,
            record,
            report: Report::new(outbox, &destination(&plan.settings, None, &plan.stream)),
            state: plan.means.state,
            figures,
            complaints,
            flushes,
            sources,
        })
    }

    /// Ends its waits from another thread.
    pub(super) fn waker(&self) -> Option<Waker> {
        self.files.waker()
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let mut looked = 0;
        let end = loop {
            if let Some(end) = self.flushes.end() {
                break end;
            }
            let now = Now::read();
            let pending = self.flushes.pending();
            if let Some(asked) = pending.filter(|asked| *asked > looked) {
                looked = asked;
                self.files.look_now(now.steady);
            }
            let mut turn = self.files.turn(now);
            for problem in self.files.news() {
                self.complaints.mention(&problem, &problem);
            }
            if let Some(asked) = pending
                && !turn.is_full
                && !turn.wait.is_zero()
            {
                if let Some(journal) = &self.journal {
                    let _caught_up = journal.catch_up(CATCH_UP);
                }
                self.flushes.fulfil(asked);
            }
            self.write_places(now.steady);
            let gauges = || gauges(&self.files, self.journal.as_ref(), &self.outbox, self.sources, now);
            self.report.tell(now, &self.state, &self.figures, &self.complaints, gauges);
            let next = self.report.due().saturating_duration_since(now.steady);
            turn.wait = turn.wait.min(next);
            if !self.outbox.is_idle() || self.record.is_behind(self.outbox.changes()) {
                turn.wait = turn.wait.min(SOON);
            }
            self.files.wait(turn);
        };
        self.end(end);
    }

    /// What has been read is sent, what would vanish with us is saved, and what was acknowledged is recorded.
    fn end(mut self, by: Instant) {
        if let Some(journal) = &mut self.journal {
            journal.stop();
        }
        let delivery = self.delivery;
        let _all = delivery.stop(by.saturating_duration_since(Instant::now()));
        self.files.save_vanishing();
        let now = Now::read();
        let gauges = gauges(&self.files, self.journal.as_ref(), &self.outbox, self.sources, now);
        self.report.write_status(now.wall, &self.state, &self.figures, &self.complaints, &gauges);
        let journal = self.journal.as_ref().and_then(Journal::acknowledged).or(self.resumed);
        let (files, change) = (self.files.records(), u64::MAX);
        self.record.write_now(now.steady, change, || Places { files, journal });
    }

    fn write_places(&mut self, now: Instant) {
        let journal = || self.journal.as_ref().and_then(Journal::acknowledged).or_else(|| self.resumed.clone());
        self.record.write(now, self.outbox.changes(), || Places { files: self.files.records(), journal: journal() });
    }
}

/// Where a source's lines go; `None` is the block itself.
fn destination(settings: &LogSettings, source: Option<&Source>, stream: &str) -> Destination {
    let named = |of: fn(&Source) -> Option<&String>| source.and_then(of);
    Destination {
        group: named(|source| source.group.as_ref()).unwrap_or(&settings.group).clone(),
        stream: named(|source| source.stream.as_ref())
            .or(settings.stream.as_ref())
            .map_or_else(|| stream.to_owned(), Clone::clone),
        days: source.and_then(|source| source.retention).or(settings.retention).and_then(days),
        tags: settings.tags.clone(),
    }
}

/// Follows the journal from where the service has everything, else from the start of this boot.
fn follow(filters: Vec<(Filter, Destination)>, resume: Option<&str>, way: Way, complaints: &Complaints) -> Option<Journal> {
    if filters.is_empty() {
        return None;
    }
    let begin = resume.map_or(Begin::ThisBoot, |cursor| Begin::Cursor(cursor.to_owned()));
    let telling = complaints.clone();
    let report = Box::new(move |sentence: String| telling.mention(&sentence, &sentence));
    match Journal::follow(Journals::default(), begin, filters, way, report) {
        Ok(journal) => Some(journal),
        Err(error) => {
            let because = if error.kind() == Kind::Missing { "there is no `journalctl`".to_owned() } else { error.to_string() };
            complaints.raise("journal", &format!("no journal is shipped: {because}"));
            None
        }
    }
}

fn gauges(files: &Files, journal: Option<&Journal>, outbox: &Outbox, sources: u64, now: Now) -> Gauges {
    let (bytes, age) = files.backlog(now.steady);
    let of_journal = journal.and_then(Journal::oldest_unacknowledged).map_or(0, |at| now.wall.saturating_sub(at) / 1000);
    let count = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    Gauges {
        backlog_bytes: bytes,
        oldest_unshipped_seconds: age.map_or(0, |age| age.as_secs()).max(u64::try_from(of_journal).unwrap_or(0)),
        budget_used: count(outbox.used()),
        budget: count(outbox.budget()),
        sources,
    }
}
