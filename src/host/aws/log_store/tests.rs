//! The SDK with our body in it, against a server on loopback that answers what a test says and shows what it was sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, channel};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::*;

/// Counts how often somebody asks.
#[derive(Debug, Default)]
struct Issued(AtomicUsize);

#[derive(Debug, Clone, Default)]
struct Issuer(Arc<Issued>);

impl ProvideCredentials for Issuer {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.0.fetch_add(1, Ordering::Relaxed);
        future::ProvideCredentials::ready(Ok(Credentials::new(format!("AKID{number}"), "secret", None, None, "test")))
    }
}

struct Seen {
    head: String,
    body: Vec<u8>,
}

struct Rig {
    aws: Aws,
    seen: Receiver<Seen>,
    issuer: Issuer,
    _runtime: tokio::runtime::Runtime,
}

/// Answers one request after the other with these heads and bodies.
fn rig(answers: Vec<(&'static str, &'static str)>) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        while let Ok((connection, _)) = listener.accept() {
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            loop {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap_or(0) == 0 {
                        break;
                    }
                }
                let Some(length) =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                else {
                    break;
                };
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                tell.send(Seen { head, body }).unwrap();
                let Some((head, body)) = answers.next() else { return };
                write!(&connection, "HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = Issuer::default();
    let config = runtime.block_on(
        aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(SharedCredentialsProvider::new(issuer.clone()))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .load(),
    );
    let aws = Aws::new(runtime.handle().clone());
    *aws.clients.lock().unwrap() = Some(Arc::new(Clients::new(config)));
    Rig { aws, seen, issuer, _runtime: runtime }
}

fn body() -> LogBody {
    LogBody { bytes: Bytes::from_static(b"\x1f\x8b not really compressed"), gzip: true, events: 5 }
}

#[test]
fn our_body_goes_out_as_it_is_and_signed() {
    let rig = rig(vec![("200 OK", "{}")]);
    let stored = rig.aws.put(&body()).unwrap();
    assert_eq!((stored.first, stored.end), (0, 5));
    let seen = rig.seen.recv().unwrap();
    assert_eq!(seen.body, body().bytes);
    let head = seen.head.to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(head.contains("x-amz-target: logs_20140328.putlogevents"), "{head}");
    let signed = head.lines().find(|line| line.starts_with("authorization: aws4-hmac-sha256")).unwrap();
    assert!(signed.contains("content-encoding") && signed.contains("signature="), "{signed}");
    assert_eq!(head.matches("content-length:").count(), 1, "{head}");
}

#[test]
fn the_rejected_ends_are_told_apart_from_what_was_stored() {
    let rig = rig(vec![
        (
            "200 OK",
            r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"expiredLogEventEndIndex":2,"tooNewLogEventStartIndex":4}}"#,
        ),
        ("200 OK", r#"{"rejectedLogEventsInfo":{"tooNewLogEventStartIndex":0}}"#),
        ("200 OK", r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":5}}"#),
    ]);
    let put = || rig.aws.put(&body()).map(|stored| (stored.first, stored.end)).unwrap();
    assert_eq!([put(), put(), put()], [(2, 4), (0, 0), (5, 5)]);
}

#[test]
fn a_busy_service_may_ask_for_a_pause() {
    let rig = rig(vec![
        ("400 Bad Request\r\nretry-after: 7", r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        ("503 Busy\r\nx-amz-retry-after: 1500", r#"{"__type":"ServiceUnavailableException"}"#),
    ]);
    let refused = rig.aws.put(&body()).unwrap_err();
    assert_eq!((refused.class, refused.pause), (Class::Busy, Some(Duration::from_secs(7))));
    let refused = rig.aws.put(&body()).unwrap_err();
    assert_eq!((refused.class, refused.pause), (Class::Unreachable, Some(Duration::from_millis(1500))));
}

#[test]
fn where_new_credentials_are_refused_as_well_everything_begins_anew() {
    let expired = ("400 No", r#"{"__type":"ExpiredTokenException","message":"expired"}"#);
    let rig = rig(vec![expired, expired]);
    let has_clients = || rig.aws.clients.lock().unwrap().is_some();
    assert_eq!(rig.aws.put(&body()).unwrap_err().class, Class::Credentials);
    assert!(has_clients(), "the connections are kept");
    assert_eq!(rig.aws.put(&body()).unwrap_err().class, Class::Credentials);
    assert!(!has_clients());
}

#[test]
fn refused_credentials_are_asked_for_again() {
    let rig =
        rig(vec![("400 No", r#"{"__type":"ExpiredTokenException","message":"expired"}"#), ("200 OK", "{}"), ("200 OK", "{}")]);
    assert_eq!(rig.aws.put(&body()).unwrap_err().class, Class::Credentials);
    rig.aws.put(&body()).unwrap();
    rig.aws.put(&body()).unwrap();
    assert_eq!(rig.issuer.0.0.load(Ordering::Relaxed), 2, "once at first, once after the refusal");
    let heads: Vec<String> = (0..3).map(|_| rig.seen.recv().unwrap().head).collect();
    let by = |head: &str, key| head.contains(&format!("Credential={key}/"));
    assert!(by(&heads[0], "AKID0") && by(&heads[1], "AKID1") && by(&heads[2], "AKID1"));
}

#[test]
fn a_wrong_clock_is_corrected_by_what_the_service_says() {
    let rig = rig(vec![
        (
            "400 No\r\ndate: Tue, 14 Nov 2023 22:23:20 GMT",
            r#"{"__type":"InvalidSignatureException","message":"Signature not yet current"}"#,
        ),
        ("200 OK\r\ndate: Tue, 14 Nov 2023 22:23:21 GMT", "{}"),
    ]);
    assert_eq!(rig.aws.put(&body()).unwrap_err().class, Class::Clock);
    let stored = rig.aws.put(&body()).unwrap();
    assert!(stored.skew < -1000 * 86_400 * 365, "the service lives in the past: {}", stored.skew);
    let heads: Vec<String> = (0..2).map(|_| rig.seen.recv().unwrap().head).collect();
    assert!(heads[1].contains("20231114T2223"), "signed with the service's time: {}", heads[1]);
    assert!(!heads[0].contains("20231114T2223"));
}

#[test]
fn nobody_there_is_worth_another_try() {
    let rig = rig(vec![]);
    assert_eq!(rig.aws.put(&body()).unwrap_err().class, Class::Unreachable);
}

#[test]
fn what_exists_already_is_fine_and_what_is_missing_is_said() {
    let rig = rig(vec![
        ("400 No", r#"{"__type":"ResourceAlreadyExistsException"}"#),
        ("400 No", r#"{"__type":"ResourceAlreadyExistsException"}"#),
        ("400 No", r#"{"__type":"ResourceNotFoundException","message":"The specified log group does not exist."}"#),
        ("400 No", r#"{"__type":"DataAlreadyAcceptedException"}"#),
    ]);
    rig.aws.make_group("g", &BTreeMap::from([("team".to_owned(), "a".to_owned())])).unwrap();
    rig.aws.make_stream("g", "s").unwrap();
    assert_eq!(rig.aws.make_stream("g", "s").unwrap_err().class, Class::Missing);
    assert_eq!(rig.aws.put(&body()).unwrap().end, 5);
    assert!(String::from_utf8_lossy(&rig.seen.recv().unwrap().body).contains(r#""tags":{"team":"a"}"#));
}

#[test]
fn every_answer_has_its_class() {
    for (code, message, status, class) in [
        ("ThrottlingException", "", 400, Class::Busy),
        ("", "", 429, Class::Busy),
        ("LimitExceededException", "", 400, Class::Busy),
        ("ServiceUnavailableException", "", 503, Class::Unreachable),
        ("", "", 500, Class::Unreachable),
        ("RequestTimeout", "", 408, Class::Unreachable),
        ("OperationAbortedException", "", 400, Class::Unreachable),
        ("ExpiredToken", "", 403, Class::Credentials),
        ("UnrecognizedClientException", "", 400, Class::Credentials),
        ("InvalidSignatureException", "", 403, Class::Clock),
        ("AccessDeniedException", "", 400, Class::Denied),
        ("", "", 403, Class::Denied),
        ("ResourceNotFoundException", "", 400, Class::Missing),
        ("", "", 404, Class::Other),
        ("InvalidParameterException", "Log event too large", 400, Class::Content),
        ("InvalidParameterException", "Value 'a b' at 'logGroupName' failed to satisfy constraint", 400, Class::Other),
        ("SerializationException", "", 400, Class::Content),
        ("", "", 413, Class::Content),
        ("SomethingNew", "", 400, Class::Other),
    ] {
        assert_eq!(class_of(code, message, status), class, "{code} {status}");
    }
}
