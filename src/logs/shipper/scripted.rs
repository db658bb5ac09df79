//! A log service that does what a test says.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::host::aws::{LogEvent, LogService, Rejected};
use crate::host::clock::{Clock as _, FakeClock};
use crate::host::retry::Retry;

/// The service, and what it was asked.
#[derive(Clone)]
pub(in crate::logs) struct Scripted {
    clock: Arc<FakeClock>,
    state: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    group: bool,
    streams: BTreeSet<String>,
    throttled_until: Option<Instant>,
    denied: bool,
    calls: Vec<String>,
    shipped: Vec<String>,
}

impl Scripted {
    pub(in crate::logs) fn new() -> Self {
        Self { clock: FakeClock::shared(), state: Arc::default() }
    }

    pub(in crate::logs) fn with_group(self) -> Self {
        self.state.lock().unwrap().group = true;
        self
    }

    pub(in crate::logs) fn throttled_for(self, span: Duration) -> Self {
        self.state.lock().unwrap().throttled_until = Some(self.clock.now() + span);
        self
    }

    pub(in crate::logs) fn deny(&self, denied: bool) {
        self.state.lock().unwrap().denied = denied;
    }

    pub(in crate::logs) fn retry(&self) -> Retry {
        Retry::new(self.clock.clone())
    }

    pub(in crate::logs) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(in crate::logs) fn shipped(&self) -> Vec<String> {
        self.state.lock().unwrap().shipped.clone()
    }

    fn asked(&self, call: &str, answer: impl FnOnce(&mut Script) -> Result<()>) -> Result<()> {
        let mut script = self.state.lock().unwrap();
        if script.throttled_until.is_some_and(|until| self.clock.now() < until) {
            return Err(Error::new(Kind::Throttled, "`ThrottlingException`"));
        }
        script.calls.push(call.to_owned());
        if script.denied {
            return Err(Error::new(Kind::Denied, "`AccessDeniedException`"));
        }
        answer(&mut script)
    }
}

fn missing() -> Error {
    Error::new(Kind::Missing, "`ResourceNotFoundException`")
}

impl LogService for Scripted {
    fn put(&self, _: &str, stream: &str, events: &[LogEvent]) -> Result<Rejected> {
        self.asked("put", |script| {
            if !script.streams.contains(stream) {
                return Err(missing());
            }
            script.shipped.extend(events.iter().map(|event| event.text.clone()));
            Ok(())
        })
        .map(|()| Rejected::default())
    }

    fn make_group(&self, group: &str) -> Result<()> {
        self.asked(&format!("group {group}"), |script| {
            script.group = true;
            Ok(())
        })
    }

    fn make_stream(&self, _: &str, stream: &str) -> Result<()> {
        self.asked(&format!("stream {stream}"), |script| {
            if !script.group {
                return Err(missing());
            }
            script.streams.insert(stream.to_owned());
            Ok(())
        })
    }

    fn keep(&self, _: &str, days: i32) -> Result<()> {
        self.asked(&format!("keep {days}"), |_| Ok(()))
    }
}
