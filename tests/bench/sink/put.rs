//! The body of `PutLogEvents`, read without making a value of it, and every limit the service states for it.

use memchr::{memchr, memchr2};

/// The service's limits.
const MOST_BYTES: usize = 1_048_576;
const OVERHEAD: usize = 26;
const MOST_EVENTS: usize = 10_000;
const DAY: i64 = 86_400_000;

/// A batch as it came.
#[derive(Default)]
pub struct Put<'b> {
    pub group: &'b str,
    pub stream: &'b str,
    /// Instant, and the message still escaped.
    pub events: Vec<(i64, &'b [u8])>,
    /// Bytes of the messages when they are unescaped.
    pub message_bytes: usize,
}

/// Which events are not stored though the call succeeds.
pub struct Window {
    pub too_old_end: usize,
    pub expired_end: usize,
    pub too_new_start: usize,
}

impl<'b> Put<'b> {
    pub fn read(body: &'b [u8]) -> Result<Self, String> {
        let mut put = Self::default();
        let mut reader = Reader { body, at: 0 };
        reader.object(|reader, key| {
            match key {
                "logGroupName" => put.group = text(reader.string()?)?,
                "logStreamName" => put.stream = text(reader.string()?)?,
                "logEvents" => reader.array(|reader| {
                    let (mut at, mut message) = (None, None);
                    reader.object(|reader, key| {
                        match key {
                            "timestamp" => at = Some(reader.number()?),
                            "message" => message = Some(reader.string()?),
                            other => return Err(format!("an event has no `{other}`")),
                        }
                        Ok(())
                    })?;
                    put.events.push((at.ok_or("an event without a timestamp")?, message.ok_or("an event without a message")?));
                    Ok(())
                })?,
                "sequenceToken" => drop(reader.string()?),
                other => return Err(format!("a call has no `{other}`")),
            }
            Ok(())
        })?;
        put.check()?;
        Ok(put)
    }

    fn check(&mut self) -> Result<(), String> {
        let (Some(first), Some(last)) = (self.events.first(), self.events.last()) else { return Err("no events".to_owned()) };
        if self.events.len() > MOST_EVENTS {
            return Err(format!("{} events in a call", self.events.len()));
        }
        if !self.events.is_sorted_by_key(|(at, _)| *at) {
            return Err("log events in a single call must be in chronological order".to_owned());
        }
        if last.0 - first.0 >= DAY {
            return Err("the events of a call span 24 hours".to_owned());
        }
        let mut bytes = 0;
        for (_, message) in &self.events {
            let size = unescaped_size(message)?;
            if size == 0 {
                return Err("an empty message".to_owned());
            }
            bytes += size;
        }
        self.message_bytes = bytes;
        let counted = bytes + self.events.len() * OVERHEAD;
        if counted > MOST_BYTES { Err(format!("upload too large: {counted} bytes")) } else { Ok(()) }
    }

    /// What is stored of it at this instant, by a group that keeps events for so many days.
    pub fn window(&self, now: i64, days: Option<i64>) -> Window {
        Window {
            too_old_end: self.events.partition_point(|(at, _)| *at < now - 14 * DAY),
            expired_end: days.map_or(0, |days| self.events.partition_point(|(at, _)| *at < now - days * DAY)),
            too_new_start: self.events.partition_point(|(at, _)| *at <= now + DAY / 12),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

/// How many bytes of UTF-8 a JSON string is.
fn unescaped_size(mut escaped: &[u8]) -> Result<usize, String> {
    let mut size = 0;
    while let Some(at) = memchr(b'\\', escaped) {
        size += at;
        let (taken, bytes) = match escaped.get(at + 1) {
            Some(b'u') => {
                let digits = escaped.get(at + 2..at + 6).ok_or("a cut escape")?;
                let unit = u32::from_str_radix(text(digits)?, 16).map_err(|error| error.to_string())?;
                // Each half of a surrogate pair is two of its four bytes.
                (6, char::from_u32(unit).map_or(2, char::len_utf8))
            }
            Some(_) => (2, 1),
            None => return Err("a cut escape".to_owned()),
        };
        size += bytes;
        escaped = escaped.get(at + taken..).unwrap_or_default();
    }
    Ok(size + escaped.len())
}

struct Reader<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn peek(&mut self) -> Option<u8> {
        while self.body.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.body.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(format!("`{}` is missing at byte {}", char::from(byte), self.at))
    }

    fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), String>) -> Result<(), String> {
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = text(self.string()?)?;
            self.expect(b':')?;
            member(self, key)?;
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.expect(b'}')
    }

    fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.expect(b'[')?;
        while self.peek() != Some(b']') {
            item(self)?;
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        self.expect(b']')
    }

    /// What stands between the quotes, still escaped.
    fn string(&mut self) -> Result<&'b [u8], String> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let found = memchr2(b'"', b'\\', rest).ok_or("a string does not end")?;
            self.at += found + 1;
            if rest[found] == b'"' {
                return Ok(&self.body[start..self.at - 1]);
            }
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        self.peek();
        let digits = self.body[self.at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let number = text(&self.body[self.at..self.at + digits])?.parse().map_err(|_| format!("no number at byte {}", self.at));
        self.at += digits;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(events: &[(i64, &str)]) -> Vec<u8> {
        let events: Vec<_> =
            events.iter().map(|(at, message)| serde_json::json!({ "timestamp": at, "message": message })).collect();
        serde_json::to_vec(&serde_json::json!({ "logGroupName": "g", "logEvents": events, "logStreamName": "s" })).unwrap()
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let body = body(&[(1, "plain"), (2, "a \"quoted\" \\ line\n\u{1} é 😀")]);
        let put = Put::read(&body).unwrap();
        assert_eq!((put.group, put.stream, put.events.len()), ("g", "s", 2));
        assert_eq!(put.message_bytes, "plain".len() + "a \"quoted\" \\ line\n\u{1} é 😀".len());
        assert_eq!(unescaped_size(br"\ud83d\ude00\u00e9").unwrap(), 6);
    }

    #[test]
    fn every_limit_is_checked() {
        let long = "x".repeat(MOST_BYTES - 26);
        assert!(Put::read(&body(&[(1, &long)])).is_ok());
        for (bad, why) in [
            (vec![(1, long.as_str()), (1, "x")], "large"),
            (vec![(2, "x"), (1, "x")], "chronological"),
            (vec![(0, "x"), (DAY, "x")], "24 hours"),
            (vec![(0, "")], "empty"),
            (vec![(0, "x"); MOST_EVENTS + 1], "10001"),
            (vec![], "no events"),
        ] {
            assert!(Put::read(&body(&bad)).err().unwrap().contains(why), "{why}");
        }
        assert!(Put::read(b"{\"logEvents\":[").is_err());
    }

    #[test]
    fn what_is_too_old_or_too_new_is_told_by_index() {
        let now = 1_700_000_000_000;
        let body = body(&[(now - 15 * DAY, "old"), (now - 15 * DAY + 5, "old")]);
        assert_eq!(Put::read(&body).unwrap().window(now, None).too_old_end, 2);
        let body = body_of_new(now);
        let window = Put::read(&body).unwrap().window(now, Some(1));
        assert_eq!((window.too_old_end, window.expired_end, window.too_new_start), (0, 0, 1));
        let window = Put::read(&body).unwrap().window(now + 2 * DAY, Some(1));
        assert_eq!((window.too_old_end, window.expired_end), (0, 2), "older than the group keeps events");
    }

    fn body_of_new(now: i64) -> Vec<u8> {
        body(&[(now, "x"), (now + 3 * 3_600_000, "new")])
    }
}
