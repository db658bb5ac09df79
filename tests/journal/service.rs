//! The log service as far as the journal's reader can tell: takes batches, keeps their messages, acknowledges them (or waits).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bootstrap_agent::logs::figures::{Figure, Figures};
use bootstrap_agent::logs::journals::{Begin, Filter, Journal, Journals, Way};
use bootstrap_agent::logs::outbox::{Destination, Limits, Outbox};
use bootstrap_agent::secret::{Masker, Redactor, Secret};

pub const SECRET: &str = "correct-horse-battery-staple";

/// A shipper of journals, from the reader to the service.
pub struct Shipper {
    pub journal: Journal,
    pub outbox: Outbox,
    pub figures: Figures,
    pub reports: Arc<Mutex<Vec<String>>>,
    received: Arc<Mutex<Vec<(String, i64, String)>>>,
    /// While it is, nothing is acknowledged.
    pub is_down: Arc<AtomicBool>,
    service: Option<std::thread::JoinHandle<()>>,
}

/// Ships the journals of this folder: each source to the stream beside it.
pub fn ship(folder: &Path, begin: Begin, sources: &[(&str, &str)]) -> Shipper {
    ship_within(folder, begin, sources, 8 << 20)
}

pub fn ship_within(folder: &Path, begin: Begin, sources: &[(&str, &str)], budget: usize) -> Shipper {
    let outbox = Outbox::new(Limits { budget, linger: Duration::from_millis(50) });
    let redactor = Redactor::new();
    redactor.learn(&Secret::new(SECRET));
    let figures = Figures::default();
    let masker = Masker::new(redactor, &[], true).unwrap();
    let way = Way { outbox: outbox.clone(), masker, figures: figures.clone() };
    let sources = sources.iter().map(|(source, stream)| {
        let filter = Filter::of(&serde_yaml::from_str(source).unwrap()).unwrap();
        let to = Destination { group: "g".to_owned(), stream: (*stream).to_owned(), days: None, tags: BTreeMap::new() };
        (filter, to)
    });
    let reports = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&reports);
    let journals = Journals { folder: Some(folder.to_owned()) };
    let report = Box::new(move |what| told.lock().unwrap().push(what));
    let journal = Journal::follow(journals, begin, sources.collect(), way, report).unwrap();
    let (received, is_down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let service = {
        let (outbox, received, is_down) = (outbox.clone(), Arc::clone(&received), Arc::clone(&is_down));
        std::thread::spawn(move || {
            while let Some(batch) = outbox.next_batch() {
                if is_down.load(Ordering::SeqCst) {
                    outbox.give_back(batch, Instant::now() + Duration::from_millis(20));
                    continue;
                }
                let request: serde_json::Value = serde_json::from_slice(&batch.body()).unwrap();
                let stream = request["logStreamName"].as_str().unwrap();
                for event in request["logEvents"].as_array().unwrap() {
                    let message = event["message"].as_str().unwrap().to_owned();
                    received.lock().unwrap().push((stream.to_owned(), event["timestamp"].as_i64().unwrap(), message));
                }
                outbox.acknowledge(batch);
            }
        })
    };
    Shipper { journal, outbox, figures, reports, received, is_down, service: Some(service) }
}

impl Shipper {
    /// Everything that is in the journal by now has been received.
    pub fn settle(&self) {
        assert!(self.journal.catch_up(Duration::from_secs(60)), "{:?}", self.reports.lock().unwrap());
        self.outbox.seal_all();
        assert!(self.outbox.wait_idle(Duration::from_secs(60)));
    }

    /// The messages of a stream, as they came.
    pub fn messages(&self, stream: &str) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().filter(|(to, _, _)| to == stream).map(|(_, _, message)| message.clone()).collect()
    }

    pub fn times(&self, stream: &str) -> Vec<i64> {
        self.received.lock().unwrap().iter().filter(|(to, _, _)| to == stream).map(|(_, at, _)| *at).collect()
    }

    pub fn reports(&self) -> String {
        self.reports.lock().unwrap().join("\n")
    }

    pub fn gaps(&self) -> u64 {
        self.figures.of(Figure::Gaps)
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.journal.stop();
        self.outbox.stop();
        if let Some(service) = self.service.take() {
            let _ = service.join();
        }
    }
}
