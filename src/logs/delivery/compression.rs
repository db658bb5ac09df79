//! Requests leave compressed where that pays: level 1, which costs the least for each byte it saves.

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};

use crate::host::aws::LogBody;

/// Whether requests are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// With gzip, from a size on.
    #[default]
    Gzip,
    /// Never.
    None,
}

/// Below this, what is saved is not worth a header.
const WORTH_IT: usize = 1024;
/// Nearly every text gets at least this many times smaller; the few that do not are compressed twice.
const USUAL_SHARE: usize = 3;

impl Compression {
    /// The request as it leaves.
    pub(super) fn pack(self, body: Bytes, events: usize) -> LogBody {
        if self == Self::Gzip
            && body.len() > WORTH_IT
            && let Some(smaller) = squeeze(&body)
        {
            return LogBody { bytes: smaller, gzip: true, events };
        }
        LogBody { bytes: body, gzip: false, events }
    }
}

/// `None` where it would not get smaller.
fn squeeze(body: &[u8]) -> Option<Bytes> {
    let mut compressor = Compressor::new(CompressionLvl::new(1).ok()?);
    // What is set aside for the result counts as memory before anything is written to it, and logs get much smaller.
    [body.len() / USUAL_SHARE, body.len() - 1].into_iter().find_map(|room| {
        let mut smaller = vec![0; room];
        let size = compressor.gzip_compress(body, &mut smaller).ok()?;
        smaller.truncate(size);
        // It waits for its answer, and the memory that it turned out not to need does not.
        smaller.shrink_to_fit();
        Some(smaller.into())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_gets_smaller_is_compressed_and_nothing_else() {
        let lines = Bytes::from("2026-11-21 INFO a line like many others\n".repeat(1000));
        let packed = Compression::Gzip.pack(lines.clone(), 3);
        assert!(packed.gzip && packed.events == 3 && packed.bytes.len() < lines.len() / 4);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*packed.bytes).read_to_end(&mut back).unwrap();
        assert_eq!(back, lines);
        assert!(!Compression::None.pack(lines.clone(), 3).gzip);
        // Less than is usual is something still.
        let digits: String = (0..4000).map(|_| char::from(b'0' + rand::random_range(0..10))).collect();
        let packed = Compression::Gzip.pack(digits.clone().into(), 1);
        assert!(packed.gzip && packed.bytes.len() > digits.len() / USUAL_SHARE && packed.bytes.len() < digits.len() / 2);
        assert!(!Compression::Gzip.pack(lines.slice(..500), 1).gzip);
        let noise: Vec<u8> = (0..5000).map(|_| rand::random()).collect();
        assert!(!Compression::Gzip.pack(noise.into(), 1).gzip);
    }
}
