use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::host::aws::Class;
use crate::host::clock::RealClock;
use crate::logs::delivery::scripted::Scripted;
use crate::logs::figures::report::Status;

const SOON: Duration = Duration::from_secs(20);

struct Rig {
    folder: tempfile::TempDir,
    service: Scripted,
}

impl Rig {
    fn new(service: Scripted) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), service }
    }

    fn state(&self) -> StateFolder {
        StateFolder::new(self.folder.path().join("state"))
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("app.log")
    }

    fn start(&self) -> Pipeline {
        self.start_with(&format!("- file: {}/*.log\n- unit: a-unit-that-nobody-has.service\n", self.folder.path().display()))
    }

    fn start_with(&self, sources: &str) -> Pipeline {
        let settings = format!("group: g\nstream: s\nretention: 7d\nsources:\n{sources}");
        let plan = Plan {
            settings: serde_yaml::from_str(&settings).unwrap(),
            stream: "unused".to_owned(),
            means: Means {
                service: Arc::new(self.service.clone()),
                clock: RealClock::shared(),
                compression: Compression::Gzip,
                state: self.state(),
                redactor: Redactor::new(),
                say: Arc::new(|_| {}),
            },
        };
        Pipeline::start(plan).unwrap()
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_is_written_is_shipped_and_the_next_one_goes_on_where_this_one_ended() {
    let rig = Rig::new(Scripted::new());
    append(&rig.log(), "one\ntwo\n");
    let first = rig.start();
    assert!(first.flush(SOON));
    assert_eq!(rig.service.messages(), ["one", "two"]);
    append(&rig.log(), "three\n");
    assert!(first.flush(SOON), "what was written before the flush is in it");
    assert_eq!(rig.service.messages(), ["one", "two", "three"]);
    drop(first);
    let status = Status::read(&rig.state()).unwrap().unwrap();
    assert_eq!((status.figures["acknowledged_events"], status.gauges.backlog_bytes), (3, 0));

    append(&rig.log(), "four\n");
    let second = rig.start();
    assert!(second.flush(SOON));
    assert_eq!(rig.service.messages(), ["one", "two", "three", "four"]);
}

#[test]
fn what_the_service_never_had_is_sent_by_the_next_one() {
    let away = Scripted::new().with(|script| {
        script.refuse.insert("put s".to_owned(), Class::Unreachable);
    });
    let rig = Rig::new(away);
    append(&rig.log(), "one\n");
    let first = rig.start();
    assert!(!first.flush(Duration::from_millis(300)));
    let begun = Instant::now();
    drop(first);
    assert!(begun.elapsed() < Duration::from_secs(5), "an end may not take longer");
    assert!(rig.service.messages().is_empty());

    std::fs::rename(rig.log(), rig.folder.path().join("app.log.1")).unwrap();
    append(&rig.log(), "two\n");
    let rig = Rig { service: rig.service.clone().with(|script| script.refuse.clear()), ..rig };
    assert!(rig.start().flush(SOON));
    assert_eq!(rig.service.messages(), ["one", "two"], "it was rotated away while nobody shipped");
}

#[test]
fn whoever_ends_it_ends_it_for_everybody() {
    let rig = Rig::new(Scripted::new().answering(Class::Unreachable, Duration::from_hours(1)));
    append(&rig.log(), "one\n");
    let pipeline = std::sync::Arc::new(rig.start());
    let other = pipeline.clone();
    assert!(!pipeline.flush(Duration::from_millis(300)));
    pipeline.end(Instant::now());
    // Its records are no longer written, so that those of the next one are.
    std::fs::remove_dir_all(rig.state().path()).unwrap();
    assert!(!other.flush(Duration::from_mins(10)), "it waits for nothing");
    drop((pipeline, other));
    assert!(!rig.state().path().exists());
}

#[test]
fn a_source_that_is_left_out_for_a_while_goes_on_where_it_was() {
    let rig = Rig::new(Scripted::new());
    append(&rig.log(), "one\n");
    assert!(rig.start().flush(SOON));
    assert!(rig.start_with("- file: /nowhere/*.log\n").flush(SOON));
    append(&rig.log(), "two\n");
    assert!(rig.start().flush(SOON));
    assert_eq!(rig.service.messages(), ["one", "two"]);
}
