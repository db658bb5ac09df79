//! One shipper for one state folder, and what it holds back.

use super::*;
use crate::host::clock::RealClock;
use crate::logs::delivery::Compression;
use crate::logs::delivery::scripted::Scripted;
use crate::logs::own_events::OwnEvents;
use crate::secret::{Redactor, Secret};

struct Bench {
    folder: tempfile::TempDir,
    service: Scripted,
    means: Means,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let service = Scripted::new();
    let means = Means {
        service: Arc::new(service.clone()),
        clock: RealClock::shared(),
        compression: Compression::default(),
        state: StateFolder::new(folder.path().join("logs")),
        redactor: Redactor::new(),
        say: Arc::new(|_| {}),
    };
    Bench { folder, service, means }
}

impl Bench {
    fn settings(&self) -> LogSettings {
        let log = self.folder.path().join("app.log").display().to_string();
        serde_yaml::from_str(&format!("group: g\nstream: s\nsources:\n- file: {log}\n")).unwrap()
    }

    fn write(&self, line: &str) {
        let mut log = OpenOptions::new().append(true).create(true).open(self.folder.path().join("app.log")).unwrap();
        std::io::Write::write_all(&mut log, line.as_bytes()).unwrap();
    }
}

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn there_is_never_a_second_shipper() {
    let bench = bench();
    let first = Keeper::take(bench.means.clone(), Knowledge::new(Redactor::new(), None)).unwrap();
    let state = bench.means.state.clone();
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(first);
    });
    // One that is just ending is waited for.
    let second = Keeper::take(bench.means.clone(), Knowledge::new(Redactor::new(), None)).unwrap();
    ends.join().unwrap();
    assert_eq!(lock(&state).unwrap_err().kind(), Kind::Locked);
    drop(second);
    assert!(lock(&state).is_ok());
}

#[test]
fn application_logs_wait_for_the_secrets_and_what_a_run_says_does_not() {
    let bench = bench();
    let knowledge = Knowledge::new(bench.means.redactor.clone(), None);
    let keeper = Keeper::take(bench.means.clone(), knowledge).unwrap();
    let (events, _) = OwnEvents::begin(&bench.means.state, "run").unwrap();
    events.push("the run begins").unwrap();
    bench.write("my password is correct horse\n");
    let settings = bench.settings();
    keeper.ship(&settings);
    assert!(keeper.ships(&settings));
    assert!(!keeper.flush(LIMIT), "not all of it may go out");
    assert_eq!(bench.service.messages(), ["the run begins"]);
    keeper.knowledge().learn(&[Secret::new("correct horse")]).unwrap();
    let until = Instant::now() + LIMIT;
    while !(keeper.flush(LIMIT) && bench.service.messages().len() > 1) {
        assert!(Instant::now() < until, "nothing more was shipped");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(bench.service.messages(), ["the run begins", "my password is ***"]);
    keeper.sweep();
    assert_eq!(bench.means.state.names("events").unwrap().len(), 1, "the run is not over");
    drop(events);
    keeper.sweep();
    assert!(bench.means.state.names("events").unwrap().is_empty());
}

#[test]
fn a_flush_in_the_middle_of_the_change_that_the_secrets_bring_about_waits_for_it() {
    let bench = bench();
    let keeper = Keeper::take(bench.means.clone(), Knowledge::new(bench.means.redactor.clone(), None)).unwrap();
    let (events, _) = OwnEvents::begin(&bench.means.state, "run").unwrap();
    events.push("the run begins").unwrap();
    bench.write("the application begins\n");
    keeper.ship(&bench.settings());
    keeper.knowledge().learn(&[Secret::new("correct horse")]).unwrap();
    assert!(keeper.flush(LIMIT), "all of it may go out by now");
    let mut messages = bench.service.messages();
    messages.sort();
    assert_eq!(messages, ["the application begins", "the run begins"]);
}
