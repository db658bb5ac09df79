//! The service itself: groups and streams that must exist, batches that must keep the limits, and failures on request.

use std::collections::HashSet;
use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::http::{Answer, Request};
use crate::put::Put;
use crate::tally::{Tally, now};

#[derive(Default)]
pub struct Service(Mutex<State>);

#[derive(Default)]
struct State {
    known: HashSet<String>,
    retentions: Vec<(String, i64)>,
    tally: Tally,
    how: How,
    calls: u64,
    refused: u64,
    request_bytes: u64,
    message_bytes: u64,
    /// What a real service would have refused for good, first ones first.
    violations: Vec<String>,
}

/// How it behaves.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum How {
    #[default]
    Up,
    /// Connections are cut.
    Down,
    /// Every call is throttled.
    Throttle,
    /// Batches are stored, and the answer is an error all the same.
    ErrorAfterStoring,
    /// Nothing is stored, and the answer is an error.
    Error,
    /// Credentials are refused.
    Expired,
    /// Every answer takes this long.
    Slow(Duration),
}

impl Service {
    /// `None` cuts the connection.
    pub fn answer(&self, request: &Request) -> Option<Answer> {
        let how = self.lock().how;
        match how {
            How::Down => return None,
            How::Throttle => return Some(self.refuse(400, "ThrottlingException", "Rate exceeded")),
            How::Error => return Some(self.refuse(500, "ServiceUnavailableException", "try later")),
            How::Expired => {
                return Some(self.refuse(400, "ExpiredTokenException", "The security token included in the request is expired"));
            }
            How::Slow(wait) => std::thread::sleep(wait),
            How::Up | How::ErrorAfterStoring => {}
        }
        if request.line().split(' ').next() != Some("POST") {
            return Some(Answer::error(404, "UnknownOperationException", "no such operation"));
        }
        let signed = request.header("authorization").is_some_and(|value| {
            ["AWS4-HMAC-SHA256 ", "Credential=", "SignedHeaders=", "Signature="].iter().all(|part| value.contains(part))
        });
        if !signed || request.header("x-amz-date").is_none() {
            return Some(self.violation("a request that is not signed", 403, "MissingAuthenticationTokenException"));
        }
        let unpacked;
        let body = match request.header("content-encoding") {
            None => request.body(),
            Some("gzip") => {
                let mut whole = Vec::with_capacity(request.body().len() * 4);
                if let Err(error) = GzDecoder::new(request.body()).read_to_end(&mut whole) {
                    return Some(self.violation(&error.to_string(), 400, "SerializationException"));
                }
                unpacked = whole;
                &unpacked
            }
            Some(other) => return Some(self.violation(&format!("encoding `{other}`"), 400, "SerializationException")),
        };
        let target = request.header("x-amz-target").and_then(|target| target.split_once('.')).map_or("", |(_, name)| name);
        if target == "PutLogEvents" {
            return Some(self.put(body, request.body().len(), how));
        }
        match serde_json::from_slice(body) {
            Ok(asked) => Some(self.other(target, &asked)),
            Err(error) => Some(self.violation(&error.to_string(), 400, "SerializationException")),
        }
    }

    fn put(&self, body: &[u8], on_the_wire: usize, how: How) -> Answer {
        let put = match Put::read(body) {
            Ok(put) => put,
            Err(why) => return self.violation(&why, 400, "InvalidParameterException"),
        };
        let mut state = self.lock();
        if !state.known.contains(&format!("{}\n{}", put.group, put.stream)) {
            return Answer::error(400, "ResourceNotFoundException", "The specified log stream does not exist.");
        }
        let now = now();
        let window = put.window(i64::try_from(now / 1000).unwrap_or(i64::MAX));
        state.calls += 1;
        state.request_bytes += on_the_wire as u64;
        state.message_bytes += put.message_bytes as u64;
        for (_, message) in put.events.get(window.too_old_end..window.too_new_start).unwrap_or_default() {
            state.tally.take(message, now);
        }
        if how == How::ErrorAfterStoring {
            state.refused += 1;
            return Answer::error(500, "InternalFailure", "stored, but nobody is told");
        }
        let mut rejected = serde_json::Map::new();
        if window.too_old_end > 0 {
            rejected.insert("tooOldLogEventEndIndex".to_owned(), json!(window.too_old_end));
        }
        if window.too_new_start < put.events.len() {
            rejected.insert("tooNewLogEventStartIndex".to_owned(), json!(window.too_new_start));
        }
        if rejected.is_empty() { Answer::ok("{}") } else { Answer::ok(json!({ "rejectedLogEventsInfo": rejected }).to_string()) }
    }

    fn other(&self, target: &str, asked: &Value) -> Answer {
        let name = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let (group, stream) = (name("logGroupName"), name("logStreamName"));
        let mut state = self.lock();
        match target {
            "CreateLogGroup" if !state.known.insert(group.clone()) => {
                Answer::error(400, "ResourceAlreadyExistsException", "it is there")
            }
            "CreateLogStream" if !state.known.contains(&group) => {
                Answer::error(400, "ResourceNotFoundException", "no such log group")
            }
            "CreateLogStream" if !state.known.insert(format!("{group}\n{stream}")) => {
                Answer::error(400, "ResourceAlreadyExistsException", "it is there")
            }
            "CreateLogGroup" | "CreateLogStream" => Answer::ok(""),
            "PutRetentionPolicy" => {
                state.retentions.push((group, asked["retentionInDays"].as_i64().unwrap_or(0)));
                Answer::ok("")
            }
            // Only asked by shippers that are not ours.
            "DescribeLogGroups" => Answer::ok(r#"{"logGroups":[]}"#),
            "DescribeLogStreams" => Answer::ok(r#"{"logStreams":[]}"#),
            _ => Answer::error(404, "UnknownOperationException", target),
        }
    }

    fn refuse(&self, status: u16, kind: &str, message: &str) -> Answer {
        self.lock().refused += 1;
        Answer::error(status, kind, message)
    }

    fn violation(&self, why: &str, status: u16, kind: &str) -> Answer {
        let mut state = self.lock();
        if state.violations.len() < 100 {
            state.violations.push(why.to_owned());
        }
        Answer::error(status, kind, why)
    }

    /// From now on it behaves like this.
    pub fn behave(&self, how: How) {
        self.lock().how = how;
    }

    /// Forgets the lines and the counts; groups and streams stay.
    pub fn reset(&self) {
        let mut state = self.lock();
        let known = std::mem::take(&mut state.known);
        *state = State { known, how: state.how, ..State::default() };
    }

    pub fn figures(&self) -> Value {
        let state = self.lock();
        json!({
            "calls": state.calls,
            "refused": state.refused,
            "request_bytes": state.request_bytes,
            "message_bytes": state.message_bytes,
            "violations": state.violations,
            "retentions": state.retentions,
            "tally": state.tally.figures(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
