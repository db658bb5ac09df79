//! Finds secrets in whatever leaves the process and puts `***` in their place.
//!
//! Searched for: each secret whole, each long line of a multi-line one, and the base64, URL-encoded and JSON forms of both. One
//! automaton holds them all, so the cost does not grow with their number.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use zeroize::Zeroizing;

use super::Secret;
use super::grams::Grams;

/// Shorter values would be found everywhere by chance; they are kept out by type only, and `agent check` says so.
pub const SHORTEST_SEARCHED: usize = 8;

/// What a reader sees instead of a secret.
pub(super) const MASK: &str = "***";

/// Knows every secret of this process. Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

/// Says that there is one, and nothing of what it knows.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

#[derive(Default)]
struct Known {
    secrets: Vec<Secret>,
    patterns: Vec<Zeroizing<Vec<u8>>>,
    grams: Grams,
    search: Option<AhoCorasick>,
    longest: usize,
}

impl Redactor {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, this value is masked in everything.
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut added = false;
        for form in forms(secret.expose()) {
            if !known.patterns.contains(&form) {
                known.longest = known.longest.max(form.len());
                let number = known.patterns.len();
                known.grams.add(number, &form);
                known.patterns.push(form);
                added = true;
            }
        }
        if added {
            known.secrets.push(secret.clone());
            // Leftmost-longest: of two secrets, one inside the other, the outer one is masked whole.
            known.search = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(known.patterns.iter().map(|p| p.as_slice()))
                .ok();
        }
    }

    /// What it knows, for the process that ships what others print.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).secrets.clone()
    }

    /// The text without secrets.
    #[must_use]
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &known.search {
            Some(search) if known.grams.any_in(text.as_bytes(), &known.patterns) => {
                // Every pattern is matched as bytes; a match inside a UTF-8 text starts and ends on its own bytes, so the rest may
                // only stay valid after a lossy pass.
                let bytes = search.replace_all_bytes(text.as_bytes(), &vec![MASK; search.patterns_len()]);
                Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Whether a secret stands in these bytes: fast enough to be asked of all that is shipped.
    #[must_use]
    pub fn finds_any(&self, bytes: &[u8]) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.grams.any_in(bytes, &known.patterns)
    }

    /// Where secrets stand in these bytes, in order.
    #[must_use]
    pub fn places(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.search.iter().flat_map(|search| search.find_iter(bytes)).map(|found| found.range()).collect()
    }

    /// The same for a text that arrives in pieces: a secret across the edge of two pieces is found too.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream { redactor: self.clone(), held: Zeroizing::new(Vec::new()) }
    }

    fn clean_bytes(&self, bytes: &[u8], finished: bool) -> (Vec<u8>, usize) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(search) = &known.search else { return (bytes.to_vec(), bytes.len()) };
        // A match that begins after `sure` might still grow or begin to match with the next piece.
        let sure = if finished { bytes.len() } else { bytes.len().saturating_sub(known.longest.saturating_sub(1)) };
        let mut out = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for found in search.find_iter(bytes) {
            if found.start() >= sure {
                break;
            }
            out.extend_from_slice(bytes.get(done..found.start()).unwrap_or_default());
            out.extend_from_slice(MASK.as_bytes());
            done = found.end();
        }
        let upto = sure.max(done);
        out.extend_from_slice(bytes.get(done..upto).unwrap_or_default());
        (out, upto)
    }
}

/// Redaction of a text that arrives in pieces.
pub struct Stream {
    redactor: Redactor,
    held: Zeroizing<Vec<u8>>,
}

impl Stream {
    /// Takes the next piece, gives back what is certain to be clean.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let (clean, used) = self.redactor.clean_bytes(&self.held, false);
        self.held.drain(..used);
        clean
    }

    /// No more pieces: gives back the rest.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.redactor.clean_bytes(&self.held, true).0
    }
}

/// Every form in which this value is looked for.
fn forms(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut plain = vec![value];
    plain.push(value.trim_ascii());
    plain.extend(value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
    let mut all = Vec::new();
    for form in plain.into_iter().filter(|form| form.len() >= SHORTEST_SEARCHED) {
        all.push(Zeroizing::new(form.to_vec()));
        all.push(Zeroizing::new(base64::engine::general_purpose::STANDARD_NO_PAD.encode(form).into_bytes()));
        all.push(Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(form).into_bytes()));
        all.push(Zeroizing::new(url_encoded(form)));
        all.extend(in_json(form));
    }
    all
}

/// The value as it would stand between quotes in JSON, where that differs.
fn in_json(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(value).ok()?;
    let quoted = Zeroizing::new(serde_json::to_vec(text).ok()?);
    let inner = quoted.get(1..quoted.len().saturating_sub(1))?;
    (inner != value).then(|| Zeroizing::new(inner.to_vec()))
}

/// The value as it would stand in a URL: everything but RFC 3986's unreserved characters becomes `%XX`.
fn url_encoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::new();
        for secret in secrets {
            redactor.learn(&Secret::new(*secret));
        }
        redactor
    }

    #[test]
    fn a_secret_is_masked_in_all_its_forms() {
        let redactor = knowing(&["hunter2+hunter2", "line one of key\nshort\nline two of key\n"]);
        assert_eq!(redactor.clean("password=hunter2+hunter2!"), "password=***!");
        assert_eq!(redactor.clean("url: hunter2%2Bhunter2"), "url: ***");
        assert_eq!(redactor.clean("b64: aHVudGVyMitodW50ZXIy"), "b64: ***");
        assert_eq!(redactor.clean(r#"{"key":"line one of key\nshort\nline two of key\n"}"#), r#"{"key":"***"}"#);
        assert_eq!(redactor.clean("only line two of key leaks"), "only *** leaks");
        assert_eq!(redactor.clean("short words stay"), "short words stay");
    }

    #[test]
    fn a_secret_across_the_edge_of_two_pieces_is_masked() {
        let redactor = knowing(&["correct horse battery staple"]);
        for cut in 1..40 {
            let text = b"say correct horse battery staple now".as_slice();
            let (head, rest) = text.split_at(cut.min(text.len()));
            let mut stream = redactor.stream();
            let mut out = stream.push(head);
            out.extend(stream.push(rest));
            out.extend(stream.finish());
            assert_eq!(String::from_utf8_lossy(&out), "say *** now", "cut at {cut}");
        }
    }

    #[test]
    fn short_values_are_not_searched_for() {
        assert_eq!(knowing(&["abc"]).clean("abc"), "abc");
    }
}
