//! The log service as the durable shipper needs it: bodies that are ready to go, refusals by what is to be done about them.
//!
//! The body was built while lines were read, so the SDK signs and sends it as it is: nothing is copied or serialised again,
//! however often it is tried.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatchlogs::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_cloudwatchlogs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatchlogs::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsOutput;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::errors::{explain, skew_of};
use super::{Aws, Clients};
use crate::error::{Error, Kind};

/// A request to store events, ready to go.
#[derive(Debug, Clone)]
pub struct LogBody {
    /// The JSON of the whole request, or that compressed.
    pub bytes: Bytes,
    /// It is compressed with gzip.
    pub gzip: bool,
    /// How many events are in it.
    pub events: usize,
}

/// What became of the events of a request that was taken. They are numbered as in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Those before this one were not stored: too old, or older than the group keeps events.
    pub first: usize,
    /// This one and those behind it were not stored: too far in the future.
    pub end: usize,
    /// By how many milliseconds the service's clock is ahead of ours.
    pub skew: i64,
}

/// What is to be done about a call that was refused or did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Slow down, and try again.
    Busy,
    /// Try again: nobody answered, or the service has a problem of its own.
    Unreachable,
    /// The credentials are refused: new ones were asked for, try again.
    Credentials,
    /// The signature is refused, as this machine's clock is wrong: the next one is made with the service's time, try again.
    Clock,
    /// Not allowed: try again, less and less often, until somebody grants it.
    Denied,
    /// There is no such group or stream: make it.
    Missing,
    /// The service will never take this body: find out which event it is.
    Content,
    /// Something else: trying again is all there is.
    Other,
}

/// A call that did not do what it should.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// What is to be done.
    pub class: Class,
    /// Why, for people.
    pub error: Box<Error>,
    /// The service asked for this pause.
    pub pause: Option<Duration>,
}

/// Tells what was done, or what is to be done about it.
pub type Told<T> = std::result::Result<T, Refusal>;

/// The calls of the shipper. One try each; never a Describe.
pub trait LogStore: Send + Sync {
    /// Stores the events.
    ///
    /// # Errors
    /// Whatever kept it from being taken.
    fn put(&self, body: &LogBody) -> Told<Stored>;

    /// Makes the group with these tags; one that is there already is fine.
    ///
    /// # Errors
    /// When it cannot be made.
    fn make_group(&self, group: &str, tags: &BTreeMap<String, String>) -> Told<()>;

    /// Makes the stream; one that is there already is fine.
    ///
    /// # Errors
    /// `Missing` when there is no such group; whatever else keeps it from being made.
    fn make_stream(&self, group: &str, stream: &str) -> Told<()>;

    /// Sets how many days the group keeps events.
    ///
    /// # Errors
    /// When it cannot be set.
    fn keep(&self, group: &str, days: i32) -> Told<()>;
}

impl LogStore for Aws {
    fn put(&self, body: &LogBody) -> Told<Stored> {
        let skew = Arc::new(AtomicI64::new(0));
        let answer = self.told(&async |clients: &Clients| {
            let ready = ReadyBody { body: body.clone(), skew: skew.clone() };
            clients.logs.put_log_events().customize().interceptor(ready).send().await.map_err(|error| refusal(&error))
        });
        match answer {
            Ok(output) => Ok(stored(&output, body.events, skew.load(Ordering::Relaxed))),
            Err(refusal) if refusal.class == Class::Content && is_taken_already(&refusal.error) => {
                Ok(Stored { first: 0, end: body.events, skew: skew.load(Ordering::Relaxed) })
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn make_group(&self, group: &str, tags: &BTreeMap<String, String>) -> Told<()> {
        let tags = (!tags.is_empty()).then(|| tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
        self.told(&async |clients: &Clients| {
            let request = clients.logs.create_log_group().log_group_name(group).set_tags(tags.clone());
            existing_is_fine(request.send().await)
        })
        .map_err(|refusal| refusal.doing(format!("making log group `{group}`")))
    }

    fn make_stream(&self, group: &str, stream: &str) -> Told<()> {
        self.told(&async |clients: &Clients| {
            let request = clients.logs.create_log_stream().log_group_name(group).log_stream_name(stream);
            existing_is_fine(request.send().await)
        })
        .map_err(|refusal| refusal.doing(format!("making log stream `{stream}` in `{group}`")))
    }

    fn keep(&self, group: &str, days: i32) -> Told<()> {
        self.told(&async |clients: &Clients| {
            let request = clients.logs.put_retention_policy().log_group_name(group).retention_in_days(days);
            request.send().await.map(|_| ()).map_err(|error| refusal(&error))
        })
        .map_err(|refusal| refusal.doing(format!("setting the retention of log group `{group}` to {days} days")))
    }
}

impl Aws {
    /// One call, once. Refused credentials are asked for again before the next one.
    fn told<T>(&self, attempt: &impl AsyncFn(&Clients) -> Told<T>) -> Told<T> {
        let clients = self.clients().map_err(Refusal::before_the_call)?;
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
        let answer = self.runtime.block_on(async {
            match left {
                Some(left) => tokio::time::timeout(left, attempt(&clients)).await.unwrap_or_else(|_| {
                    Err(Refusal::new(Class::Unreachable, Error::new(Kind::TimedOut, "AWS did not answer before the deadline")))
                }),
                None => attempt(&clients).await,
            }
        });
        match &answer {
            Err(Refusal { class: Class::Credentials, .. }) if clients.is_renewed => self.begin_anew(&clients),
            Err(Refusal { class: Class::Credentials | Class::Denied, .. }) => self.renew_credentials(&clients),
            _ => {}
        }
        answer
    }
}

impl Refusal {
    /// A refusal without a wish for a pause.
    #[must_use]
    pub fn new(class: Class, error: Error) -> Self {
        Self { class, error: Box::new(error), pause: None }
    }

    /// Says what was being done.
    #[must_use]
    pub fn doing(mut self, what: String) -> Self {
        self.error = Box::new(self.error.doing(what));
        self
    }

    /// There was nothing to sign with, or nowhere to send it to.
    fn before_the_call(error: Error) -> Self {
        let class = if error.kind() == Kind::Denied { Class::Credentials } else { Class::Unreachable };
        Self::new(class, error)
    }
}

/// Puts the body into the request before it is signed, and looks at the service's clock when it answers.
#[derive(Debug)]
struct ReadyBody {
    body: LogBody,
    skew: Arc<AtomicI64>,
}

impl Intercept for ReadyBody {
    fn name(&self) -> &'static str {
        "ReadyBody"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.body.bytes.len().to_string());
        if self.body.gzip {
            request.headers_mut().insert("content-encoding", "gzip");
        }
        *request.body_mut() = SdkBody::from(self.body.bytes.clone());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let seconds = ahead(context.response().headers().get("date"));
        // The header has whole seconds; what is below is no news.
        self.skew.store(if seconds.abs() > 1 { seconds * 1000 } else { 0 }, Ordering::Relaxed);
        Ok(())
    }
}

/// By how many seconds the clock that wrote this header is ahead of ours; zero where there is none.
fn ahead(date: Option<&str>) -> i64 {
    date.and_then(|date| skew_of(date, SystemTime::now())).unwrap_or(0)
}

fn stored(output: &PutLogEventsOutput, events: usize, skew: i64) -> Stored {
    let index = |at: Option<i32>| at.and_then(|at| usize::try_from(at).ok());
    let Some(info) = output.rejected_log_events_info() else { return Stored { first: 0, end: events, skew } };
    // Both ends are exclusive, and both count from the start of the same request.
    let first = index(info.too_old_log_event_end_index()).max(index(info.expired_log_event_end_index())).unwrap_or(0).min(events);
    let end = index(info.too_new_log_event_start_index()).unwrap_or(events).clamp(first, events);
    Stored { first, end, skew }
}

/// Somebody else made it first: that is what we wanted.
fn existing_is_fine<T, E>(made: Result<T, SdkError<E>>) -> Told<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match made {
        Err(error) if error.code() == Some("ResourceAlreadyExistsException") => Ok(()),
        other => other.map(|_| ()).map_err(|error| refusal(&error)),
    }
}

/// Seconds from which on a refused signature is the clock's fault: the service allows five minutes.
const WRONG_CLOCK: i64 = 240;
/// The code that the service no longer sends, and which means that all is well.
const TAKEN_ALREADY: &str = "DataAlreadyAcceptedException";

fn is_taken_already(error: &Error) -> bool {
    error.causes().any(|cause| cause.contains(TAKEN_ALREADY))
}

fn refusal<E>(error: &SdkError<E>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let said = explain(error);
    let SdkError::ServiceError(service) = error else {
        // Credentials are looked for while the request is built.
        let class =
            if said.causes().any(|cause| cause.contains("credentials")) { Class::Credentials } else { Class::Unreachable };
        return Refusal::new(class, said);
    };
    let raw = service.raw();
    let (code, message) = (service.err().code().unwrap_or_default(), service.err().message().unwrap_or_default());
    let class = match class_of(code, message, raw.status().as_u16()) {
        Class::Clock if ahead(raw.headers().get("date")).abs() < WRONG_CLOCK => Class::Credentials,
        class => class,
    };
    Refusal { class, error: Box::new(said), pause: pause(|name| raw.headers().get(name)) }
}

/// What is to be done about an answer with this code, message and status.
fn class_of(code: &str, message: &str, status: u16) -> Class {
    const SIGNATURE: [&str; 5] =
        ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired", "AuthFailure"];
    const CONTENT: [&str; 5] =
        ["InvalidParameterException", "SerializationException", "ValidationException", "RequestEntityTooLarge", TAKEN_ALREADY];
    if SIGNATURE.contains(&code) {
        return Class::Clock;
    }
    if super::errors::is_credentials(code) {
        return Class::Credentials;
    }
    if CONTENT.contains(&code) || status == 413 {
        // A group's name that the service does not like is no event's fault.
        let address = ["logGroupName", "logStreamName", "logGroupIdentifier"].iter().any(|name| message.contains(name));
        return if address { Class::Other } else { Class::Content };
    }
    match super::errors::kind_of(code, status) {
        Kind::Throttled => Class::Busy,
        Kind::Denied => Class::Denied,
        // A proxy that knows no such page is not a missing group.
        Kind::Missing if code == "ResourceNotFoundException" => Class::Missing,
        Kind::Unreachable => Class::Unreachable,
        _ => Class::Other,
    }
}

/// The pause that the service asks for: whole seconds, or in a header of its own milliseconds.
fn pause<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> Option<Duration> {
    let number = |name| header(name).and_then(|value| value.trim().parse::<u64>().ok());
    number("x-amz-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

#[cfg(test)]
mod tests;
