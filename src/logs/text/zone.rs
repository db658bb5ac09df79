//! The zone of times that do not say their own: as the source names it, else the machine's.

use jiff::tz::TimeZone;

/// Where a machine keeps its own zone, and all the others.
const OWN: &str = "/etc/localtime";
const ALL: &str = "/usr/share/zoneinfo";

/// What is wrong with the name of a zone, seen from any machine.
pub(super) fn problem(name: &str) -> Option<String> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte));
    let known = fixed(name).is_some() || name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.split('/').all(part);
    (!known).then(|| format!("`{name}` is not a time zone such as `UTC`, `+02:00` or `Europe/Berlin`"))
}

/// The zone itself.
pub(super) fn named(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name else {
        // A machine without a zone is in UTC, as libc has it.
        return Ok(read(OWN, "").unwrap_or(TimeZone::UTC));
    };
    if let Some(problem) = problem(name) {
        return Err(problem);
    }
    let found = fixed(name).or_else(|| read(&format!("{ALL}/{name}"), name));
    found.ok_or_else(|| format!("this machine does not know the time zone `{name}`"))
}

fn read(path: &str, name: &str) -> Option<TimeZone> {
    TimeZone::tzif(name, &std::fs::read(path).ok()?).ok()
}

/// `UTC`, `Z`, or hours and minutes east of it.
fn fixed(name: &str) -> Option<TimeZone> {
    if ["UTC", "Z"].contains(&name) {
        return Some(TimeZone::UTC);
    }
    let sign = if name.starts_with('-') { -1 } else { 1 };
    let digits = name.strip_prefix(['+', '-'])?;
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2))?;
    let part = |text: &str, most: i32| text.parse().ok().filter(|number| text.len() == 2 && (0..=most).contains(number));
    let seconds = part(hours, 14)? * 3600 + part(minutes, 59)? * 60;
    Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(sign * seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon(zone: &TimeZone) -> i64 {
        zone.to_timestamp(jiff::civil::date(2026, 7, 1).at(12, 0, 0, 0)).unwrap().as_second() % 86_400 / 3600
    }

    #[test]
    fn zones_are_offsets_or_what_the_machine_knows() {
        assert_eq!(noon(&named(Some("UTC")).unwrap()), 12);
        assert_eq!(noon(&named(Some("+02:00")).unwrap()), 10);
        assert_eq!(noon(&named(Some("-0330")).unwrap()), 15);
        assert!(named(None).is_ok());
        assert!(named(Some("Mars/Olympus")).unwrap_err().contains("does not know"));
    }

    #[test]
    fn a_zone_is_never_a_path_elsewhere() {
        for name in ["../etc/passwd", "/etc/localtime", "", "a//b", "+2", "+99:00", "two words"] {
            assert!(problem(name).is_some(), "{name}");
        }
        assert_eq!(problem("Europe/Berlin"), None);
    }
}
