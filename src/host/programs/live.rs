//! Lines of a running program, redacted across the edges of its writes, handed out one by one.

use crate::host::LineSink;
use crate::secret::{Redactor, Stream};

/// A line longer than this is handed out in parts: a program that never ends its line must not eat our memory.
const LONGEST_LINE: usize = 8 * 1024;

/// Turns one output of a program into lines.
pub struct Lines<'s> {
    sink: &'s LineSink,
    stream: Option<Stream>,
    line: Vec<u8>,
}

impl<'s> Lines<'s> {
    /// Lines that go to this sink.
    pub fn new(sink: &'s LineSink, redactor: &Redactor) -> Self {
        Self { sink, stream: Some(redactor.stream()), line: Vec::new() }
    }

    /// The program wrote this.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream {
            let clean = stream.push(bytes);
            self.split(&clean);
        }
    }

    /// The program has ended.
    pub fn finish(mut self) {
        if let Some(stream) = self.stream.take() {
            let clean = stream.finish();
            self.split(&clean);
        }
        self.hand_out();
    }

    fn split(&mut self, clean: &[u8]) {
        for byte in clean {
            // A carriage return redraws a progress bar: each drawing counts as a line.
            if matches!(byte, b'\n' | b'\r') || self.line.len() >= LONGEST_LINE {
                self.hand_out();
            }
            if !matches!(byte, b'\n' | b'\r') {
                self.line.push(*byte);
            }
        }
    }

    fn hand_out(&mut self) {
        let text = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        if !text.is_empty() {
            (self.sink)(&text);
        }
    }
}

/// The line, cut where nobody reads on.
pub fn shortened(line: &str) -> String {
    const WIDEST: usize = 500;
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}
