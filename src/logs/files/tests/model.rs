//! Random scripts of what writers, rotation, crashes and outages do, against a model that only knows which lines were written.
//!
//! Zero loss while a line's bytes are anywhere on disk or in a descriptor of a living process; whatever else is missing was
//! counted as lost. Duplicates only of what was not acknowledged, or not written down, when a process ended.
//!
//! `MODEL_SEED` repeats one script, `MODEL_SCRIPTS` says how many are played.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const SCRIPTS: u64 = 1000;
/// What has found something once is played every time.
const FOUND: [u64; 1] = [3_335_987_247];
const LOGS: [&str; 2] = ["app.log", "web.log"];
const KEPT: u32 = 6;

/// How a script's logs are rotated: a machine has one way, and keeps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    Rename,
    RenameAndPack,
    CopyTruncate,
    CopyTruncateAndPack,
    Delete,
}

const ROTATIONS: [Rotation; 5] =
    [Rotation::Rename, Rotation::RenameAndPack, Rotation::CopyTruncate, Rotation::CopyTruncateAndPack, Rotation::Delete];

/// One script while it is played.
struct Play {
    scene: Scene,
    random: StdRng,
    rotation: Rotation,
    /// Lines that were written, by number.
    written: u32,
    /// A line was begun and is still without its end, by log.
    begun: BTreeMap<&'static str, u32>,
    /// Writers that keep their file open across rotations.
    late: BTreeMap<&'static str, File>,
    /// How often each line arrived.
    acknowledged: BTreeMap<u32, u32>,
    /// Acknowledged and written down.
    recorded: BTreeSet<u32>,
    /// Lines that may come twice.
    repeatable: BTreeSet<u32>,
    told: Vec<String>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let rotation = ROTATIONS[random.random_range(0..ROTATIONS.len())];
        let pattern = ["app.log", "*.log", "*.log*"][random.random_range(0..3)];
        let mut scene = Scene::new(if pattern == "app.log" { &["app.log", "web.log"] } else { std::slice::from_ref(&pattern) });
        // Sometimes so little that files are behind when they are rotated.
        scene.budget = [300, 3_000, 1 << 20][random.random_range(0..3)];
        scene.start_again();
        // A process writes down what it found at once: what comes after that is news to whoever follows it.
        scene.turn();
        scene.write_down();
        Self {
            scene,
            random,
            rotation,
            written: 0,
            begun: BTreeMap::new(),
            late: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            recorded: BTreeSet::new(),
            repeatable: BTreeSet::new(),
            told: vec![format!("{rotation:?} of {pattern}")],
        }
    }

    fn log(&mut self) -> &'static str {
        LOGS[self.random.random_range(0..LOGS.len())]
    }

    /// The service takes some batches, or all.
    fn ship(&mut self, mut most: u32) {
        self.scene.outbox.seal_all();
        while most > 0
            && let Some(batch) = self.scene.outbox.try_next(Instant::now())
        {
            let lines = messages(&batch);
            self.scene.outbox.acknowledge(batch);
            for line in lines {
                let number = line.split(' ').nth(1).and_then(|number| number.parse().ok());
                let number = number.unwrap_or_else(|| panic!("`{line}` was never written"));
                assert_eq!(line, text_of(number), "not as it was written");
                *self.acknowledged.entry(number).or_default() += 1;
            }
            most -= 1;
        }
    }

    fn write(&mut self, log: &'static str, count: u32) {
        let mut text = String::new();
        if let Some(number) = self.begun.remove(log) {
            text.push_str(&text_of(number)[5..]);
            text.push('\n');
        }
        for _ in 0..count {
            text.push_str(&text_of(self.written));
            text.push('\n');
            self.written += 1;
        }
        if self.random.random_bool(0.1) {
            text.push_str(&text_of(self.written)[..5]);
            self.begun.insert(log, self.written);
            self.written += 1;
        }
        match self.late.get_mut(log) {
            Some(file) => file.write_all(text.as_bytes()).unwrap(),
            None => self.scene.append(log, text),
        }
    }

    /// A line is never cut in two by a rotation: whoever writes so cannot be followed by anybody.
    fn finish_line(&mut self, log: &'static str) {
        if self.begun.contains_key(log) {
            self.write(log, 0);
            self.finish_line(log);
        }
    }

    fn rotate(&mut self, log: &'static str) {
        self.finish_line(log);
        if !self.scene.path(log).exists() {
            return;
        }
        let is_late = self.random.random_bool(0.3);
        if !is_late || self.rotation != Rotation::Rename {
            self.late.remove(log);
        }
        if self.rotation == Rotation::Delete {
            self.late.remove(log);
            return self.scene.remove(log);
        }
        for number in (1..=KEPT).rev() {
            for ending in ["", ".gz", ".zst"] {
                let from = format!("{log}.{number}{ending}");
                if self.scene.path(&from).exists() {
                    self.scene.rename(&from, &format!("{log}.{}{ending}", number + 1));
                }
            }
        }
        let to = format!("{log}.1");
        match self.rotation {
            Rotation::Rename | Rotation::RenameAndPack | Rotation::Delete => self.scene.rename(log, &to),
            Rotation::CopyTruncate | Rotation::CopyTruncateAndPack => self.scene.copy_truncate(log, &to),
        }
        if self.random.random_bool(0.3) {
            self.look();
        }
        if matches!(self.rotation, Rotation::RenameAndPack | Rotation::CopyTruncateAndPack) {
            // A machine keeps to its way, but its administrator may change it.
            let ending = if self.random.random_bool(0.8) { ".gz" } else { ".zst" };
            self.scene.pack(&to, ending);
        }
    }

    /// A line that nobody goes on with for a minute is shipped as it is.
    fn finish_lines(&mut self) {
        LOGS.into_iter().for_each(|log| self.finish_line(log));
    }

    fn look(&mut self) {
        self.scene.turn();
    }

    /// Everything that is on disk is read and shipped, so that what is deleted next had its chance.
    fn settle(&mut self) {
        self.finish_lines();
        for _ in 0..200 {
            self.scene.pass(Duration::from_secs(1));
            self.ship(u32::MAX);
            self.scene.turn();
            if self.scene.outbox.is_idle()
                && self.scene.files.backlog(self.scene.now.steady).0 == 0
                && self.scene.files.deferred.is_empty()
            {
                break;
            }
        }
        self.scene.pass(Duration::from_secs(12));
        self.ship(u32::MAX);
    }

    fn write_down(&mut self) {
        self.scene.write_down();
        self.recorded = self.acknowledged.keys().copied().collect();
    }

    /// Whatever was not written down may come again.
    fn end(&mut self) {
        self.repeatable.extend(self.acknowledged.keys().filter(|number| !self.recorded.contains(number)));
        self.repeatable.extend((0..self.written).filter(|number| !self.acknowledged.contains_key(number)));
    }

    fn step(&mut self) {
        let log = self.log();
        let choice = self.random.random_range(0..100);
        let name = match choice {
            0..35 => {
                let count = [1, 3, 30][self.random.random_range(0..3)];
                self.write(log, count);
                format!("write {count} to {log}, up to {}", self.written)
            }
            35..50 => {
                // A deletion takes what no process holds: it must have been seen.
                if self.rotation == Rotation::Delete {
                    self.finish_lines();
                    self.scene.pass(Duration::from_secs(12));
                }
                self.rotate(log);
                format!("rotate {log}")
            }
            50..65 => {
                self.look();
                "look".to_owned()
            }
            65..72 => {
                let time = [1, 11, 40][self.random.random_range(0..3)];
                self.finish_lines();
                self.scene.pass(Duration::from_secs(time));
                format!("{time} s pass")
            }
            72..85 => {
                let most = [1, u32::MAX][self.random.random_range(0..2)];
                self.ship(most);
                format!("ship {most}")
            }
            85..90 => {
                self.write_down();
                "write down".to_owned()
            }
            90..93 => {
                if self.scene.path(log).exists() {
                    self.late.insert(log, self.scene.writer(log));
                }
                format!("{log} is kept open")
            }
            93..96 => {
                self.scene.files.save_vanishing();
                self.write_down();
                self.end();
                self.scene.start_again();
                "restart".to_owned()
            }
            _ if self.rotation == Rotation::Delete => return,
            _ => {
                self.end();
                self.scene.start_again();
                "crash".to_owned()
            }
        };
        tracing::debug!("{name}");
        self.told.push(name);
    }

    fn play(&mut self) {
        for _ in 0..self.random.random_range(5..40) {
            self.step();
            // No file is deleted that was never read: rotation keeps a few.
            if self.scene.path(&format!("app.log.{KEPT}")).exists()
                || LOGS.iter().any(|log| {
                    self.scene.path(&format!("{log}.{KEPT}.gz")).exists() || self.scene.path(&format!("{log}.{KEPT}")).exists()
                })
            {
                self.settle();
                for log in LOGS {
                    for number in 3..=KEPT + 1 {
                        for ending in ["", ".gz", ".zst"] {
                            std::fs::remove_file(self.scene.path(&format!("{log}.{number}{ending}"))).ok();
                        }
                    }
                }
                self.told.push("old ones are deleted".to_owned());
            }
        }
        self.finish_lines();
        self.late.clear();
        self.settle();
        self.settle();
        let missing: Vec<u32> = (0..self.written).filter(|number| !self.acknowledged.contains_key(number)).collect();
        assert_eq!(missing, [0_u32; 0], "lost");
        let twice = self.acknowledged.iter().filter(|(number, count)| **count > 1 && !self.repeatable.contains(number));
        assert_eq!(twice.map(|(number, _)| *number).collect::<Vec<_>>(), [0_u32; 0], "shipped twice for no reason");
    }
}

fn text_of(number: u32) -> String {
    format!("line {number} {}", "x".repeat((number as usize * 7) % 40))
}

#[test]
fn whatever_happens_every_line_arrives() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match number("MODEL_SEED") {
        Some(seed) => {
            tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::DEBUG).init();
            (seed, 1)
        }
        None => (rand::random::<u32>().into(), number("MODEL_SCRIPTS").unwrap_or(SCRIPTS)),
    };
    let mut failures = Vec::new();
    for seed in FOUND.into_iter().chain(first..first + count) {
        let mut play = Play::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play.play()));
        if let Err(why) = outcome {
            let why = why.downcast_ref::<String>().map_or("it panicked", String::as_str);
            failures.push(format!("MODEL_SEED={seed}: {why}\n{}", play.told.join("\n")));
        }
        if failures.len() > 2 {
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
