//! The shipper's thread against a scripted service and real files.

use super::scripted::Scripted;
use super::*;
use crate::secret::Secret;

struct Stage {
    service: Scripted,
    folder: tempfile::TempDir,
    said: Arc<Mutex<Vec<String>>>,
    redactor: Redactor,
}

impl Stage {
    fn new(service: Scripted) -> Self {
        Self { service, folder: tempfile::tempdir().unwrap(), said: Arc::default(), redactor: Redactor::new() }
    }

    fn log(&self, text: &str) {
        use std::io::Write as _;
        let path = self.folder.path().join("app.log");
        std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn start(&self) -> Shipper {
        let file = self.folder.path().join("app.log").display().to_string();
        let said = self.said.clone();
        Shipper::start(Plan {
            settings: serde_yaml::from_str(&format!("group: g\nsources: [{{ file: {file} }}]\n")).unwrap(),
            stream: "i-1".to_owned(),
            service: Arc::new(self.service.clone()),
            retry: self.service.retry(),
            state: StateFolder::new(self.folder.path().join("state")),
            redactor: self.redactor.clone(),
            say: Arc::new(move |text| said.lock().unwrap().push(text.to_owned())),
        })
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn what_the_run_says_and_what_is_in_files_is_shipped_by_a_flush() {
    let stage = Stage::new(Scripted::new());
    stage.redactor.learn(&Secret::new("hunter2hunter2"));
    stage.log("from a file, with hunter2hunter2\n");
    let shipper = stage.start();
    shipper.line(now(), "from the run, with hunter2hunter2");
    assert!(shipper.flush(LIMIT));
    let mut texts = stage.service.shipped();
    texts.sort();
    assert_eq!(texts, ["from a file, with ***", "from the run, with ***"]);
}

#[test]
fn a_second_run_sends_nothing_twice() {
    let stage = Stage::new(Scripted::new());
    stage.log("one\ntwo\n");
    assert!(stage.start().flush(LIMIT));
    stage.log("three\n");
    assert!(stage.start().flush(LIMIT));
    assert_eq!(stage.service.shipped(), ["one", "two", "three"]);
}

#[test]
fn what_was_not_acknowledged_is_sent_by_the_next_run() {
    let stage = Stage::new(Scripted::new().with_group());
    stage.service.deny(true);
    stage.log("one\n");
    assert!(!stage.start().flush(Duration::from_secs(2)));
    let said = stage.said.lock().unwrap().clone();
    assert_eq!(said.iter().filter(|text| text.contains("not shipped")).count(), 1, "{said:?}");
    stage.service.deny(false);
    assert!(stage.start().flush(LIMIT));
    assert_eq!(stage.service.shipped(), ["one"]);
}

#[test]
fn lines_go_out_while_the_run_goes_on() {
    let stage = Stage::new(Scripted::new());
    let shipper = stage.start();
    shipper.line(now(), "early");
    let start = Instant::now();
    while stage.service.shipped().is_empty() {
        assert!(start.elapsed() < LIMIT, "nothing was shipped");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn lines_with_impossible_times_are_counted_and_do_not_hold_up_the_rest() {
    let stage = Stage::new(Scripted::new());
    let shipper = stage.start();
    shipper.line(0, "from 1970");
    shipper.line(now(), "from now");
    assert!(shipper.flush(LIMIT));
    assert_eq!(stage.service.shipped(), ["from now"]);
    assert!(stage.said.lock().unwrap().iter().any(|text| text.contains("refused for their time")));
}

#[test]
fn its_thread_and_children_end_with_it() {
    let stage = Stage::new(Scripted::new());
    let shipper = stage.start();
    let shared = shipper.shared.clone();
    assert!(!shared.lock().over);
    drop(shipper);
    assert!(shared.lock().over, "whoever started us would find our children when we are gone");
}
