//! What browsers are told that a file is, by the ending of its name.

use std::path::Path;

use indexmap::IndexMap;

/// Endings and what they stand for: what web applications ship.
const KNOWN: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("eot", "application/vnd.ms-fontobject"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// What nobody knows is bytes, which a browser downloads and does not interpret.
const BYTES: &str = "application/octet-stream";

/// The type of the file of this name; the user's own endings count first, the longest of them before the others.
pub fn of(path: &Path, told: &IndexMap<String, String>) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let told = told.iter().filter(|(ending, _)| name.ends_with(&ending.to_lowercase())).max_by_key(|(ending, _)| ending.len());
    if let Some((_, told)) = told {
        return told.clone();
    }
    let ending = Path::new(&name).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    KNOWN.iter().find(|(known, _)| *known == ending).map_or(BYTES, |(_, told)| told).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_whatever_its_case() {
        let told = IndexMap::from([(".data.json".to_owned(), "text/plain".to_owned()), (".json".to_owned(), "x/y".to_owned())]);
        for (name, expected) in [
            ("css/base.css", "text/css; charset=utf-8"),
            ("LOGO.PNG", "image/png"),
            ("app.min.js", "text/javascript; charset=utf-8"),
            ("README", BYTES),
            (".css", BYTES),
            ("a.unknown", BYTES),
            ("a.data.json", "text/plain"),
            ("a.json", "x/y"),
        ] {
            assert_eq!(of(Path::new(name), &told), expected, "{name}");
        }
    }

    #[test]
    fn every_ending_is_there_once_and_in_order() {
        assert!(KNOWN.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
