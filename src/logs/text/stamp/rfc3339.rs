//! RFC 3339 as programs write it: with a blank for the `T`, a comma before the fraction, an offset without colon, or none at all.
//! Read by hand because it is the usual form, of every line of a busy file.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// The time that the text begins with, in milliseconds since 1970; in this zone if it does not say its own.
pub(super) fn read(text: &str, zone: &TimeZone) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    rest.one_of(b":")?;
    // A leap second is the second before it, as everywhere on the machine.
    let second = rest.number(2)?.min(59);
    let mut millis = 0;
    if rest.one_of(b".,").is_some() {
        let digits = rest.digits();
        if digits.is_empty() {
            return None;
        }
        for place in 0..3 {
            millis = millis * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        }
    }
    let small = |number: i64| i8::try_from(number).ok();
    let date = Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let local = DateTime::from_parts(date, time);
    let seconds = match rest.offset() {
        Some(offset) => TimeZone::UTC.to_timestamp(local).ok()?.as_second() - offset,
        None => zone.to_timestamp(local).ok()?.as_second(),
    };
    Some(seconds * 1000 + millis)
}

/// What has not been read yet.
struct Rest<'t>(&'t [u8]);

impl<'t> Rest<'t> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let mut value = 0;
        for digit in number {
            value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.0 = rest;
        Some(value)
    }

    fn one_of(&mut self, characters: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        characters.contains(first).then(|| self.0 = rest)?;
        Some(*first)
    }

    fn digits(&mut self) -> &'t [u8] {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).unwrap_or_default();
        self.0 = rest;
        digits
    }

    /// Seconds east of Greenwich, if the text says so.
    fn offset(&mut self) -> Option<i64> {
        // Log4j and its kind put a blank before it; a blank and something else is the line going on.
        if let [b' ', b'+' | b'-', b'0'..=b'9', b'0'..=b'9', ..] = self.0 {
            self.one_of(b" ");
        }
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2)?;
        self.one_of(b":");
        let minutes = self.number(2).unwrap_or(0);
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_to_write_it_are_read() {
        for (text, expected) in [
            ("2026-11-21T10:33:01Z x", "2026-11-21T10:33:01Z"),
            ("2026-11-21T10:33:01.5Z", "2026-11-21T10:33:01.5Z"),
            ("2026-11-21 10:33:01,123 INFO", "2026-11-21T10:33:01.123Z"),
            ("2026-11-21T10:33:01.123456789+02:00", "2026-11-21T08:33:01.123Z"),
            ("2026-11-21T10:33:01-0530", "2026-11-21T16:03:01Z"),
            ("2026-11-21 10:33:01 +0200 x", "2026-11-21T08:33:01Z"),
            ("2026-11-21 10:33:01 - x", "2026-11-21T10:33:01Z"),
            ("2026-11-21t10:33:01z", "2026-11-21T10:33:01Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            let expected = expected.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(read(text, &TimeZone::UTC), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-21X10:33:01Z",
            "2026-11-21T25:00:00Z",
            "21.11.2026",
            "2026-11-21T10:33:01.Z",
            "２０２６-11-21T10:33:01Z",
        ] {
            assert_eq!(read(text, &TimeZone::UTC), None, "{text}");
        }
    }
}
