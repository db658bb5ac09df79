//! Where the bytes of a download go, piece by piece: counted and hashed on the way, begun anew with each try, never held whole
//! unless somebody wants them in memory.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use super::digest::{Hashing, Sha256};
use crate::error::{Error, Kind, Result};

/// What takes the bytes.
pub trait Target {
    /// Forgets what it was given so far.
    ///
    /// # Errors
    /// When it cannot.
    fn empty(&mut self) -> io::Result<()>;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When it cannot: the disk is full.
    fn add(&mut self, piece: &[u8]) -> io::Result<()>;
}

impl Target for Vec<u8> {
    fn empty(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        self.extend_from_slice(piece);
        Ok(())
    }
}

impl Target for File {
    fn empty(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))?;
        self.set_len(0)
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        self.write_all(piece)
    }
}

/// A body on its way.
pub struct Body<'t> {
    target: &'t mut dyn Target,
    limit: u64,
    size: u64,
    hash: Hashing,
}

impl<'t> Body<'t> {
    /// One that ends up here and has at most `limit` bytes.
    pub fn new(target: &'t mut dyn Target, limit: u64) -> Self {
        Self { target, limit, size: 0, hash: Hashing::default() }
    }

    /// Begins, or begins again; `announced` is how large it will be, where that was said.
    ///
    /// # Errors
    /// `Failed` when it is announced to be too large.
    pub fn begin(&mut self, announced: Option<u64>) -> Result<()> {
        self.check(announced.unwrap_or_default())?;
        (self.size, self.hash) = (0, Hashing::default());
        Ok(self.target.empty()?)
    }

    /// The next piece.
    ///
    /// # Errors
    /// `Failed` when it becomes too large, or cannot be put where it belongs.
    pub fn add(&mut self, piece: &[u8]) -> Result<()> {
        self.size += piece.len() as u64;
        self.check(self.size)?;
        self.hash.add(piece);
        Ok(self.target.add(piece)?)
    }

    /// How much there is so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of what there is so far.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.hash.so_far()
    }

    fn check(&self, size: u64) -> Result<()> {
        if size <= self.limit {
            return Ok(());
        }
        let limit = match self.limit >> 20 {
            0 => format!("{} bytes", self.limit),
            mebibytes => format!("{mebibytes} MiB"),
        };
        Err(Error::new(Kind::Failed, format!("it is larger than the {limit} that are allowed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_begins_with_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        let mut body = Body::new(&mut file, 100);
        body.begin(None).unwrap();
        body.add(b"half of").unwrap();
        body.begin(Some(5)).unwrap();
        body.add(b"he").unwrap();
        body.add(b"llo").unwrap();
        assert_eq!((body.size(), body.digest()), (5, Sha256::of(b"hello")));
        let mut content = String::new();
        file.rewind().unwrap();
        io::Read::read_to_string(&mut file, &mut content).unwrap();
        assert_eq!(content, "hello");
    }

    #[test]
    fn too_much_is_refused_when_it_is_announced_and_when_it_comes() {
        let mut bytes = Vec::new();
        let mut body = Body::new(&mut bytes, 4);
        assert!(body.begin(Some(5)).unwrap_err().to_string().contains("larger than the 4 bytes"));
        body.begin(None).unwrap();
        body.add(b"1234").unwrap();
        assert!(body.add(b"5").is_err());
        assert_eq!(bytes, b"1234");
        let large = Body::new(&mut bytes, 2 << 30).begin(Some(3 << 30)).unwrap_err();
        assert!(large.to_string().contains("2048 MiB"), "{large}");
    }
}
