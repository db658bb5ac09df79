//! Zeros that nobody wrote: a writer who does not append goes on at its old place after a cut, and leaves a hole before it.

use super::content::Content;
use super::identity::length;
use crate::host::inode::Ground;

/// What a chunk begins with that nobody wrote.
pub(super) enum Zeros {
    None,
    UpTo(u64),
    /// Somebody has set the size, and may fill it later.
    ToTheEnd,
}

/// A hole; and the zeros between a hole, or a cut, and the first line behind it.
pub(super) fn zeros(content: &Content, data: &[u8], offset: u64, strips: bool) -> Zeros {
    if data.first() != Some(&0) {
        return Zeros::None;
    }
    let ground = if let Content::Plain(file) = content { Ground::at(file, offset) } else { Ground::Data };
    match ground {
        Ground::Hole(end) => Zeros::UpTo(end),
        Ground::Nothing => Zeros::ToTheEnd,
        Ground::Data if strips => Zeros::UpTo(
            offset + length(data.get(..data.iter().position(|byte| *byte != 0).unwrap_or(data.len())).unwrap_or_default()),
        ),
        Ground::Data => Zeros::None,
    }
}
