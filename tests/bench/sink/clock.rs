//! The service's clock, which may be told to be wrong, and times as HTTP and signatures write them.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;
/// A signature that is further away in time is refused.
const LONGEST_SKEW: i64 = 300;

/// Microseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// Seconds since 1970, so many seconds ahead.
pub fn seconds(ahead: i64) -> i64 {
    i64::try_from(now() / 1_000_000).unwrap_or(i64::MAX) + ahead
}

/// As the `date` header has it.
pub fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date_of(days);
    let named = |names: &[&'static str], at: i64| names[usize::try_from(at).unwrap_or(0)];
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        named(&DAYS, days.rem_euclid(7)),
        named(&MONTHS, month - 1),
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Whether a signature made at this time, such as `20261121T134000Z`, is believed.
pub fn is_believed(signed: &str, seconds: i64) -> bool {
    let number = |from: usize, to: usize| signed.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let parts = [(0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15)].map(|(from, to)| number(from, to));
    let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else { return false };
    let at = days_of(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    (at - seconds).abs() <= LONGEST_SKEW
}

/// Days since 1970, counted in years that begin in March.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    // The year is at most one less than the days say.
    let guess = 1970 + days / 366;
    let year = (guess..).take_while(|year| days_of(*year, 1, 1) <= days).last().unwrap_or(guess);
    let month = (1..=12).take_while(|month| days_of(year, *month, 1) <= days).last().unwrap_or(1);
    (year, month, days - days_of(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(http_date(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
        assert!(is_believed("19941106T084937Z", 784_111_777 - 299));
        assert!(!is_believed("19941106T084937Z", 784_111_777 + 301));
        assert!(!is_believed("", 0) && !is_believed("1994-11-06T08:49:37Z", 784_111_777));
    }
}
