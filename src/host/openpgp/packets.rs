//! The packets of `OpenPGP` (RFC 9580, section 4), as far as it takes to tell which primary keys there are.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;

/// The fingerprint of a primary key, in upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint(String);

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyFingerprint {
    type Err = String;

    /// Spaces between the digits do not matter: that is how people write them down.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.trim_start_matches("0x").chars().filter(|c| *c != ' ').collect::<String>().to_ascii_uppercase();
        if matches!(digits.len(), 40 | 64) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Self(digits));
        }
        Err(format!("`{text}` is not a key's fingerprint: 40 or 64 hexadecimal digits, never the short id"))
    }
}

/// The fingerprints of all primary keys in these packets.
pub(super) fn primary_keys(packets: &[u8]) -> Result<Vec<KeyFingerprint>, String> {
    let (mut rest, mut found) = (packets, Vec::new());
    while !rest.is_empty() {
        let (tag, body, tail) = packet(rest).ok_or("it is not an OpenPGP public key")?;
        match tag {
            PUBLIC_KEY => found.push(fingerprint(body)?),
            SECRET_KEY | SECRET_SUBKEY => return Err("it is a secret key; a repository publishes the public one".into()),
            // The first packet of a certificate is its primary key.
            _ if found.is_empty() => return Err("it is not an OpenPGP public key".into()),
            _ => {}
        }
        rest = tail;
    }
    if found.is_empty() { Err("there is no key in it".into()) } else { Ok(found) }
}

/// The first packet: its type, its content, and what follows.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&head, rest) = bytes.split_first().filter(|(head, _)| **head & 0x80 != 0)?;
    let (tag, length, rest) = if head & 0x40 != 0 {
        let (length, rest) = new_length(rest)?;
        (head & 0x3f, length, rest)
    } else {
        let size = match head & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            // Without a length: until the end, which no published key has.
            _ => return None,
        };
        let (number, rest) = rest.split_at_checked(size)?;
        ((head >> 2) & 0x0f, number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (body, tail) = rest.split_at_checked(length)?;
    Some((tag, body, tail))
}

fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [one @ 0..192, rest @ ..] => Some((usize::from(*one), rest)),
        [high @ 192..224, low, rest @ ..] => Some(((usize::from(*high) - 192) * 256 + usize::from(*low) + 192, rest)),
        [255, a, b, c, d, rest @ ..] => Some((usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest)),
        // Partial lengths are for data only.
        _ => None,
    }
}

/// Of a public key packet: a digest over it, in the frame that its version has.
fn fingerprint(body: &[u8]) -> Result<KeyFingerprint, String> {
    let length = u32::try_from(body.len()).map_err(|_| "the key is too large".to_owned())?.to_be_bytes();
    let digest: Vec<u8> = match body.first() {
        Some(4) => {
            let [_, _, high, low] = length;
            sha1::Sha1::new().chain_update([0x99, high, low]).chain_update(body).finalize().to_vec()
        }
        Some(version @ (5 | 6)) => {
            let frame = if *version == 5 { 0x9a } else { 0x9b };
            sha2::Sha256::new().chain_update([frame]).chain_update(length).chain_update(body).finalize().to_vec()
        }
        _ => return Err("it is a key of a version that nobody should trust any more".into()),
    };
    Ok(KeyFingerprint(digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"))))
}
