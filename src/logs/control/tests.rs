//! Both ends of the socket, in one process.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::secret::{Redactor, Secret};

/// Learns into a redactor, notes everything else.
#[derive(Default)]
struct Notes {
    redactor: Redactor,
    asked: Mutex<Vec<String>>,
}

impl Served for Notes {
    fn learn(&self, secrets: &[Secret]) -> Result<()> {
        secrets.iter().for_each(|secret| self.redactor.learn(secret));
        Ok(())
    }

    fn flush(&self, limit: Duration) -> bool {
        self.asked.lock().unwrap().push(format!("flush {limit:?}"));
        limit > Duration::from_secs(1)
    }

    fn reload(&self) -> Result<()> {
        Err(Error::new(Kind::Playbook, "`x` is not the name of a log group"))
    }
}

fn served() -> (tempfile::TempDir, Arc<Notes>, Server) {
    let folder = tempfile::tempdir().unwrap();
    let notes = Arc::new(Notes::default());
    let server = Server::start(&folder.path().join("run"), Path::new("/the/state"), notes.clone()).unwrap();
    (folder, notes, server)
}

#[test]
fn every_question_is_answered() {
    let (folder, notes, _server) = served();
    let client = Client::new(&folder.path().join("run"));
    assert_eq!(client.state().unwrap(), Path::new("/the/state"));
    client.learn(&[Secret::new("correct horse"), Secret::new("battery staple\nwith \"quotes\"")]).unwrap();
    assert_eq!(notes.redactor.clean("a correct horse, a battery staple"), "a ***, a ***");
    assert!(client.flush(Duration::from_secs(5)).unwrap());
    assert!(!client.flush(Duration::from_millis(10)).unwrap());
    assert_eq!(*notes.asked.lock().unwrap(), ["flush 5s", "flush 10ms"]);
    assert!(client.reload().unwrap_err().to_string().contains("name of a log group"));
}

#[test]
fn nobody_but_the_owner_reaches_the_socket() {
    let (folder, _, _server) = served();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let run = folder.path().join("run");
    assert_eq!((mode(&run), mode(&run.join(SOCKET))), (0o700, 0o600));
}

#[test]
fn nonsense_is_refused_without_being_repeated() {
    use std::io::{Read as _, Write as _};
    let (folder, _, _server) = served();
    for question in
        ["hunter2hunter2\n", "{\"version\":1,\"ask\":{\"learn\":\"!hunter2\"}}\n", "{\"version\":9,\"ask\":\"hello\"}\n"]
    {
        let mut stream = std::os::unix::net::UnixStream::connect(folder.path().join("run").join(SOCKET)).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"done\":false") && answer.contains("error") && !answer.contains("hunter2"), "{answer}");
    }
}

#[test]
fn who_finds_nobody_is_told_at_once() {
    let (folder, _, server) = served();
    let client = Client::new(&folder.path().join("run"));
    drop(server);
    let begun = Instant::now();
    assert!(client.flush(Duration::from_secs(20)).is_err());
    assert!(begun.elapsed() < Duration::from_secs(1));
    // The next one takes the place of one that was killed.
    std::fs::write(folder.path().join("run").join(SOCKET), "").unwrap();
    let _server = Server::start(&folder.path().join("run"), Path::new("/s"), Arc::new(Notes::default())).unwrap();
    assert!(client.state().is_ok());
}
