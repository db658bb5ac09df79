//! Messages that are no generated lines, kept whole for whoever compares them byte by byte.

use std::fmt::Write as _;

/// What was stored, in the order in which it came.
#[derive(Default)]
pub struct Kept {
    /// Whether anything is.
    pub wanted: bool,
    events: Vec<Event>,
}

struct Event {
    group: String,
    stream: String,
    at: i64,
    /// Still escaped.
    message: Vec<u8>,
}

impl Kept {
    pub fn take(&mut self, group: &str, stream: &str, at: i64, message: &[u8]) {
        if self.wanted {
            self.events.push(Event { group: group.to_owned(), stream: stream.to_owned(), at, message: message.to_vec() });
        }
    }

    /// As JSON; the messages are as they were sent.
    pub fn json(&self) -> String {
        let mut text = String::from("[");
        for (index, Event { group, stream, at, message }) in self.events.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let message = String::from_utf8_lossy(message);
            let names = serde_json::json!({ "group": group, "stream": stream }).to_string();
            let names = names.trim_end_matches('}');
            // Writing into a text never fails.
            let _ = write!(text, "{comma}{names},\"at\":{at},\"message\":\"{message}\"}}");
        }
        text + "]"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_as_it_was_sent() {
        let mut kept = Kept::default();
        kept.take("g", "s", 1, b"not wanted");
        assert_eq!(kept.json(), "[]");
        kept.wanted = true;
        kept.take("g", "s", 5, br#"a \"b\" \u0001"#);
        kept.take("g", "t", 6, b"plain");
        let read: serde_json::Value = serde_json::from_str(&kept.json()).unwrap();
        assert_eq!(read[0], serde_json::json!({ "group": "g", "stream": "s", "at": 5, "message": "a \"b\" \u{1}" }));
        assert_eq!(read[1]["message"], "plain");
    }
}
