//! Asks a large text whether a known secret stands in it, faster than an automaton over hundreds of forms can.
//!
//! Every form is at least [`SHORTEST_SEARCHED`] bytes long. So of all windows of four bytes that begin at every fifth byte of the
//! text, one lies whole inside any occurrence, among the first five of its form. Most windows of ordinary text are ruled out by
//! one look into a table that fits the processor's nearest cache.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::redactor::SHORTEST_SEARCHED;

const WINDOW: usize = 4;
/// Any stretch of [`SHORTEST_SEARCHED`] bytes holds a whole window that begins at a multiple of this.
const STRIDE: usize = SHORTEST_SEARCHED - WINDOW + 1;
/// Bytes of the table; one bit for each value of the hash.
const TABLE: usize = (1 << HASH_BITS) / 8;
const HASH_BITS: u32 = 16;

/// The forms that are looked for, as their first windows.
pub(super) struct Grams {
    /// One bit for each hash of a window.
    bits: Box<[u8; TABLE]>,
    /// Which form has this window, and how far from its beginning.
    places: HashMap<[u8; WINDOW], Vec<(usize, usize)>>,
}

impl Default for Grams {
    fn default() -> Self {
        Self { bits: Box::new([0; TABLE]), places: HashMap::new() }
    }
}

impl Grams {
    /// From now on, this form is found; `number` is its place in the list of forms.
    pub(super) fn add(&mut self, number: usize, form: &[u8]) {
        for (offset, window) in form.windows(WINDOW).take(STRIDE).enumerate() {
            let Ok(window) = <[u8; WINDOW]>::try_from(window) else { continue };
            let (byte, bit) = slot(window);
            if let Some(byte) = self.bits.get_mut(byte) {
                *byte |= bit;
            }
            self.places.entry(window).or_default().push((number, offset));
        }
    }

    /// Whether one of the forms stands in the text.
    pub(super) fn any_in(&self, text: &[u8], forms: &[Zeroizing<Vec<u8>>]) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let (strides, rest) = text.as_chunks::<STRIDE>();
        let suspect = |window: [u8; WINDOW]| {
            let (byte, bit) = slot(window);
            self.bits.get(byte).is_some_and(|byte| byte & bit != 0)
        };
        let last = rest.first_chunk().is_some_and(|window| suspect(*window));
        last && self.stands_at(strides.len() * STRIDE, rest, text, forms)
            || strides.iter().enumerate().any(|(turn, [a, b, c, d, _])| {
                suspect([*a, *b, *c, *d]) && self.stands_at(turn * STRIDE, &[*a, *b, *c, *d], text, forms)
            })
    }

    fn stands_at(&self, at: usize, window: &[u8], text: &[u8], forms: &[Zeroizing<Vec<u8>>]) -> bool {
        self.places.get(window).is_some_and(|places| {
            places.iter().any(|(number, offset)| {
                let from = at.checked_sub(*offset).and_then(|start| text.get(start..));
                forms.get(*number).zip(from).is_some_and(|(form, text)| text.starts_with(form))
            })
        })
    }
}

/// The byte and the bit of a window.
#[inline]
fn slot(window: [u8; WINDOW]) -> (usize, u8) {
    // Multiplying by the golden ratio spreads what differs in any bit over the upper ones.
    let hash = (u32::from_le_bytes(window).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize;
    (hash / 8, 1 << (hash % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(forms: &[&str]) -> (Grams, Vec<Zeroizing<Vec<u8>>>) {
        let mut grams = Grams::default();
        let forms: Vec<_> = forms.iter().map(|form| Zeroizing::new(form.as_bytes().to_vec())).collect();
        forms.iter().enumerate().for_each(|(number, form)| grams.add(number, form));
        (grams, forms)
    }

    #[test]
    fn a_form_is_found_wherever_it_stands() {
        let (grams, forms) = knowing(&["12345678", "a longer one of them"]);
        for before in 0..20 {
            for after in [0, 1, 7] {
                for form in &forms {
                    let mut text = vec![b'x'; before];
                    text.extend_from_slice(form);
                    text.extend(std::iter::repeat_n(b'y', after));
                    assert!(grams.any_in(&text, &forms), "{before} before, {after} after");
                    text.remove(before + 7);
                    assert!(!grams.any_in(&text, &forms), "one byte is missing");
                }
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is_known() {
        let (grams, forms) = knowing(&[]);
        assert!(!grams.any_in(b"whatever stands here", &forms));
        let (grams, forms) = knowing(&["12345678"]);
        assert!(!grams.any_in(b"", &forms) && !grams.any_in(b"123", &forms));
    }
}
