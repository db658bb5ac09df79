//! Over HTTP as git itself serves it: its own CGI program behind a few lines of server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Project, git, has};
use crate::error::Kind;
use crate::host::git::access::Access;
use crate::host::git::address::Address;
use crate::host::git::bring::{Wish, ask, bring};
use crate::secret::Secret;

/// What the server was asked: first line and authorization.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

struct Server {
    port: u16,
    seen: Seen,
}

impl Server {
    /// Serves the folder; asks for a token if told; answers below `/away` with a redirect to there.
    fn start(root: PathBuf, token: Option<&'static str>, away: Option<String>) -> Self {
        use base64::Engine as _;
        let basic = |token| base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        Self::that_wants(root, token.map(|token| format!("Basic {}", basic(token))), away)
    }

    /// The same with the whole text that it wants as authorization.
    fn that_wants(root: PathBuf, authorization: Option<String>, away: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let journal = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &root, authorization.as_deref(), away.as_deref(), &journal);
            }
        });
        Self { port, seen }
    }

    fn access(&self, path: &str, token: Option<&str>) -> Arc<Access> {
        let url = format!("http://127.0.0.1:{}/{path}", self.port); // The form that a playbook cannot say.
        let address = Address::Https { host: format!("127.0.0.1:{}", self.port), url };
        let mut access = Access::new(address, Duration::from_secs(30)).unwrap();
        access.token = token.map(|token| ("x-access-token".to_owned(), Secret::new(token)));
        Arc::new(access)
    }
}

fn answer(mut stream: TcpStream, root: &Path, expected: Option<&str>, away: Option<&str>, journal: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut headers = std::collections::HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |size| size.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    journal.lock().unwrap().push((first.trim().to_owned(), headers.get("authorization").cloned()));
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let (Some(away), Some(rest)) = (away, path.strip_prefix("/away")) {
        return write!(
            stream,
            "HTTP/1.1 301 Moved\r\nLocation: {away}{rest}?{query}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
    }
    if let Some(expected) = expected.filter(|expected| headers.get("authorization").map(String::as_str) != Some(*expected)) {
        let scheme = expected.split(' ').next().unwrap();
        return write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {scheme} realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
    }
    let mut child = Command::new("git")
        .arg("http-backend")
        .envs([("GIT_PROJECT_ROOT", root.to_str().unwrap()), ("GIT_HTTP_EXPORT_ALL", "1"), ("PATH_INFO", path)])
        .envs([("REQUEST_METHOD", method), ("QUERY_STRING", query)])
        .env("CONTENT_TYPE", headers.get("content-type").map_or("", String::as_str))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n\r\n").unwrap();
    stream.write_all(&output[end + 4..]).unwrap();
}

#[test]
fn a_private_repository_is_read_with_its_token() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let server = Server::start(project.folder.path().to_owned(), Some("token-123456"), None);
    let access = || server.access("bare.git", Some("token-123456"));
    let wish = |revision: &str| Wish { url: "https://host.example/bare.git".into(), ..project.wish(Some(revision)) };
    bring(&wish("main"), &access()).unwrap();
    assert_eq!(project.checkout().commit, project.id("main"));
    assert_eq!(git(&project.tree(), &["rev-list", "--count", "HEAD"]), "1");
    project.commit("four.txt", "four\n");
    project.push();
    for revision in ["main", "v1", &project.id("main~1"), "main"] {
        bring(&wish(revision), &access()).unwrap_or_else(|error| panic!("{revision}: {error}"));
        assert_eq!(project.checkout().commit, project.id(revision), "{revision}");
    }
    let git_dir = Command::new("grep").args(["-r", "token-123456"]).arg(project.tree()).output().unwrap();
    assert!(git_dir.stdout.is_empty(), "the token is on disk");
}

#[test]
fn a_server_that_wants_a_bearer_token_gets_it_as_one() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let server = Server::that_wants(project.folder.path().to_owned(), Some("Bearer token-123456".to_owned()), None);
    let wish = Wish { url: "https://host.example/bare.git".into(), ..project.wish(Some("main")) };
    bring(&wish, &server.access("bare.git", Some("token-123456"))).unwrap();
    assert_eq!(project.checkout().commit, project.id("main"));
    let seen = server.seen.lock().unwrap().clone();
    let refused = seen.iter().filter(|(_, authorization)| authorization.as_deref() != Some("Bearer token-123456")).count();
    assert_eq!(refused, 1, "asked once, then known: {seen:?}");
    let error = ask(&server.access("bare.git", Some("wrong-token")), None).unwrap_err();
    assert!(error.to_string().contains("refused the token"), "{error}");
}

#[test]
fn refusals_say_what_to_do() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let server = Server::start(project.folder.path().to_owned(), Some("token-123456"), None);
    let error = ask(&server.access("bare.git", None), None).unwrap_err();
    assert_eq!((error.kind(), error.advice()), (Kind::Denied, Some("give a token under `token:`")));
    let error = ask(&server.access("bare.git", Some("wrong-token")), None).unwrap_err();
    assert!(error.to_string().contains("refused the token") && !error.to_string().contains("wrong-token"), "{error}");
    let error = ask(&server.access("absent.git", Some("token-123456")), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    if !has(&["git"]) {
        return;
    }
    let project = Project::new();
    let target = Server::start(project.folder.path().to_owned(), None, None);
    let away = format!("http://127.0.0.1:{}", target.port);
    let server = Server::start(project.folder.path().to_owned(), None, Some(away));
    let wish = Wish { url: "https://host.example/bare.git".into(), ..project.wish(Some("main")) };
    bring(&wish, &server.access("away/bare.git", Some("token-123456"))).unwrap();
    assert_eq!(project.checkout().commit, project.id("main"));
    assert!(server.seen.lock().unwrap().iter().all(|(_, authorization)| authorization.is_some()));
    let seen = target.seen.lock().unwrap().clone();
    assert!(seen.iter().any(|(line, _)| line.starts_with("POST")), "{seen:?}");
    assert!(seen.iter().all(|(_, authorization)| authorization.is_none()), "{seen:?}");
}

#[test]
fn redirects_end() {
    let server = Server::start(PathBuf::from("/nowhere"), None, Some("/away".into()));
    let error = ask(&server.access("away/bare.git", None), None).unwrap_err();
    assert!(error.to_string().contains("more than 5 times"), "{error}");
}
