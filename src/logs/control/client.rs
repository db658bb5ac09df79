//! The run's end: asks, and waits no longer than it said it would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Ask, LONGEST, Question, Reply, VERSION, judge, socket};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, handover};

/// How long an answer may take that needs no network.
const AT_ONCE: Duration = Duration::from_secs(5);
/// An answer to a flush comes this much after its limit at the latest.
const MARGIN: Duration = Duration::from_millis(500);

/// Asks the service that has its socket in this folder.
#[derive(Debug, Clone)]
pub struct Client {
    runtime: PathBuf,
}

impl Client {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(runtime: &Path) -> Self {
        Self { runtime: runtime.to_owned() }
    }

    /// Where the service keeps its records.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn state(&self) -> Result<PathBuf> {
        Ok(self.ask(Ask::Hello, AT_ONCE)?.state)
    }

    /// Hands over secrets, to be masked in everything that is shipped.
    ///
    /// # Errors
    /// When it does not answer, or could not learn them.
    pub fn learn(&self, secrets: &[Secret]) -> Result<()> {
        let text = handover::encode(secrets);
        self.ask(Ask::Learn(&text), AT_ONCE).map(drop)
    }

    /// Ships what was written so far, for at most this long. Whether all of it went out.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn flush(&self, limit: Duration) -> Result<bool> {
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Ok(self.ask(Ask::Flush { milliseconds }, limit + MARGIN)?.done)
    }

    /// Lets it read its configuration again.
    ///
    /// # Errors
    /// When it does not answer, or cannot use what it read.
    pub fn reload(&self) -> Result<()> {
        self.ask(Ask::Reload, AT_ONCE).map(drop)
    }

    fn ask(&self, ask: Ask<'_>, limit: Duration) -> Result<Reply> {
        self.exchange(ask, limit).doing(|| "asking the service that ships logs".to_owned())
    }

    fn exchange(&self, ask: Ask<'_>, limit: Duration) -> Result<Reply> {
        let mut stream = UnixStream::connect(socket(&self.runtime))?;
        judge(&stream)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let mut question = zeroize::Zeroizing::new(Vec::with_capacity(ask.size()));
        serde_json::to_writer(&mut *question, &Question { version: VERSION, ask })
            .map_err(|error| Error::from_source(Kind::Bug, &error))?;
        question.push(b'\n');
        stream.write_all(&question)?;
        let mut line = String::new();
        BufReader::new(stream).take(LONGEST).read_line(&mut line)?;
        let reply: Reply = serde_json::from_str(&line).map_err(|_| Error::new(Kind::Failed, "it gave no answer"))?;
        match reply.error {
            Some(error) => Err(Error::new(Kind::Failed, error)),
            None => Ok(reply),
        }
    }
}

impl Ask<'_> {
    /// Enough room for it as JSON: a buffer that grows leaves copies of secrets behind.
    fn size(&self) -> usize {
        match self {
            Self::Learn(secrets) => secrets.len() + 100,
            _ => 100,
        }
    }
}
