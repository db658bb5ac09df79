//! The time that a line states, in the form its source says; where it states none, that of the lines before it, for a while.

mod rfc3339;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::Now;

/// A line without a time belongs to the one before it, unless that one was read longer ago than this.
const LASTS: Duration = Duration::from_secs(60);
/// `Nov  8 10:33:01`, as syslog has written it since before there were years.
const SYSLOG: &str = "%b %e %H:%M:%S";

/// Where in a line its time stands, and how it is written.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    form: Form,
    /// It begins behind the first of these; at the beginning of the line where there is none.
    after: Option<String>,
    /// Of times that do not say their own.
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Form {
    Rfc3339,
    Epoch,
    Pattern(String),
}

impl Form {
    fn named(format: &str) -> Result<Self, String> {
        match format {
            "rfc3339" => Ok(Self::Rfc3339),
            "epoch" => Ok(Self::Epoch),
            "syslog" => Ok(Self::Pattern(SYSLOG.to_owned())),
            pattern => {
                check(pattern).map_err(|why| {
                    format!("`{pattern}` is not a form of time, which is `rfc3339`, `syslog`, `epoch` or strptime's: {why}")
                })?;
                Ok(Self::Pattern(pattern.to_owned()))
            }
        }
    }
}

impl Stamp {
    /// Times in this form: `rfc3339`, `syslog`, `epoch`, or in the letters of strptime.
    pub(super) fn new(format: &str, after: Option<&str>, zone: TimeZone) -> Result<Self, String> {
        Ok(Self { form: Form::named(format)?, after: after.map(str::to_owned), zone })
    }

    /// What would be wrong with a format.
    pub(super) fn problem(format: &str) -> Option<String> {
        Form::named(format).err()
    }

    /// Milliseconds since 1970, if the line says so.
    fn read(&self, line: &str, now: i64) -> Option<i64> {
        let text = match &self.after {
            None => line,
            Some(after) => line.split_once(after.as_str())?.1,
        };
        match &self.form {
            Form::Epoch => epoch(text),
            Form::Rfc3339 => rfc3339::read(text, &self.zone),
            Form::Pattern(pattern) => patterned(pattern, text, &self.zone, now),
        }
    }
}

/// What a file's lines said last about the time.
#[derive(Debug, Default)]
pub(super) struct Clock {
    stated: Option<(i64, Instant)>,
}

impl Clock {
    /// The time of this line.
    pub(super) fn of(&mut self, stamp: Option<&Stamp>, line: &str, now: Now) -> i64 {
        let Some(stamp) = stamp else { return now.wall };
        if let Some(at) = stamp.read(line, now.wall) {
            self.stated = Some((at, now.steady));
            return at;
        }
        match self.stated {
            Some((at, read)) if now.steady.saturating_duration_since(read) < LASTS => at,
            _ => now.wall,
        }
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds, told apart by their number of digits; seconds may have a fraction.
fn epoch(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let whole: i64 = text.get(..digits)?.parse().ok()?;
    match digits {
        9..=11 => {
            let mut millis = 0;
            if let Some(fraction) = text.get(digits..)?.strip_prefix('.') {
                let mut fraction = fraction.bytes().take_while(u8::is_ascii_digit);
                for _ in 0..3 {
                    millis = millis * 10 + fraction.next().map_or(0, |digit| i64::from(digit - b'0'));
                }
            }
            whole.checked_mul(1000)?.checked_add(millis)
        }
        12..=14 => Some(whole),
        15..=17 => Some(whole / 1000),
        18..=19 => Some(whole / 1_000_000),
        _ => None,
    }
}

fn patterned(pattern: &str, text: &str, zone: &TimeZone, now: i64) -> Option<i64> {
    let (mut time, _) = BrokenDownTime::parse_prefix(pattern, text.as_bytes()).ok()?;
    if let Ok(at) = time.to_timestamp() {
        return Some(at.as_millisecond());
    }
    if time.year().is_some() {
        return local(time.to_datetime().ok()?, zone);
    }
    // Without a year, it is the one that brings the time closest to the present: in January, December was last year.
    let present = Timestamp::from_millisecond(now).ok()?.to_zoned(zone.clone()).year();
    let mut closest: Option<i64> = None;
    for year in present.saturating_sub(1)..=present.saturating_add(1) {
        time.set_year(Some(year)).ok()?;
        let Some(at) = time.to_datetime().ok().and_then(|time| local(time, zone)) else { continue };
        if closest.is_none_or(|other| at.abs_diff(now) < other.abs_diff(now)) {
            closest = Some(at);
        }
    }
    closest
}

/// A time of the clock on the wall of that zone.
fn local(time: DateTime, zone: &TimeZone) -> Option<i64> {
    Some(zone.to_timestamp(time).ok()?.as_millisecond())
}

/// Whether a time written in this form can be read again, to the second.
fn check(pattern: &str) -> Result<(), String> {
    let sample = DateTime::constant(2026, 11, 21, 22, 33, 44, 0).to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    let written = jiff::fmt::strtime::format(pattern, &sample).map_err(|error| error.to_string())?;
    BrokenDownTime::parse(pattern, written.as_bytes()).map_err(|error| error.to_string())?;
    let expected = sample.timestamp().as_millisecond();
    match patterned(pattern, &written, &TimeZone::UTC, expected) {
        Some(read) if read == expected => Ok(()),
        _ => Err("it does not say month, day, hour, minute and second".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_257_000_000; // 2026-11-21T10:30:00Z

    fn read(format: &str, after: Option<&str>, line: &str, now: i64) -> Option<String> {
        let at = Stamp::new(format, after, TimeZone::UTC).unwrap().read(line, now)?;
        Some(Timestamp::from_millisecond(at).unwrap().to_string())
    }

    #[test]
    fn the_form_of_syslog_gets_the_year_that_is_closest() {
        assert_eq!(Timestamp::from_millisecond(NOW).unwrap().to_string(), "2026-11-21T10:30:00Z");
        let syslog = |line, now| read("syslog", None, line, now).unwrap();
        assert_eq!(syslog("Nov 21 10:29:59 host app[1]: x", NOW), "2026-11-21T10:29:59Z");
        assert_eq!(syslog("Nov  8 09:00:00 host", NOW), "2026-11-08T09:00:00Z");
        let new_year = Timestamp::from_millisecond(NOW).unwrap().checked_add(jiff::SignedDuration::from_hours(24 * 41)).unwrap();
        assert_eq!(new_year.to_string(), "2027-01-01T10:30:00Z");
        assert_eq!(syslog("Dec 31 23:59:59 host", new_year.as_millisecond()), "2026-12-31T23:59:59Z");
        let eve = "2026-12-31T23:59:59Z".parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(syslog("Jan  1 00:00:01 host", eve), "2027-01-01T00:00:01Z");
        assert_eq!(read("syslog", None, "Feb 29 00:00:01 host", NOW), None, "none of the years around has that day");
        assert_eq!(read("syslog", None, "nothing", NOW), None);
    }

    #[test]
    fn seconds_since_1970_are_told_apart_by_their_length() {
        for (text, expected) in [
            ("1700000000 x", "2023-11-14T22:13:20Z"),
            ("1700000000.5: x", "2023-11-14T22:13:20.5Z"),
            ("1700000000.123456 x", "2023-11-14T22:13:20.123Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
            ("1700000000123456", "2023-11-14T22:13:20.123Z"),
            ("1700000000123456789", "2023-11-14T22:13:20.123Z"),
        ] {
            assert_eq!(read("epoch", None, text, NOW).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(read("epoch", None, "17", NOW), None);
        assert_eq!(read("epoch", Some("\"ts\":"), "{\"a\":1,\"ts\":1700000000}", NOW).as_deref(), Some("2023-11-14T22:13:20Z"));
    }

    #[test]
    fn a_time_in_the_letters_of_strptime_is_found_behind_a_text() {
        let line = "10.0.0.1 - - [21/Nov/2026:12:29:59 +0200] \"GET / HTTP/1.1\" 200";
        assert_eq!(read("%d/%b/%Y:%H:%M:%S %z", Some("["), line, NOW).as_deref(), Some("2026-11-21T10:29:59Z"));
        assert_eq!(
            read("%Y-%m-%d %H:%M:%S,%f", None, "2026-11-21 10:00:00,125 INFO", NOW).as_deref(),
            Some("2026-11-21T10:00:00.125Z")
        );
        assert_eq!(read("%d/%b/%Y:%H:%M:%S %z", Some("["), "no bracket", NOW), None);
    }

    #[test]
    fn a_form_that_says_too_little_is_a_problem() {
        for (format, word) in
            [("%Y-%m-%d", "month, day, hour"), ("%H:%M:%S", "month, day, hour"), ("%!", "%!"), ("iso", "rfc3339")]
        {
            let problem = Stamp::problem(format).unwrap_or_default();
            assert!(problem.contains(word), "{format}: {problem}");
        }
        for format in ["rfc3339", "syslog", "epoch", "%Y-%m-%d %H:%M:%S", "%b %d %H:%M:%S", "%s", "%d.%m.%y %I:%M:%S %p"] {
            assert_eq!(Stamp::problem(format), None, "{format}");
        }
    }

    #[test]
    fn local_times_are_in_the_zone_of_the_source() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let stamp = Stamp::new("%Y-%m-%d %H:%M:%S", None, zone).unwrap();
        let expected = "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(stamp.read("2026-11-21 12:00:00", NOW), Some(expected));
    }

    #[test]
    fn a_line_without_a_time_has_that_of_the_line_before_for_a_minute() {
        let stamp = Stamp::new("rfc3339", None, TimeZone::UTC).unwrap();
        let start = Instant::now();
        let after =
            |seconds: i64| Now { wall: NOW + 1000 * seconds, steady: start + Duration::from_secs(seconds.cast_unsigned()) };
        let mut clock = Clock::default();
        assert_eq!(clock.of(Some(&stamp), "at x", after(0)), NOW, "nothing before it");
        let stated = clock.of(Some(&stamp), "2026-11-21T10:29:00Z x", after(0));
        assert_eq!(stated, NOW - 60_000);
        assert_eq!(clock.of(Some(&stamp), "at x", after(59)), stated);
        // Not prolonged by the lines in between: a file whose form has changed is not stuck in the past.
        assert_eq!(clock.of(Some(&stamp), "at x", after(60)), NOW + 60_000);
        assert_eq!(clock.of(None, "2026-11-21T10:29:00Z x", after(1)), NOW + 1000, "asked for the clock");
    }
}
