//! Public keys (`OpenPGP`) as package repositories publish them, armored or not: which keys are in a file, by their fingerprints. No
//! signature is judged here: what is trusted is what the playbook pins.

mod armor;
mod packets;

pub use packets::KeyFingerprint;

use super::digest::Sha256;
use crate::error::{Error, Kind, Result};

/// What starts the line that says what the keys looked like when they came.
const PUBLISHED: &str = "published with sha256 ";

/// The public keys of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys {
    packets: Vec<u8>,
    published: Sha256,
    fingerprints: Vec<KeyFingerprint>,
}

/// What the playbook says of the keys.
#[derive(Debug, Clone, Default)]
pub struct Pin {
    /// Of the file as it is published.
    pub sha256: Option<Sha256>,
    /// Of the one key in it.
    pub fingerprint: Option<KeyFingerprint>,
}

impl PublicKeys {
    /// Reads what somebody publishes.
    ///
    /// # Errors
    /// `Failed` when that is no public key.
    pub fn published(bytes: &[u8]) -> Result<Self> {
        let packets = match armor::blocks(bytes) {
            Some(decoded) => decoded.map_err(|why| Error::new(Kind::Failed, why))?.packets,
            None => bytes.to_vec(),
        };
        let fingerprints = packets::primary_keys(&packets).map_err(|why| Error::new(Kind::Failed, why))?;
        Ok(Self { packets, published: Sha256::of(bytes), fingerprints })
    }

    /// Reads what [`Self::text`] wrote; `None` when that is something else, or was changed.
    #[must_use]
    pub fn stored(bytes: &[u8]) -> Option<Self> {
        let decoded = armor::blocks(bytes)?.ok()?;
        let published = decoded.comment?.strip_prefix(PUBLISHED)?.parse().ok()?;
        let fingerprints = packets::primary_keys(&decoded.packets).ok()?;
        let keys = Self { packets: decoded.packets, published, fingerprints };
        (keys.text().as_bytes() == bytes).then_some(keys)
    }

    /// As every package manager reads them: armored, one block. With the digest they were published with, so that it is known
    /// without fetching them again.
    #[must_use]
    pub fn text(&self) -> String {
        armor::block(&self.packets, &format!("{PUBLISHED}{}", self.published))
    }

    /// Fails unless these are the keys that the playbook means, and no others.
    ///
    /// # Errors
    /// `Failed`, with what is there.
    pub fn require(&self, pin: &Pin) -> Result<()> {
        pin.sha256.map_or(Ok(()), |sha256| self.published.require(sha256))?;
        let Some(wanted) = &pin.fingerprint else { return Ok(()) };
        if self.fingerprints == [wanted.clone()] {
            return Ok(());
        }
        let found = self.fingerprints.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        let error = if self.fingerprints.contains(wanted) {
            Error::new(Kind::Failed, format!("beside `{wanted}` there are other keys in it: {found}"))
                .hint("all of them would be trusted: pin the whole file by its `sha256` if that is meant")
        } else {
            Error::new(Kind::Failed, format!("the key there is {found}, not `{wanted}`"))
                .hint("it has changed: verify the new one with its owner, then put its fingerprint into the playbook")
        };
        Err(error)
    }
}

#[cfg(test)]
mod tests;
