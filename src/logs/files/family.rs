//! Which names are one log and its rotations: `app.log` beside `app.log.1`, `app.log-20261121.gz`, `app.log.old` and
//! `app-2026-11-21.log`. A name alone makes nothing of it be shipped; it only says where to look for what went missing.

use std::path::{Path, PathBuf};

/// What files are compressed to. Their bytes are never shipped as text; of these, gzip and zstd are read.
const PACKED: [&str; 10] = ["gz", "zst", "bz2", "xz", "lz4", "zip", "Z", "br", "lzma", "lz"];
/// Words that rotations are named by, besides numbers and dates.
const WORDS: [&str; 6] = ["old", "bak", "prev", "previous", "save", "orig"];
const SEPARATORS: [char; 4] = ['.', '-', '_', '~'];

/// How a file is compressed, if it is, and its name without that.
pub(super) fn packing(name: &str) -> Option<(&str, &str)> {
    let (plain, ending) = name.rsplit_once('.')?;
    PACKED.contains(&ending).then_some((plain, ending))
}

/// Whether it is compressed in a way that we can read.
pub(super) fn is_legible(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz" || ending == "zst")
}

/// Whether it is compressed in any way.
pub(super) fn is_packed(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| packing(name).is_some())
}

/// The paths of the logs that this may be a rotation of.
pub(super) fn rotated_from(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let plain = packing(name).map_or(name, |(plain, _)| plain);
    let mut names = Vec::new();
    if plain != name {
        // Compressed under its own name.
        names.push(plain.to_owned());
    }
    for (at, _) in plain.char_indices().filter(|(_, letter)| SEPARATORS.contains(letter)) {
        let (base, rest) = plain.split_at(at);
        if base.is_empty() {
            continue;
        }
        if is_turn(rest) {
            names.push(base.to_owned());
        } else if let Some((_, ending)) = rest.rsplit_once('.').filter(|(turn, _)| is_turn(turn)) {
            // The number stands before the ending.
            names.push(format!("{base}.{ending}"));
        }
    }
    names.into_iter().map(|name| path.with_file_name(name)).collect()
}

/// Of rotations that were written to in the same moment, the one with the higher number is the older one.
pub(super) fn age(path: &Path) -> u32 {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = packing(name).map_or(name, |(plain, _)| plain);
    let numbers = plain.split(SEPARATORS).rev().filter_map(|part| part.parse().ok());
    // Larger ones are dates, which count the other way.
    numbers.into_iter().next().filter(|number| *number < 1000).unwrap_or(0)
}

/// Whether this is what rotation adds to a name: numbers, dates, or one of its words.
fn is_turn(text: &str) -> bool {
    let parts = || text.split(SEPARATORS).filter(|part| !part.is_empty());
    let is_number = |part: &str| {
        part.bytes().any(|byte| byte.is_ascii_digit())
            && part.bytes().all(|byte| byte.is_ascii_digit() || b"TZ:+".contains(&byte))
    };
    text == "~" || parts().count() > 0 && parts().all(|part| is_number(part) || WORDS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Vec<String> {
        let paths = rotated_from(&Path::new("/var/log").join(name));
        paths.iter().map(|path| path.strip_prefix("/var/log").unwrap().display().to_string()).collect()
    }

    #[test]
    fn rotations_lead_back_to_their_log() {
        for name in [
            "app.log.1",
            "app.log.12.gz",
            "app.log-20261121",
            "app.log-20261121-1763715600.gz",
            "app.log.old",
            "app.log~",
            "app.log.2026-11-21T10:00:00Z",
            "app-2026-11-21.log",
            "app.3.log.gz",
            "app.log.1.old",
        ] {
            assert!(names(name).contains(&"app.log".to_owned()), "{name}: {:?}", names(name));
        }
        assert!(names("syslog.1").contains(&"syslog".to_owned()));
        assert!(names("app.log.gz").contains(&"app.log".to_owned()));
    }

    #[test]
    fn other_logs_are_no_rotations() {
        for name in ["app-error.log", "app.log.error", "app.logs", "xapp.log.1", "app.log", "access_log", ".1", "app.log.v2x"] {
            assert!(!names(name).contains(&"app.log".to_owned()), "{name}: {:?}", names(name));
        }
    }

    #[test]
    fn higher_numbers_are_older() {
        let ages = ["app.log", "app.log.1", "app.log.12.gz", "app.3.log", "app.log-20261121"].map(|name| age(Path::new(name)));
        assert_eq!(ages, [0, 1, 12, 3, 0]);
    }

    #[test]
    fn what_is_compressed_is_known_by_its_ending() {
        assert!(is_legible(Path::new("/a/b.gz")) && is_legible(Path::new("/a/b.zst")) && !is_legible(Path::new("/a/b.xz")));
        assert!(is_packed(Path::new("/a/b.xz")) && !is_packed(Path::new("/a/gz")));
    }
}
