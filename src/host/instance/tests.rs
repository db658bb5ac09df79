//! Discovery against a small metadata service on loopback, one behaviour each.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const DOCUMENT: &str = r#"{"instanceId":"i-0123","instanceType":"t3.small","region":"eu-west-1","availabilityZone":"eu-west-1a",
    "accountId":"123456789012","privateIp":"10.0.0.7","pendingTime":"2026-01-02T03:04:05Z","billingProducts":null}"#;

/// Answers each request with what `reply` makes of its head: status and body. `None` says nothing at all.
fn service(reply: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reply = Arc::new(reply);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let reply = reply.clone();
            std::thread::spawn(move || answer(stream, &*reply));
        }
    });
    address
}

fn answer(mut stream: TcpStream, reply: &dyn Fn(&str) -> Option<(u16, String)>) {
    let mut head = Vec::new();
    let mut byte = [0_u8];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let Some((status, body)) = reply(&head) else {
        std::thread::sleep(Duration::from_secs(20));
        return;
    };
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
}

/// A service as it should be, below a path of its own.
fn faithful(head: &str) -> Option<(u16, String)> {
    let line = head.lines().next().unwrap_or_default();
    if line.starts_with("put /i-0123/latest/api/token") && head.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600") {
        return Some((200, "TOKEN".to_owned()));
    }
    if !head.contains("x-aws-ec2-metadata-token: token") {
        return Some((401, String::new()));
    }
    let answers = [
        ("/latest/dynamic/instance-identity/document", DOCUMENT),
        ("/latest/meta-data/autoscaling/target-lifecycle-state", "Warmed:Stopped"),
        ("/latest/meta-data/tags/instance/name", "web"),
        ("/latest/meta-data/tags/instance/stage", "prod"),
        ("/latest/meta-data/tags/instance", "name\nstage"),
    ];
    let path = line.split(' ').nth(1)?;
    let found = answers.iter().find(|(known, _)| path.strip_prefix("/i-0123") == Some(known));
    Some(found.map_or((404, String::new()), |(_, body)| (200, (*body).to_owned())))
}

fn discover(address: &str, limit: Duration, evident: bool) -> Result<Discovery> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let imds = Imds::at(address, runtime.handle().clone()).unwrap();
    Instance::discover_with(&imds, limit, evident)
}

#[test]
fn all_facts_come_with_a_token_and_below_a_path() {
    let address = format!("http://{}/i-0123/", service(faithful));
    let Discovery::Known(instance) = discover(&address, Duration::from_secs(5), true).unwrap() else { panic!("absent") };
    let values = instance.values();
    assert_eq!(values["id"], "i-0123");
    assert_eq!(values["tags"]["stage"], "prod");
    assert_eq!(values["lifecycle"]["warming"], true);
    assert_eq!(values["az"], "eu-west-1a");
    assert!(instance.pending_since.is_some());
}

#[test]
fn what_is_not_there_is_no_error() {
    let bare = |head: &str| {
        if head.contains("document") || head.starts_with("put") { faithful(head) } else { Some((404, String::new())) }
    };
    let address = format!("http://{}/i-0123", service(bare));
    let Discovery::Known(instance) = discover(&address, Duration::from_secs(5), true).unwrap() else { panic!("absent") };
    assert!(instance.target_state.is_none() && instance.tags.is_empty() && !instance.is_warming());
}

#[test]
fn version_1_is_never_used() {
    let plain_requests = Arc::new(AtomicUsize::new(0));
    let counter = plain_requests.clone();
    let address = service(move |head| {
        if head.starts_with("get") {
            counter.fetch_add(1, Ordering::SeqCst);
            return Some((200, DOCUMENT.to_owned()));
        }
        Some((403, String::new()))
    });
    let error = discover(&format!("http://{address}"), Duration::from_secs(5), true).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(plain_requests.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stranger_who_refuses_is_not_ec2() {
    let address = service(|_| Some((403, String::new())));
    let found = discover(&format!("http://{address}"), Duration::from_secs(5), false).unwrap();
    assert!(matches!(found, Discovery::Absent(_)));
}

#[test]
fn nobody_there_is_absent_and_quick() {
    let address = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let started = Instant::now();
    let found = discover(&format!("http://{address}"), Duration::from_millis(50), false).unwrap();
    assert!(matches!(found, Discovery::Absent(_)));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn a_stranger_who_says_nothing_holds_a_dry_run_up_for_its_limit_only() {
    let address = service(|_| None);
    let started = Instant::now();
    let found = discover(&format!("http://{address}"), Duration::from_millis(50), false).unwrap();
    assert!(matches!(found, Discovery::Absent(_)));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn a_slow_service_is_waited_for_where_there_is_evidence() {
    let tries = AtomicUsize::new(0);
    let address =
        service(move |head| if tries.fetch_add(1, Ordering::SeqCst) < 3 { Some((503, String::new())) } else { faithful(head) });
    let found = discover(&format!("http://{address}/i-0123"), Duration::from_secs(10), true).unwrap();
    assert!(matches!(found, Discovery::Known(_)));
}

#[test]
fn an_instance_whose_service_is_gone_is_an_error_and_not_absent() {
    let address = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let error = discover(&format!("http://{address}"), Duration::from_millis(1500), true).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.advice().is_some_and(|hint| hint.contains("hop limit")));
}

#[test]
fn another_clouds_service_is_not_ours() {
    let address = service(|_| Some((405, String::new())));
    assert!(matches!(discover(&format!("http://{address}"), Duration::from_secs(5), false).unwrap(), Discovery::Absent(_)));
}
