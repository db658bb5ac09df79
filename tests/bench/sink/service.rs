//! The service itself: groups and streams that must exist, batches that must keep the limits, and failures on request.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::clock::{self, now};
use crate::how::How;
use crate::http::{Answer, Request};
use crate::kept::Kept;
use crate::put::Put;
use crate::tally::Tally;

/// A batch with this in it is refused whole, as if one of its events were none.
const POISON: &[u8] = b"POISON";

#[derive(Default)]
pub struct Service {
    state: Mutex<State>,
    /// It behaves otherwise.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: HashSet<String>,
    retentions: HashMap<String, i64>,
    tags: HashMap<String, Value>,
    tally: Tally,
    kept: Kept,
    how: How,
    /// By how many seconds our clock is ahead.
    ahead: i64,
    /// The second that is counted for a limit, and the calls within it.
    second: (i64, u64),
    asked: u64,
    /// Calls that are held now.
    held: u64,
    calls: u64,
    refused: u64,
    rejected: usize,
    request_bytes: u64,
    message_bytes: u64,
    /// What a real service would have refused for good, first ones first.
    violations: Vec<String>,
}

/// What the client gets.
pub enum Reply {
    Whole(Answer),
    /// The first half of it, then the connection ends.
    Half(Answer),
    /// The connection ends.
    Nothing,
}

impl Service {
    pub fn answer(&self, request: &Request) -> Reply {
        let how = self.lock().how;
        if let Some(early) = self.fail_early(how) {
            return early;
        }
        let answer = self.serve(request, how);
        match how {
            How::CutAfterStoring => Reply::Nothing,
            How::HalfAnAnswer => Reply::Half(answer),
            How::HoldAfter => {
                self.hold(how);
                Reply::Nothing
            }
            _ => Reply::Whole(answer),
        }
    }

    /// What fails before anybody looks at the request.
    fn fail_early(&self, how: How) -> Option<Reply> {
        match how {
            How::Down => return Some(Reply::Nothing),
            How::HoldBefore => {
                self.hold(how);
                return Some(Reply::Nothing);
            }
            How::Slow(wait) => std::thread::sleep(wait),
            _ => {}
        }
        let (status, kind, message) = match how {
            How::Throttle(_) | How::Limit(_) if self.is_too_much(how) => (400, "ThrottlingException", "Rate exceeded"),
            How::Error => (500, "ServiceUnavailableException", "try later"),
            How::Expired => (400, "ExpiredTokenException", "The security token included in the request is expired"),
            How::Denied => (400, "AccessDeniedException", "not authorized to perform this"),
            _ => return None,
        };
        Some(Reply::Whole(self.refuse(status, kind, message)))
    }

    fn serve(&self, request: &Request, how: How) -> Answer {
        if request.line().split(' ').next() != Some("POST") {
            return Answer::error(404, "UnknownOperationException", "no such operation");
        }
        let signed = request.header("authorization").is_some_and(|value| {
            ["AWS4-HMAC-SHA256 ", "Credential=", "SignedHeaders=", "Signature="].iter().all(|part| value.contains(part))
        });
        let Some(at) = request.header("x-amz-date").filter(|_| signed) else {
            return self.violation("a request that is not signed", 403, "MissingAuthenticationTokenException");
        };
        if !clock::is_believed(at, clock::seconds(self.lock().ahead)) {
            return self.refuse(400, "InvalidSignatureException", "Signature expired, or not yet current");
        }
        let unpacked;
        let body = match request.header("content-encoding") {
            None => request.body(),
            Some("gzip") => {
                let mut whole = Vec::with_capacity(request.body().len() * 4);
                if let Err(error) = GzDecoder::new(request.body()).read_to_end(&mut whole) {
                    return self.violation(&error.to_string(), 400, "SerializationException");
                }
                unpacked = whole;
                &unpacked
            }
            Some(other) => return self.violation(&format!("encoding `{other}`"), 400, "SerializationException"),
        };
        let target = request.header("x-amz-target").and_then(|target| target.split_once('.')).map_or("", |(_, name)| name);
        if target == "PutLogEvents" {
            return self.put(body, request.body().len(), how);
        }
        match serde_json::from_slice(body) {
            Ok(asked) => self.other(target, &asked),
            Err(error) => self.violation(&error.to_string(), 400, "SerializationException"),
        }
    }

    fn put(&self, body: &[u8], on_the_wire: usize, how: How) -> Answer {
        let put = match Put::read(body) {
            Ok(put) => put,
            Err(why) => return self.violation(&why, 400, "InvalidParameterException"),
        };
        let mut state = self.lock();
        let state = &mut *state;
        if !state.known.contains(&format!("{}\n{}", put.group, put.stream)) {
            return Answer::error(400, "ResourceNotFoundException", "The specified log stream does not exist.");
        }
        if put.events.iter().any(|(_, message)| memchr::memmem::find(message, POISON).is_some()) {
            state.refused += 1;
            return Answer::error(400, "InvalidParameterException", "one of the events is none");
        }
        let now = now();
        let milliseconds = i64::try_from(now / 1000).unwrap_or(i64::MAX) + state.ahead * 1000;
        let window = put.window(milliseconds, state.retentions.get(put.group).copied());
        let first = window.too_old_end.max(window.expired_end);
        state.calls += 1;
        state.request_bytes += on_the_wire as u64;
        state.message_bytes += put.message_bytes as u64;
        state.rejected += first + put.events.len() - window.too_new_start;
        for (at, message) in put.events.get(first..window.too_new_start).unwrap_or_default() {
            if !state.tally.take(message, now) {
                state.kept.take(put.group, put.stream, *at, message);
            }
        }
        if how == How::ErrorAfterStoring {
            state.refused += 1;
            return Answer::error(500, "InternalFailure", "stored, but nobody is told");
        }
        let ends = [
            ("tooOldLogEventEndIndex", window.too_old_end, window.too_old_end > 0),
            ("expiredLogEventEndIndex", window.expired_end, window.expired_end > 0),
            ("tooNewLogEventStartIndex", window.too_new_start, window.too_new_start < put.events.len()),
        ];
        let told: serde_json::Map<_, _> =
            ends.iter().filter(|(_, _, is_told)| *is_told).map(|(name, at, _)| ((*name).to_owned(), json!(at))).collect();
        if told.is_empty() { Answer::ok("{}") } else { Answer::ok(json!({ "rejectedLogEventsInfo": told }).to_string()) }
    }

    fn other(&self, target: &str, asked: &Value) -> Answer {
        let name = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let (group, stream) = (name("logGroupName"), name("logStreamName"));
        let mut state = self.lock();
        match target {
            "CreateLogGroup" if !state.known.insert(group.clone()) => {
                Answer::error(400, "ResourceAlreadyExistsException", "it is there")
            }
            "CreateLogGroup" => {
                state.tags.insert(group, asked["tags"].clone());
                Answer::ok("")
            }
            "CreateLogStream" if !state.known.contains(&group) => {
                Answer::error(400, "ResourceNotFoundException", "no such log group")
            }
            "CreateLogStream" if !state.known.insert(format!("{group}\n{stream}")) => {
                Answer::error(400, "ResourceAlreadyExistsException", "it is there")
            }
            "CreateLogStream" => Answer::ok(""),
            "PutRetentionPolicy" => {
                state.retentions.insert(group, asked["retentionInDays"].as_i64().unwrap_or(0));
                Answer::ok("")
            }
            // Only asked by shippers that are not ours.
            "DescribeLogGroups" => Answer::ok(r#"{"logGroups":[]}"#),
            "DescribeLogStreams" => Answer::ok(r#"{"logStreams":[]}"#),
            _ => Answer::error(404, "UnknownOperationException", target),
        }
    }

    /// Whether this call is one of those that are throttled.
    fn is_too_much(&self, how: How) -> bool {
        let mut state = self.lock();
        state.asked += 1;
        match how {
            // Spread evenly, and the same in each run.
            How::Throttle(share) => state.asked * share / 100 > (state.asked - 1) * share / 100,
            How::Limit(most) => {
                let second = clock::seconds(0);
                if state.second.0 != second {
                    state.second = (second, 0);
                }
                state.second.1 += 1;
                state.second.1 > most
            }
            _ => false,
        }
    }

    /// Holds a call until it behaves otherwise.
    fn hold(&self, how: How) {
        let mut state = self.lock();
        state.held += 1;
        while state.how == how {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held -= 1;
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
        self.changed.notify_all();
    }

    /// Its clock is so many seconds ahead of the machine's.
    pub fn set_clock(&self, ahead: i64) {
        self.lock().ahead = ahead;
    }

    /// Messages that are no generated lines are kept.
    pub fn keep(&self) {
        self.lock().kept.wanted = true;
    }

    /// Somebody has deleted all groups.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.known.clear();
        state.retentions.clear();
    }

    /// Forgets the lines and the counts, and has the right time; groups and streams stay.
    pub fn reset(&self) {
        let mut state = self.lock();
        let (known, retentions) = (std::mem::take(&mut state.known), std::mem::take(&mut state.retentions));
        *state = State { known, retentions, how: state.how, held: state.held, ..State::default() };
    }

    /// What was kept.
    pub fn kept(&self) -> String {
        self.lock().kept.json()
    }

    /// The date of answers.
    pub fn date(&self) -> String {
        clock::http_date(clock::seconds(self.lock().ahead))
    }

    pub fn figures(&self) -> Value {
        let state = self.lock();
        json!({
            "calls": state.calls,
            "refused": state.refused,
            "held": state.held,
            "rejected": state.rejected,
            "request_bytes": state.request_bytes,
            "message_bytes": state.message_bytes,
            "violations": state.violations,
            "retentions": state.retentions,
            "tags": state.tags,
            "tally": state.tally.figures(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
