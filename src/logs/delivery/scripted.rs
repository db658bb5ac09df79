//! A log service that does what a test says, on a clock that a test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Kind};
use crate::host::aws::{Class, LogBody, LogStore, Refusal, Stored, Told};
use crate::host::clock::{Clock, FakeClock};

/// The service, and what it was asked.
#[derive(Clone)]
pub(in crate::logs) struct Scripted {
    pub(in crate::logs) clock: Arc<FakeClock>,
    state: Arc<Mutex<Script>>,
}

#[derive(Default)]
pub(in crate::logs) struct Script {
    pub(in crate::logs) groups: BTreeSet<String>,
    pub(in crate::logs) streams: BTreeSet<String>,
    /// Every call is answered with this until then.
    pub(in crate::logs) until: Option<(Class, Instant)>,
    /// A call that comes sooner after one that was let in is too much.
    pub(in crate::logs) quota: Option<Duration>,
    pub(in crate::logs) let_in: Option<Instant>,
    /// These calls are answered with this.
    pub(in crate::logs) refuse: BTreeMap<String, Class>,
    /// Messages with this are what the service never takes.
    pub(in crate::logs) poison: Option<String>,
    /// Events before and behind are not stored.
    pub(in crate::logs) window: Option<(i64, i64)>,
    /// So many calls end in a panic.
    pub(in crate::logs) panics: u32,
    pub(in crate::logs) calls: Vec<String>,
    /// Stream, time and message.
    pub(in crate::logs) stored: Vec<(String, i64, String)>,
    /// When something was stored last.
    pub(in crate::logs) last: Option<Instant>,
}

impl Scripted {
    /// With the group `g` and the stream `s`.
    pub(in crate::logs) fn new() -> Self {
        let script =
            Script { groups: BTreeSet::from(["g".to_owned()]), streams: BTreeSet::from(["s".to_owned()]), ..Script::default() };
        Self { clock: FakeClock::shared(), state: Arc::new(Mutex::new(script)) }
    }

    pub(in crate::logs) fn with(self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.state.lock().unwrap());
        self
    }

    pub(in crate::logs) fn answering(self, class: Class, span: Duration) -> Self {
        let until = self.clock.now() + span;
        self.with(|script| script.until = Some((class, until)))
    }

    pub(in crate::logs) fn look<T>(&self, look: impl FnOnce(&Script) -> T) -> T {
        look(&self.state.lock().unwrap())
    }

    pub(in crate::logs) fn messages(&self) -> Vec<String> {
        self.look(|script| script.stored.iter().map(|(_, _, message)| message.clone()).collect())
    }

    fn asked<T>(&self, call: &str, answer: impl FnOnce(&mut Script) -> Told<T>) -> Told<T> {
        let now = self.clock.now();
        let mut script = self.state.lock().unwrap();
        if script.panics > 0 {
            script.panics -= 1;
            drop(script);
            panic!("as the test says");
        }
        script.calls.push(call.to_owned());
        if let Some((class, _)) = script.until.filter(|(_, until)| now < *until) {
            return Err(refusal(class));
        }
        if let Some(quota) = script.quota {
            if script.let_in.is_some_and(|then| now < then + quota) {
                return Err(refusal(Class::Busy));
            }
            script.let_in = Some(now);
        }
        if let Some(class) = script.refuse.get(call) {
            return Err(refusal(*class));
        }
        answer(&mut script)
    }
}

fn refusal(class: Class) -> Refusal {
    Refusal::new(class, Error::new(Kind::Failed, format!("`{class:?}`")))
}

impl LogStore for Scripted {
    fn put(&self, body: &LogBody) -> Told<Stored> {
        let mut plain = Vec::new();
        if body.gzip {
            flate2::read::GzDecoder::new(&*body.bytes).read_to_end(&mut plain).unwrap();
        } else {
            plain.extend_from_slice(&body.bytes);
        }
        let request: Value = serde_json::from_slice(&plain).unwrap();
        let stream = request["logStreamName"].as_str().unwrap().to_owned();
        let events = request["logEvents"].as_array().unwrap();
        let event = |event: &Value| (event["timestamp"].as_i64().unwrap(), event["message"].as_str().unwrap().to_owned());
        let events: Vec<(i64, String)> = events.iter().map(event).collect();
        assert!(events.is_sorted_by_key(|(at, _)| *at) && events.len() == body.events);
        self.asked(&format!("put {stream}"), |script| {
            if !script.streams.contains(&stream) {
                return Err(refusal(Class::Missing));
            }
            if script.poison.as_ref().is_some_and(|poison| events.iter().any(|(_, message)| message.contains(poison))) {
                return Err(refusal(Class::Content));
            }
            let (oldest, newest) = script.window.unwrap_or((i64::MIN, i64::MAX));
            let first = events.iter().filter(|(at, _)| *at < oldest).count();
            let end = events.iter().filter(|(at, _)| *at <= newest).count();
            script.stored.extend(events[first..end].iter().map(|(at, message)| (stream.clone(), *at, message.clone())));
            script.last = Some(self.clock.now());
            Ok(Stored { first, end, skew: 0 })
        })
    }

    fn make_group(&self, group: &str, tags: &BTreeMap<String, String>) -> Told<()> {
        self.asked(&format!("group {group} {}", tags.len()), |script| {
            script.groups.insert(group.to_owned());
            Ok(())
        })
    }

    fn make_stream(&self, group: &str, stream: &str) -> Told<()> {
        self.asked(&format!("stream {stream}"), |script| {
            if !script.groups.contains(group) {
                return Err(refusal(Class::Missing));
            }
            script.streams.insert(stream.to_owned());
            Ok(())
        })
    }

    fn keep(&self, _: &str, days: i32) -> Told<()> {
        self.asked(&format!("keep {days}"), |_| Ok(()))
    }
}
