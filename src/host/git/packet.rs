//! A received packet that libgit2 reads piece by piece.

/// What is left of it.
#[derive(Default)]
pub struct Packet {
    bytes: Vec<u8>,
    from: usize,
}

impl Packet {
    /// A whole one.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, from: 0 }
    }

    /// Whether it has been read to its end.
    pub fn is_empty(&self) -> bool {
        self.from >= self.bytes.len()
    }

    /// Moves as much as fits into the buffer.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let left = self.bytes.get(self.from..).unwrap_or_default();
        let size = left.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(left) {
            *to = *from;
        }
        self.from += size;
        size
    }
}
