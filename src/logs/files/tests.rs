//! A folder that is written to and rotated, followed by us, with a service that stores what it is sent; time is ours.

mod cutting;
mod finding;
mod model;
mod renaming;
mod vanishing;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FileSource, Files, FilesRecord};
use crate::logs::figures::{Figure, Figures};
use crate::logs::outbox::{Destination, Limits, Outbox};
use crate::logs::text::{Now, Rules};
use crate::secret::{Masker, Redactor};

/// Its patterns take longer to compile than a script to play.
static MASKER: std::sync::LazyLock<Masker> = std::sync::LazyLock::new(|| Masker::new(Redactor::new(), &[], true).unwrap());

/// See the module.
struct Scene {
    root: tempfile::TempDir,
    patterns: Vec<String>,
    files: Files,
    outbox: Outbox,
    figures: Figures,
    now: Now,
    /// What the service has, in the order of arrival.
    stored: Vec<String>,
    /// What was written down last.
    record: String,
    budget: usize,
}

impl Scene {
    fn new(patterns: &[&str]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), patterns)
    }

    fn at(root: tempfile::TempDir, patterns: &[&str]) -> Self {
        std::fs::create_dir_all(root.path().join("logs")).unwrap();
        let patterns: Vec<String> =
            patterns.iter().map(|name| root.path().join("logs").join(name).display().to_string()).collect();
        let (files, outbox, figures) = follow(&patterns, root.path(), 8 << 20);
        let now = Now { wall: 1_800_000_000_000, steady: Instant::now() };
        Self {
            root,
            patterns,
            files,
            outbox,
            figures,
            now,
            stored: Vec::new(),
            record: "{\"sources\":[],\"files\":[]}".into(),
            budget: 8 << 20,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        self.writer(name).write_all(text.as_ref()).unwrap();
    }

    /// Somebody who has the file open.
    fn writer(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    fn copy_truncate(&self, from: &str, to: &str) {
        std::fs::copy(self.path(from), self.path(to)).unwrap();
        OpenOptions::new().write(true).open(self.path(from)).unwrap().set_len(0).unwrap();
    }

    /// Compresses it, to a file of this ending; with none, it stays as it is.
    fn pack(&self, name: &str, ending: &str) {
        if !ending.is_empty() {
            pack(&self.path(name), ending);
        }
    }

    /// Reads all there is to read at this moment.
    fn turn(&mut self) {
        for _ in 0..1000 {
            let turn = self.files.turn(self.now);
            if turn.is_full || !turn.wait.is_zero() {
                return;
            }
        }
        panic!("there is no end to it");
    }

    /// So much later, having looked as often as we wanted to.
    fn pass(&mut self, time: Duration) {
        let end = self.now.steady + time;
        while self.now.steady < end {
            let turn = self.files.turn(self.now);
            // Nothing is read while the outbox is full.
            let shortest = Duration::from_millis(if turn.is_full { 1000 } else { 50 });
            let step = turn.wait.clamp(shortest, Duration::from_secs(10));
            let step = step.min(end - self.now.steady);
            self.now.steady += step;
            self.now.wall += i64::try_from(step.as_millis()).unwrap();
        }
        self.turn();
    }

    /// The service takes everything.
    fn ship(&mut self) {
        self.outbox.seal_all();
        while let Some(batch) = self.outbox.try_next(Instant::now()) {
            self.stored.extend(messages(&batch));
            self.outbox.acknowledge(batch);
            self.outbox.seal_all();
        }
    }

    fn read_and_ship(&mut self) {
        self.turn();
        self.ship();
    }

    fn write_down(&mut self) {
        self.record = serde_json::to_string(&self.files.records()).unwrap();
    }

    /// Another process goes on from what was written down last. What the old one held is gone.
    fn start_again(&mut self) {
        let (files, outbox, figures) = follow(&self.patterns, self.root.path(), self.budget);
        (self.files, self.outbox, self.figures) = (files, outbox, figures);
        let known: FilesRecord = serde_json::from_str(&self.record).unwrap();
        self.files.resume(known, self.now.steady);
    }

    fn restart(&mut self) {
        self.files.save_vanishing();
        self.write_down();
        self.start_again();
    }

    /// What was stored since the last question.
    fn stored(&mut self) -> Vec<String> {
        std::mem::take(&mut self.stored)
    }

    fn lost(&self) -> u64 {
        crate::logs::figures::DROPPED.iter().map(|figure| self.figures.of(*figure)).sum()
    }
}

fn follow(patterns: &[String], root: &Path, budget: usize) -> (Files, Outbox, Figures) {
    let to = Destination { group: "g".into(), stream: "s".into(), days: None, tags: std::collections::BTreeMap::new() };
    let source = |pattern: &String| FileSource { pattern: pattern.clone(), to: to.clone(), rules: Arc::new(Rules::default()) };
    let (outbox, figures) = (Outbox::new(Limits { budget, ..Limits::default() }), Figures::default());
    let masker = MASKER.clone();
    let sources = patterns.iter().map(source).collect();
    (Files::new(sources, &root.join("spool"), outbox.clone(), masker, figures.clone()), outbox, figures)
}

fn messages(batch: &crate::logs::outbox::Batch) -> Vec<String> {
    (0..batch.len()).map(|index| serde_json::from_slice(batch.message(index)).unwrap()).collect()
}

/// As `gzip` and `zstd --rm` do it: the time of the last write stays, the original goes last.
fn pack(path: &Path, ending: &str) {
    let mut target = path.as_os_str().to_owned();
    target.push(ending);
    let (plain, mut packed) = (std::fs::read(path).unwrap(), File::create(&target).unwrap());
    if ending == ".zst" {
        packed.write_all(&ruzstd::encoding::compress_to_vec(&*plain, ruzstd::encoding::CompressionLevel::Fastest)).unwrap();
    } else {
        let mut packer = flate2::write::GzEncoder::new(&packed, flate2::Compression::fast());
        packer.write_all(&plain).unwrap();
        packer.finish().unwrap();
    }
    let written = std::fs::metadata(path).unwrap().modified().unwrap();
    packed.set_modified(written).unwrap();
    drop(packed);
    std::fs::remove_file(path).unwrap();
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.fold(String::new(), |text, number| text + &format!("line {number:06}\n"))
}

fn expected(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("line {number:06}")).collect()
}
