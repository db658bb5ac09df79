//! As much of HTTP/1.1 as SDKs speak to a service: a head, and a body whose length is said.

use std::ops::Range;

use crate::{Trouble, Wire};

/// What was read and not used yet; reused from request to request.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

/// One request, within the buffer.
pub struct Request {
    head: String,
    body: Vec<u8>,
    used: Range<usize>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// Method and path.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// The next request; `None` when the client is gone.
pub fn read(from: &mut impl Wire, buffer: &mut Buffer) -> Result<Option<Request>, Trouble> {
    let head_end = loop {
        if let Some(at) = memchr::memmem::find(&buffer.bytes[..buffer.filled], b"\r\n\r\n") {
            break at + 4;
        }
        if !buffer.fill(from, 64 << 10)? {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer.bytes[..head_end].to_vec())?;
    let mut request = Request { head, body: Vec::new(), used: 0..0 };
    let length: usize = match request.header("content-length") {
        Some(length) => length.parse()?,
        None if request.header("transfer-encoding").is_some() => return Err("chunked bodies are not spoken here".into()),
        None => 0,
    };
    while buffer.filled < head_end + length {
        if !buffer.fill(from, head_end + length - buffer.filled)? {
            return Ok(None);
        }
    }
    request.body = buffer.bytes[head_end..head_end + length].to_vec();
    request.used = 0..head_end + length;
    Ok(Some(request))
}

impl Buffer {
    /// Reads some more; whether there was any.
    fn fill(&mut self, from: &mut impl Wire, wanted: usize) -> Result<bool, Trouble> {
        if self.bytes.len() < self.filled + wanted {
            self.bytes.resize(self.filled + wanted, 0);
        }
        let read = from.read(&mut self.bytes[self.filled..])?;
        self.filled += read;
        Ok(read > 0)
    }

    /// Forgets a request that was answered.
    pub fn done(&mut self, request: &Request) {
        self.bytes.copy_within(request.used.end..self.filled, 0);
        self.filled -= request.used.end;
    }
}

/// An answer of the service.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into() }
    }

    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self { status, body: serde_json::json!({ "__type": kind, "message": message }).to_string() }
    }

    /// As it leaves, with this date.
    pub fn bytes(&self, date: &str) -> Vec<u8> {
        // Some shippers take an answer without the identifier for a failure.
        format!(
            "HTTP/1.1 {} X\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-RequestId: 00000000-0000\r\ndate: {date}\r\n\
             content-length: {}\r\n\r\n{}",
            self.status,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}
