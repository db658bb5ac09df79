//! One file, followed from a place on: whole lines only, renamed files read to their end before their successor.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::batch::LONGEST_EVENT;
use super::checkpoint::Place;
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Redactor, Stream};

/// Read at once.
const CHUNK: usize = 64 * 1024;
/// A writer may go on with a renamed file until it is told; only after so much silence it is done with it.
const SILENCE: Duration = Duration::from_secs(2);

/// A line, or the next piece of a very long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Redacted.
    pub(super) text: String,
    /// The place after it; pieces of a line have none until the last.
    pub(super) place: Option<Place>,
}

/// A file that is followed.
pub(super) struct Tail {
    path: PathBuf,
    resume: Option<Place>,
    open: Option<Open>,
}

struct Open {
    file: File,
    device: u64,
    inode: u64,
    /// How far we have read.
    offset: u64,
    /// Read, but not a whole line yet.
    partial: Vec<u8>,
    /// A line longer than an event is redacted as a stream, so that no secret hides across a cut.
    long: Option<Stream>,
    silent_since: Option<Instant>,
}

impl Tail {
    /// Follows the file from this place on, if it is still the same file; else from its beginning.
    pub(super) fn new(path: &Path, resume: Option<Place>) -> Self {
        Self { path: path.to_owned(), resume, open: None }
    }

    /// The next lines, about as many as there is room for. No more than what is there.
    pub(super) fn read(&mut self, mut room: usize, redactor: &Redactor) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        if self.open.is_none() {
            self.open = open(&self.path, self.resume.take().as_ref())?;
        }
        while room > 0 {
            let Some(open) = &mut self.open else { break };
            if open.file.metadata().is_ok_and(|now| now.len() < open.offset) {
                // Cut short in place: what is there now is new.
                open.restart().doing(|| format!("reading `{}`", self.path.display()))?;
            }
            let mut chunk = vec![0; CHUNK.min(room)];
            let read = open.file.read(&mut chunk).doing(|| format!("reading `{}`", self.path.display()))?;
            room -= read;
            if read > 0 {
                open.silent_since = None;
                open.take(chunk.get(..read).unwrap_or_default(), redactor, &mut lines);
                continue;
            }
            if !self.is_replaced() {
                break;
            }
            let Some(mut old) = self.open.take() else { break };
            old.end(redactor, &mut lines);
            self.open = open_new(&self.path)?;
        }
        Ok(lines)
    }

    /// Whether another file stands at the path, and nobody writes to ours any more.
    fn is_replaced(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let same = std::fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == (open.device, open.inode));
        if same {
            open.silent_since = None;
            return false;
        }
        open.silent_since.get_or_insert_with(Instant::now).elapsed() >= SILENCE
    }
}

impl Open {
    fn restart(&mut self) -> std::io::Result<()> {
        self.offset = self.file.seek(SeekFrom::Start(0))?;
        self.partial.clear();
        self.long = None;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], redactor: &Redactor, lines: &mut Vec<Line>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.offset += u64::try_from(part.len()).unwrap_or(0);
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end(redactor, lines);
            } else if self.partial.len() > LONGEST_EVENT {
                let clean = self.long.get_or_insert_with(|| redactor.stream()).push(&self.partial);
                self.partial.clear();
                if !clean.is_empty() {
                    lines.push(Line { text: String::from_utf8_lossy(&clean).into_owned(), place: None });
                }
            }
        }
    }

    /// The line, or what there is of it, is over.
    fn end(&mut self, redactor: &Redactor, lines: &mut Vec<Line>) {
        let rest = std::mem::take(&mut self.partial);
        if rest.is_empty() && self.long.is_none() {
            return;
        }
        let rest = rest.strip_suffix(b"\n").unwrap_or(&rest);
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        let text = match self.long.take() {
            Some(mut stream) => {
                let mut clean = stream.push(rest);
                clean.extend(stream.finish());
                String::from_utf8_lossy(&clean).into_owned()
            }
            None => redactor.clean(&String::from_utf8_lossy(rest)).into_owned(),
        };
        let place = Place::File { device: self.device, inode: self.inode, offset: self.offset };
        lines.push(Line { text, place: Some(place) });
    }
}

fn open_new(path: &Path) -> Result<Option<Open>> {
    open(path, None)
}

/// `None` while there is no such file. Follows no link: we read as root what others may put there.
fn open(path: &Path, resume: Option<&Place>) -> Result<Option<Open>> {
    let doing = || format!("opening `{}`", path.display());
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.doing(doing)?,
    };
    let found = file.metadata().doing(doing)?;
    if !found.is_file() {
        return Err(Error::new(Kind::Failed, "it is not a regular file").doing(doing()));
    }
    let offset = match resume {
        Some(Place::File { device, inode, offset })
            if (*device, *inode) == (found.dev(), found.ino()) && *offset <= found.len() =>
        {
            *offset
        }
        _ => 0,
    };
    file.seek(SeekFrom::Start(offset)).doing(doing)?;
    let (device, inode) = (found.dev(), found.ino());
    Ok(Some(Open { file, device, inode, offset, partial: Vec::new(), long: None, silent_since: None }))
}

#[cfg(test)]
mod tests;
