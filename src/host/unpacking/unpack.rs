//! Unpacks a stream into a directory, entry by entry, with limits on what it may become.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use super::UnpackErrand;
use super::entry::{check_link, directory_mode, file_mode, place_of};
use super::record::{self, Entry, Record};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::digest::Hashing;
use crate::host::tree::{Ids, NewFolder, Stop};

/// Files, links and directories; a runtime with its packages has some thousands.
const MOST: usize = 200_000;
/// Bytes of all files together.
const LARGEST_UNPACKED: u64 = 8 << 30;
/// Seconds since 1970 that every file system can write down.
const LATEST: u64 = u32::MAX as u64;
/// Copied at once.
const PIECE: usize = 128 * 1024;
/// As much as tells what a stream is: the name of the format stands in a tar's first header.
const HEAD: usize = 512;
/// Where in that header.
const USTAR: std::ops::Range<usize> = 257..262;

/// Makes the directory of what comes.
pub fn unpack(errand: &UnpackErrand, archive: impl Read) -> Result<(), Stop> {
    unpack_within(LARGEST_UNPACKED, errand, archive)
}

/// The same with another limit.
pub fn unpack_within(limit: u64, errand: &UnpackErrand, archive: impl Read) -> Result<(), Stop> {
    let folder = NewFolder::begin(&errand.path, Ids { mode: Some(0o755), ..errand.ids })?;
    let mut archive = BufReader::with_capacity(PIECE, Hashed { archive, hash: Hashing::default() });
    let mut target = Target { folder: &folder, entries: BTreeMap::new(), strip: errand.strip, left: limit, limit };
    match format_of(archive.fill_buf().map_err(Error::from)?)? {
        Format::Tar => target.take_all(&mut archive)?,
        Format::TarGz => target.take_all(&mut MultiGzDecoder::new(&mut archive))?,
    }
    std::io::copy(&mut archive, &mut std::io::sink()).map_err(Error::from)?;
    if target.entries.is_empty() {
        let error = Error::new(Kind::Failed, "there is nothing in it to unpack");
        return Err(if errand.strip > 0 { error.hint("`strip` leaves out too much") } else { error }.into());
    }
    let bytes = Record::new(archive.get_ref().hash.so_far(), errand.strip, target.entries).to_bytes()?;
    folder.make_file(Path::new(record::NAME), 0o644, None, |file| Ok(file.write_all(&bytes)?))?;
    Ok(folder.put_in_place()?)
}

/// An archive whose digest is known when all of it was read.
struct Hashed<R> {
    archive: R,
    hash: Hashing,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        let count = self.archive.read(piece)?;
        self.hash.add(piece.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Format {
    Tar,
    TarGz,
}

/// What the stream is, by its first bytes: names lie.
fn format_of(head: &[u8]) -> Result<Format> {
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Format::TarGz);
    }
    if head.get(USTAR).is_some_and(|found| found == b"ustar") {
        return Ok(Format::Tar);
    }
    let other: [(&[u8], &str); 4] = [
        (b"PK\x03\x04", "a zip"),
        (b"\xfd7zXZ\0", "compressed by xz"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"BZh", "compressed by bzip2"),
    ];
    let found = other.iter().find(|(magic, _)| head.starts_with(magic)).map_or("something else", |(_, found)| found);
    let head = head.len().min(HEAD);
    Err(Error::new(Kind::Failed, format!("it is neither a tar nor a tar.gz, but {found} ({head} bytes were looked at)"))
        .hint("pack it as `.tar.gz`"))
}

/// What is being made, and what may still be put into it.
struct Target<'f> {
    folder: &'f NewFolder,
    entries: BTreeMap<PathBuf, Entry>,
    strip: u32,
    left: u64,
    limit: u64,
}

impl Target<'_> {
    fn take_all(&mut self, stream: &mut impl Read) -> Result<()> {
        let broken = |error: std::io::Error| Error::new(Kind::Failed, format!("it is broken: {error}"));
        let mut tar = tar::Archive::new(&mut *stream);
        for (number, entry) in tar.entries().map_err(broken)?.enumerate() {
            if number >= MOST {
                return Err(Error::new(Kind::Failed, format!("there are more than {MOST} files and directories in it")));
            }
            let mut entry = entry.map_err(broken)?;
            let name = entry.path().map_err(broken)?.into_owned();
            self.take(&mut entry).doing(|| format!("unpacking `{}`", name.display()))?;
        }
        // To the end, where the checksum is.
        std::io::copy(stream, &mut std::io::sink()).map_err(broken)?;
        Ok(())
    }

    fn take(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            // What `git archive` says about all that follows.
            return Ok(());
        }
        let Some(place) = place_of(&entry.path()?, self.strip)? else { return Ok(()) };
        if place == Path::new(record::NAME) {
            return Err(Error::new(Kind::Failed, format!("`{}` is the name of the record of what was unpacked", record::NAME)));
        }
        let mode = entry.header().mode()?;
        let made = match kind {
            EntryType::Directory => {
                self.folder.make_directory(&place, directory_mode(mode))?;
                Entry::Directory
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let modified = Duration::from_secs(entry.header().mtime()?.min(LATEST));
                self.write(&place, file_mode(mode), Some(modified), entry)?
            }
            EntryType::Symlink => {
                let target = link_of(entry)?;
                check_link(&place, &target)?;
                self.folder.make_link(&place, &target)?;
                Entry::Link(target)
            }
            EntryType::Link => {
                // A copy: one file under two names could be changed under the other one.
                let first = place_of(&link_of(entry)?, self.strip)?;
                match first.and_then(|first| Some((self.entries.get(&first)?.clone(), first))) {
                    Some((Entry::File(_, mode), first)) => {
                        let mut first = self.folder.open(&first)?;
                        self.write(&place, mode, None, &mut first)?
                    }
                    _ => {
                        return Err(Error::new(Kind::Failed, "it is one file with another that is not in the archive before it"));
                    }
                }
            }
            _ => return Err(Error::new(Kind::Failed, "it is neither a file nor a directory nor a link")),
        };
        self.entries.insert(place, made);
        Ok(())
    }

    fn write(&mut self, place: &Path, mode: u32, modified: Option<Duration>, from: &mut impl Read) -> Result<Entry> {
        let (left, limit) = (&mut self.left, self.limit);
        let sha256 = self.folder.make_file(place, mode, modified, |file| {
            let mut hash = Hashing::default();
            let mut piece = vec![0; PIECE];
            loop {
                let count = match from.read(&mut piece) {
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Error::new(Kind::Failed, format!("it is broken: {error}"))),
                };
                let bytes = piece.get(..count).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(hash.so_far());
                }
                *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                    Error::new(Kind::Failed, format!("the archive unpacks to more than the {} MiB that are allowed", limit >> 20))
                })?;
                hash.add(bytes);
                file.write_all(bytes)?;
            }
        })?;
        Ok(Entry::File(sha256, mode))
    }
}

fn link_of(entry: &tar::Entry<'_, impl Read>) -> Result<PathBuf> {
    let target = entry.link_name()?.map(std::borrow::Cow::into_owned).filter(|target| !target.as_os_str().is_empty());
    target.ok_or_else(|| Error::new(Kind::Failed, "it is a link to nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_it_is() {
        let mut tar = vec![0; HEAD];
        tar[USTAR].copy_from_slice(b"ustar");
        assert_eq!(format_of(&tar).unwrap(), Format::Tar);
        assert_eq!(format_of(&[0x1f, 0x8b, 8]).unwrap(), Format::TarGz);
        for (head, said) in
            [(&b"PK\x03\x04rest"[..], "a zip"), (b"\xfd7zXZ\0", "by xz"), (b"", "something else"), (b"<html>", "something")]
        {
            let error = format_of(head).unwrap_err();
            assert!(error.to_string().contains(said) && error.advice().is_some(), "{error}");
        }
    }
}
