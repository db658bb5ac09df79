//! Finds passwords in URLs: `postgres://user:password@host`. Looked for from the `@` back, because nearly every line has a URL and
//! hardly one has an `@`.

use std::ops::Range;

/// The scheme is not looked for further back.
const LONGEST: usize = 1024;
/// A name without a password that is this long is a token.
const TOKEN: usize = 20;

/// The password (or the token in place of a name) of each URL.
pub(super) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    let mut done = 0;
    for at in memchr::memchr_iter(b'@', text) {
        if at < done {
            continue;
        }
        let Some(start) = authority_start(text, at) else { continue };
        // A password may hold an `@` that nobody encoded; the last one before the path counts.
        let end = text.get(at..).unwrap_or_default().iter().position(|byte| ends_authority(*byte)).map_or(text.len(), |n| at + n);
        let last = text.get(at..end).and_then(|rest| memchr::memrchr(b'@', rest)).map_or(at, |n| at + n);
        done = end;
        let info = text.get(start..last).unwrap_or_default();
        match memchr::memchr(b':', info) {
            Some(colon) if !is_masked(info.get(colon + 1..)) => found(start + colon + 1..last),
            None if info.len() >= TOKEN && info.iter().any(u8::is_ascii_digit) => found(start..last),
            _ => {}
        }
    }
}

/// Whether there is nothing to find: the quick question about a large text.
pub(super) fn is_absent(text: &[u8]) -> bool {
    memchr::memchr_iter(b'@', text).all(|at| authority_start(text, at).is_none())
}

/// Behind the `://` that stands before this `@` in the same word.
fn authority_start(text: &[u8], at: usize) -> Option<usize> {
    let before = text.get(at.saturating_sub(LONGEST)..at)?;
    let slashes = before.iter().rposition(|byte| ends_authority(*byte))?;
    before.get(..=slashes)?.ends_with(b"://").then(|| at - (before.len() - slashes - 1))
}

fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"/?#\"'<>`".contains(&byte)
}

fn is_masked(password: Option<&[u8]>) -> bool {
    password.is_none_or(|password| password.is_empty() || password.starts_with(b"***") || password.starts_with(b"${"))
}
