//! sha256 as a value: hexadecimal in text, made from bytes of any amount in a small, fixed memory.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::error::{Error, Kind, Result};

/// Read at once while hashing: larger pieces are not faster.
const PIECE: usize = 128 * 1024;

/// A sha256.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Of everything that can still be read, however much that is.
    ///
    /// # Errors
    /// When reading fails.
    pub fn of_all(from: &mut impl Read) -> io::Result<Self> {
        let mut hash = Hashing::default();
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok(hash.so_far()),
                Ok(count) => hash.add(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Fails unless it is this one, which the playbook says.
    ///
    /// # Errors
    /// `Failed` with both.
    pub fn require(&self, told: Self) -> Result<()> {
        if *self == told {
            return Ok(());
        }
        Err(Error::new(Kind::Failed, format!("the sha256 of what is there is `{self}`, not `{told}`"))
            .hint("it has changed: verify it, then put its digest into the playbook"))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The sha256 of what comes piece by piece.
#[derive(Clone, Default)]
pub struct Hashing(sha2::Sha256);

impl Hashing {
    /// The next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Of all pieces so far.
    #[must_use]
    pub fn so_far(&self) -> Sha256 {
        Sha256(self.0.clone().finalize().into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("`{text}` is not a sha256 of 64 hexadecimal digits");
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(wrong);
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(wrong());
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = digit(*high)? * 16 + digit(*low)?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn text_and_value_are_the_same() {
        let digest = Sha256::of(b"test");
        assert_eq!(digest.to_string(), OF_TEST);
        assert_eq!(OF_TEST.to_uppercase().parse(), Ok(digest));
        assert_eq!(serde_json::from_str::<Sha256>(&serde_json::to_string(&digest).unwrap()).unwrap(), digest);
        for wrong in ["", "9f86", &OF_TEST[1..], &format!("{OF_TEST}0"), &OF_TEST.replace('9', "g"), &"é".repeat(32)] {
            assert!(wrong.parse::<Sha256>().unwrap_err().contains("64 hexadecimal"), "{wrong}");
        }
    }

    #[test]
    fn another_digest_is_told_with_the_right_one() {
        let error = Sha256::of(b"jello").require(Sha256::of(b"hello")).unwrap_err().to_string();
        assert!([&b"jello"[..], b"hello"].iter().all(|bytes| error.contains(&Sha256::of(bytes).to_string())), "{error}");
        assert!(Sha256::of(b"hello").require(Sha256::of(b"hello")).is_ok());
    }

    #[test]
    fn a_stream_has_the_digest_of_its_bytes() {
        let bytes = vec![7; 3 * PIECE + 5];
        assert_eq!(Sha256::of_all(&mut bytes.as_slice()).unwrap(), Sha256::of(&bytes));
    }
}
