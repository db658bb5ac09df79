//! A run that ships by itself, against a service that notes what it gets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::host::aws::{Class, LogBody, LogStore, Refusal, Stored, Told};
use crate::secret::Secret;

/// What arrived; nothing does while it is down.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    down: Arc<AtomicBool>,
}

impl LogStore for Notes {
    fn put(&self, body: &LogBody) -> Told<Stored> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Refusal { class: Class::Denied, error: Box::new(Error::new(Kind::Denied, "down")), pause: None });
        }
        let request: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        let events = request["logEvents"].as_array().unwrap();
        self.lines.lock().unwrap().extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
        Ok(Stored { first: 0, end: events.len(), skew: 0 })
    }

    fn make_group(&self, _: &str, _: &BTreeMap<String, String>) -> Told<()> {
        Ok(())
    }

    fn make_stream(&self, _: &str, _: &str) -> Told<()> {
        Ok(())
    }

    fn keep(&self, _: &str, _: i32) -> Told<()> {
        Ok(())
    }
}

const LIMIT: Duration = Duration::from_secs(10);

fn begin(folder: &std::path::Path, run: &str, notes: &Notes, redactor: &Redactor) -> (Arc<Shipping>, Teller) {
    let teller = Teller::new(redactor.clone());
    let log = folder.join("app.log");
    let settings = serde_yaml::from_str(&format!("group: g\nstream: s\nsources: [{{ file: {} }}]\n", log.display())).unwrap();
    let means = Means {
        service: Arc::new(notes.clone()),
        clock: RealClock::shared(),
        compression: Compression::None,
        state: StateFolder::new(folder.join("state/logs")),
        redactor: redactor.clone(),
        say: Arc::new(|_| {}),
    };
    let order = Order { run, settings, configuration: "{}".to_owned(), has_secrets: true };
    (Shipping::begin(order, means, &teller).unwrap(), teller)
}

#[test]
fn what_the_run_says_arrives_and_applications_wait_for_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (notes, redactor) = (Notes::default(), Redactor::new());
    std::fs::write(folder.path().join("app.log"), "I know correct horse\n").unwrap();
    let (shipping, teller) = begin(folder.path(), "1", &notes, &redactor);
    teller.notice("here we are".to_owned());
    LogFlush::flush(&*shipping, LIMIT);
    let lines = notes.lines.lock().unwrap().clone();
    assert!(lines.len() == 1 && lines[0].contains("here we are"), "{lines:?}");
    redactor.learn(&Secret::new("correct horse"));
    shipping.secrets_are_known();
    let until = Instant::now() + LIMIT;
    while !notes.lines.lock().unwrap().contains(&"I know ***".to_owned()) {
        assert!(Instant::now() < until, "{:?}", notes.lines.lock().unwrap());
        LogFlush::flush(&*shipping, LIMIT);
        std::thread::sleep(Duration::from_millis(20));
    }
    shipping.close(LIMIT);
    assert!(StateFolder::new(folder.path().join("state/logs")).names("events").unwrap().is_empty());
}

#[test]
fn what_a_run_said_while_nobody_could_be_reached_is_shipped_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (notes, redactor) = (Notes::default(), Redactor::new());
    notes.down.store(true, Ordering::SeqCst);
    let (shipping, _) = begin(folder.path(), "1", &notes, &redactor);
    shipping.secrets_are_known();
    shipping.line(7, "the failure record".to_owned());
    // Two shippers on one folder are refused: the second run begins when the first has had its shipper, and has let go of it.
    let (shared, until) = (shipping.0.as_ref().unwrap(), Instant::now() + LIMIT);
    while shared.lock(|state| matches!(state.link, Link::Sought)) {
        assert!(Instant::now() < until, "nobody ships");
        std::thread::sleep(Duration::from_millis(5));
    }
    shipping.close(Duration::from_millis(300));
    notes.down.store(false, Ordering::SeqCst);
    let (shipping, _) = begin(folder.path(), "2", &notes, &redactor);
    shipping.secrets_are_known();
    shipping.close(LIMIT);
    assert_eq!(*notes.lines.lock().unwrap(), ["the failure record"]);
}
