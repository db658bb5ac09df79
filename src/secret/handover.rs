//! Secrets on their way to another process of ours, or into its memory file: one word of base64 each, wiped when dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Secret;

/// The secrets as words of ASCII letters, with a space after each.
#[must_use]
pub fn encode(secrets: &[Secret]) -> Zeroizing<String> {
    // With room for all of it: a text that grows leaves copies of itself behind.
    let room = secrets.iter().map(|secret| secret.size() / 3 * 4 + 5).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for secret in secrets {
        STANDARD.encode_string(secret.expose(), &mut text);
        text.push(' ');
    }
    text
}

/// What [`encode`] made a text of; `None` when it is not such a text.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<Secret>> {
    text.split_terminator(' ').map(|word| STANDARD.decode(word).ok().map(Secret::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        let secrets = [Secret::new("one"), Secret::new(""), Secret::new(vec![0, 10, 255]), Secret::new("x".repeat(5000))];
        let text = encode(&secrets);
        assert!(text.capacity() < text.len() + 20 && !text.contains("one"));
        let arrived = decode(&text).unwrap();
        assert_eq!(arrived.len(), 4);
        assert!(arrived.iter().zip(&secrets).all(|(arrived, sent)| arrived.expose() == sent.expose()));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(decode("not base64!").is_none());
        assert!(decode("").is_some_and(|none| none.is_empty()));
    }
}
