//! What a child prints, collected with bounded memory: the newest bytes are kept, since errors stand at the end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};

/// One output of a child.
pub struct Collected {
    pipe: Option<File>,
    kept: VecDeque<u8>,
    limit: usize,
    lost: bool,
}

impl Collected {
    /// From this pipe, which must not block, keeping the last `limit` bytes.
    pub fn new(pipe: Option<File>, limit: usize) -> Self {
        Self { pipe, kept: VecDeque::new(), limit, lost: false }
    }

    /// The pipe, until its other end is closed.
    pub fn pipe(&self) -> Option<&File> {
        self.pipe.as_ref()
    }

    /// Whether older bytes were dropped.
    pub fn lost_some(&self) -> bool {
        self.lost
    }

    /// Takes what is there now, and shows it to `seen`.
    pub fn take(&mut self, mut seen: impl FnMut(&[u8])) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut chunk = [0_u8; 16 * 1024];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                let bytes = chunk.get(..count).unwrap_or_default();
                seen(bytes);
                self.kept.extend(bytes);
                let over = self.kept.len().saturating_sub(self.limit);
                self.lost |= over > 0;
                self.kept.drain(..over);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// All that was kept.
    pub fn into_bytes(self) -> Vec<u8> {
        self.kept.into()
    }
}
