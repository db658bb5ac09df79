//! The service's end: a thread that answers one question after the other. Only a flush takes its time, and has a thread of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Ask, LONGEST, Question, Reply, VERSION, judge, socket};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, handover};

/// Whoever connects says at once what he wants.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nobody waits longer for a flush than for the verdict of a run.
const LONGEST_FLUSH: Duration = Duration::from_mins(1);

/// What can be asked of the service.
pub trait Served: Send + Sync {
    /// Masks these from now on.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn learn(&self, secrets: &[Secret]) -> Result<()>;

    /// Ships what was written so far, for at most this long. Whether all of it went out.
    fn flush(&self, limit: Duration) -> bool;

    /// Reads the configuration again.
    ///
    /// # Errors
    /// When it cannot be used.
    fn reload(&self) -> Result<()>;
}

/// Answers until it is dropped.
pub struct Server {
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Begins to answer on a socket in this folder, which is made when missing. `state` is where the service keeps its records.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(runtime: &Path, state: &Path, served: Arc<dyn Served>) -> Result<Self> {
        let path = socket(runtime);
        let listener = listen(runtime, &path).doing(|| format!("listening on `{}`", path.display()))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, state) = (stopped.clone(), state.to_owned());
        let answer = move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (state, served) = (state.clone(), served.clone());
                let answered = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
                    if let Err(error) = answer(stream, &state, &*served) {
                        tracing::warn!(%error, "a question was not answered");
                    }
                });
                if let Err(error) = answered {
                    tracing::warn!(%error, "a question was not answered");
                }
            }
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(answer).doing(|| "starting to answer".to_owned())?;
        Ok(Self { path, stopped })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it is over.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A socket that nobody but its owner can reach, at any moment: the folder is closed before the socket is there.
fn listen(runtime: &Path, path: &Path) -> std::io::Result<UnixListener> {
    if !runtime.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(runtime)?;
    }
    std::fs::set_permissions(runtime, std::fs::Permissions::from_mode(0o700))?;
    // Left by one that was killed: the lock on the state says that it is gone.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn answer(mut stream: UnixStream, state: &Path, served: &dyn Served) -> Result<()> {
    judge(&stream)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new(&stream).take(LONGEST).read_line(&mut line)?;
    let (done, error) = match heard(&line, served) {
        Ok(done) => (done, None),
        Err(error) => (false, Some(error.to_string())),
    };
    let reply = Reply { version: VERSION, state: state.to_owned(), done, error };
    let mut text = serde_json::to_vec(&reply).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    text.push(b'\n');
    stream.write_all(&text)?;
    Ok(())
}

fn heard(line: &str, served: &dyn Served) -> Result<bool> {
    // What is not understood is not repeated: it may hold a secret.
    let not_understood = |_| Error::new(Kind::Failed, "the question was not understood");
    let question: Question<'_> = serde_json::from_str(line).map_err(not_understood)?;
    if question.version != VERSION {
        let ours = format!("this service speaks version {VERSION} of the protocol, not {}", question.version);
        return Err(Error::new(Kind::Failed, ours).hint("restart the service"));
    }
    match question.ask {
        Ask::Hello => Ok(true),
        Ask::Learn(secrets) => {
            let secrets = handover::decode(secrets).ok_or_else(|| Error::new(Kind::Failed, "the secrets were not understood"))?;
            served.learn(&secrets).map(|()| true)
        }
        Ask::Flush { milliseconds } => Ok(served.flush(Duration::from_millis(milliseconds).min(LONGEST_FLUSH))),
        Ask::Reload => served.reload().map(|()| true),
    }
}
