//! Text as a JSON string, eight bytes at a time: every byte that is shipped passes here.

/// Appends the text, quoted and escaped.
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        push_escaped(out, *byte);
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes from the front need no escape: neither control characters nor `"` nor `\`.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let clean = words.iter().take_while(|word| !has_special(u64::from_ne_bytes(**word))).count() * 8;
    let rest = bytes.get(clean..).unwrap_or_default();
    clean + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether any of eight bytes is special, without looking at each.
fn has_special(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let equals = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equals(b'"') | equals(b'\\')) != 0
}

fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        other => {
            let digit =
                |value: u8| char::from_digit(u32::from(value), 16).map_or(b'0', |digit| u8::try_from(digit).unwrap_or(b'0'));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(other >> 4), digit(other & 15)]);
            return;
        }
    };
    out.extend_from_slice(short);
}

/// Appends a whole number.
pub(super) fn push_number(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut left = number.unsigned_abs();
    loop {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        push_quoted(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_whatever_it_is() {
        let mut random = rand::rng();
        let letters = ['a', '"', '\\', '\n', '\u{0}', '\u{1f}', '\u{7f}', 'é', '\u{80}', '漢', '😀', ' ', '\t', '\r'];
        for length in (0..40).chain([1000]) {
            for _ in 0..50 {
                let text: String = (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect();
                assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
            }
        }
        for byte in 0..=0x7f_u8 {
            let text = format!("0123456{}89abcdef", char::from(byte));
            assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), text);
        }
        assert_eq!(quoted("plain text"), "\"plain text\"");
    }

    #[test]
    fn numbers_are_written_as_everywhere() {
        for number in [0, 7, 10, -1, 1_700_000_000_000, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
