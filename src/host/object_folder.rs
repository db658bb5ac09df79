//! A folder of objects: all that is below a prefix of a bucket, compared with files of this machine, sent and fetched.
//!
//! A file and an object are the same when their sizes are and the object's entity tag proves the bytes: it is their MD5, or it is
//! the tag that the object got when this machine put it there (with a key of KMS a tag is no digest of anything).

use std::fmt;
use std::io::Seek as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use md5::Digest as _;

use super::aws::{Headers, ListedObject, Permission, Resource};
use super::digest::Sha256;
use super::origin::Origin;
use super::{Answer, Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};
use crate::step::Fingerprint;

/// Sent or fetched side by side: small files wait for the network, not for each other.
const SIDE_BY_SIDE: usize = 8;

/// All objects whose keys begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFolder {
    bucket: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
}

impl ObjectFolder {
    /// What `s3://bucket/prefix` stands for.
    ///
    /// # Errors
    /// In words for the playbook's author.
    pub fn of(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not like `s3://bucket/prefix`");
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() || prefix.starts_with('/') {
            return Err(wrong());
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket: bucket.to_owned(), prefix })
    }

    /// Whether it is all of the bucket.
    #[must_use]
    pub fn is_whole_bucket(&self) -> bool {
        self.prefix.is_empty()
    }

    /// What comparing and sending takes of the role, and fetching, and removing, as is asked for.
    #[must_use]
    pub fn permissions(&self, actions: &[&'static str]) -> Vec<Permission> {
        let (bucket, prefix) = (self.bucket.clone(), self.prefix.clone());
        let key = format!("{prefix}*");
        let listing = Permission::new("s3:ListBucket", Resource::Listing { bucket: bucket.clone(), prefix });
        let objects = actions.iter().map(|action| Permission { action, ..Permission::to_read(&bucket, &key) });
        std::iter::once(listing).chain(objects).collect()
    }

    /// The key of what is at this place below it.
    ///
    /// # Errors
    /// `Failed` when the path is no text.
    pub fn key(&self, below: &Path) -> Result<String> {
        let text = below.to_str().ok_or_else(|| {
            Error::new(Kind::Failed, format!("the name of `{}` is no text, so it cannot be a key", below.display()))
        })?;
        Ok(format!("{}{text}", self.prefix))
    }

    /// Where an object is below it, as a path that leads nowhere else; `None` for the empty objects that stand for folders.
    ///
    /// # Errors
    /// `Failed` when its key is no such path.
    pub fn place_of(&self, object: &ListedObject) -> Result<Option<PathBuf>> {
        let below = object.key.strip_prefix(&self.prefix).unwrap_or(&object.key);
        if below.is_empty() || (below.ends_with('/') && object.size == 0) {
            return Ok(None);
        }
        let path = Path::new(below);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        // `a//b` and `a/` would be another object's path.
        if !plain || path.as_os_str().len() != path.components().collect::<PathBuf>().as_os_str().len() || below.contains('\0') {
            return Err(Error::new(Kind::Failed, format!("the key `{}` is no path for a file", object.key))
                .hint("exclude it, or give the object another key"));
        }
        Ok(Some(path.to_owned()))
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

impl fmt::Display for ObjectFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A file of this machine and the key it shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file.
    pub path: PathBuf,
    /// The key.
    pub key: String,
    /// What is told to whoever fetches it.
    pub headers: Headers,
}

impl Facts {
    /// The objects in this folder as they are now; unknown where AWS is not asked.
    ///
    /// # Errors
    /// As the listing itself.
    pub fn objects_in(&self, folder: &ObjectFolder) -> Result<Answer<Vec<ListedObject>>> {
        if !self.world.options.online {
            return Ok(Answer::Unknown(format!("cannot tell what is in `{folder}` without asking AWS (`--online`)")));
        }
        let aws = self.world.aws.until(self.deadline());
        Ok(Answer::Known(self.waits.during(|| aws.objects_below(&folder.bucket, &folder.prefix))?))
    }

    /// The same as this run first saw them: what is fetched is a moving target, and a re-check compares with the same. Each of
    /// them is then known by the entity tag that it had.
    ///
    /// # Errors
    /// As the listing itself.
    pub fn objects_to_fetch(&self, folder: &ObjectFolder) -> Result<Answer<Arc<Vec<ListedObject>>>> {
        if !self.world.options.online {
            return Ok(Answer::Unknown(format!("cannot tell what is in `{folder}` without asking AWS (`--online`)")));
        }
        let found = self.world.resolved.get(&format!("all of {folder}"), || match self.objects_in(folder)? {
            Answer::Known(found) => Ok(found),
            Answer::Unknown(why) => Err(Error::new(Kind::Bug, why)),
        })?;
        for object in found.iter() {
            self.world.resolved.get(&format!("s3://{}/{}", folder.bucket, object.key), || Ok(object.tag.clone()))?;
        }
        Ok(Answer::Known(found))
    }

    /// The digest of an object that this machine has fetched before; `None` where it has to be fetched to tell.
    #[must_use]
    pub fn digest_of_listed(&self, origin: &Origin, object: &ListedObject) -> Option<Sha256> {
        self.object_digest(&origin.to_string(), object.tag.as_deref()?)
    }

    /// Whether the object holds what the file holds, and was told what it shall be told where this machine has put it there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_uploaded(&self, upload: &Upload, sha256: Sha256, folder: &ObjectFolder, object: &ListedObject) -> Result<bool> {
        let Some(tag) = &object.tag else { return Ok(false) };
        if let Some(put) = self.object_digest(&name_of_put(folder, &upload.key), tag) {
            return Ok(put == digest_of_put(sha256, &upload.headers));
        }
        let doing = || format!("reading `{}`", upload.path.display());
        let mut file = Self::open(&upload.path)?.ok_or_else(|| Error::new(Kind::Missing, "it is gone")).doing(doing)?;
        let mut hash = Md5(md5::Md5::new());
        std::io::copy(&mut file, &mut hash).doing(doing)?;
        let hex = hash.0.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        Ok(tag.trim_matches('"') == hex)
    }
}

impl Host {
    /// Puts these files there.
    ///
    /// # Errors
    /// The first failure; what was put there before it is found by the next check.
    pub fn upload(&self, folder: &ObjectFolder, uploads: &[Upload]) -> Result<()> {
        self.side_by_side(uploads, |upload| {
            let doing = || format!("reading `{}`", upload.path.display());
            let file = Facts::open(&upload.path)?.ok_or_else(|| Error::new(Kind::Missing, "it is gone")).doing(doing)?;
            let mut reader = &file;
            let sha256 = Sha256::of_all(&mut reader).doing(doing)?;
            reader.rewind().doing(doing)?;
            let aws = self.world.aws.until(self.deadline());
            let put = || aws.put_object(&folder.bucket, &upload.key, &file, sha256, &upload.headers);
            if let Some(tag) = self.waits.during(put)? {
                self.learn_object(&name_of_put(folder, &upload.key), &tag, digest_of_put(sha256, &upload.headers));
            }
            Ok(())
        })
    }

    /// Removes these objects.
    ///
    /// # Errors
    /// As the removing itself.
    pub fn remove_objects(&self, folder: &ObjectFolder, keys: &[String]) -> Result<()> {
        let aws = self.world.aws.until(self.deadline());
        self.waits.during(|| aws.remove_objects(&folder.bucket, keys))
    }

    /// Does this to every item, some of them at the same time; after a failure no other is begun.
    ///
    /// # Errors
    /// The first failure.
    pub fn side_by_side<T: Sync>(&self, items: &[T], act: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
        let left = Mutex::new(items.iter());
        let failed = Mutex::new(None);
        let work = || {
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = next else { return };
                if let Err(error) = act(item) {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    // Nobody finds anything more to do.
                    left.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
                }
            }
        };
        std::thread::scope(|scope| (0..SIDE_BY_SIDE.min(items.len())).for_each(|_| drop(scope.spawn(work))));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Under which an object that this machine has put there is recorded; what was fetched has another name.
fn name_of_put(folder: &ObjectFolder, key: &str) -> String {
    format!("put s3://{}/{key}", folder.bucket)
}

/// Of all that makes an object what it shall be.
fn digest_of_put(sha256: Sha256, headers: &Headers) -> Sha256 {
    let cache = headers.cache_control.as_deref().unwrap_or_default();
    let parts: [&[u8]; 3] = [sha256.bytes(), headers.content_type.as_bytes(), cache.as_bytes()];
    Sha256::of(&Fingerprint::of(&parts).0)
}

/// Takes what is copied into it.
struct Md5(md5::Md5);

impl std::io::Write for Md5 {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::host::fakes::Machine;

    fn object(key: &str, size: u64, tag: &str) -> ListedObject {
        ListedObject { key: key.to_owned(), size, tag: Some(tag.to_owned()) }
    }

    #[test]
    fn a_prefix_is_a_folder_however_it_is_written() {
        for text in ["s3://bucket/static", "s3://bucket/static/"] {
            let folder = ObjectFolder::of(text).unwrap();
            assert_eq!(folder.key(Path::new("css/a.css")).unwrap(), "static/css/a.css");
            assert_eq!(folder.to_string(), "s3://bucket/static/");
        }
        assert!(ObjectFolder::of("s3://bucket").unwrap().is_whole_bucket());
        for wrong in ["bucket/static", "s3://", "s3:///static", "s3://bucket//static", "/srv"] {
            assert!(ObjectFolder::of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_leads_elsewhere_is_no_place_for_a_file() {
        let folder = ObjectFolder::of("s3://b/keys").unwrap();
        let place = |key: &str, size| folder.place_of(&object(key, size, "t"));
        assert_eq!(place("keys/tls/a.pem", 1).unwrap(), Some("tls/a.pem".into()));
        assert_eq!(place("keys/", 0).unwrap(), None);
        assert_eq!(place("keys/tls/", 0).unwrap(), None);
        for wrong in ["keys/../etc/passwd", "keys//etc/passwd", "keys/a//b", "keys/a/./b", "keys/a/", "keys/a\0b"] {
            assert!(place(wrong, 1).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_bytes_are_known_by_md5_or_by_what_was_put_there() {
        let machine = Machine::new();
        let folder = ObjectFolder::of("s3://b/static").unwrap();
        let path = machine.write("a.css", "hello");
        let headers = Headers { content_type: "text/css".into(), cache_control: None };
        let upload = Upload { path, key: "static/a.css".into(), headers };
        let sha256 = Sha256::of(b"hello");
        let facts = machine.facts();
        let is = |upload: &Upload, tag: &str| {
            let there = object("static/a.css", 5, tag);
            facts.is_uploaded(upload, sha256, &folder, &there).unwrap()
        };
        assert!(is(&upload, "\"5d41402abc4b2a76b9719d911017c592\""));
        assert!(!is(&upload, "\"a tag of a key\""));
        facts.learn_object(&name_of_put(&folder, &upload.key), "\"a tag of a key\"", digest_of_put(sha256, &upload.headers));
        assert!(is(&upload, "\"a tag of a key\""));
        let headers = Headers { cache_control: Some("no-store".into()), ..upload.headers.clone() };
        assert!(!is(&Upload { headers, ..upload }, "\"a tag of a key\""), "it was put there with other headers");
    }

    #[test]
    fn after_a_failure_nothing_new_is_begun() {
        let machine = Machine::new();
        let items: Vec<usize> = (0..1000).collect();
        let done = AtomicUsize::new(0);
        let error = machine.host().side_by_side(&items, |item| {
            done.fetch_add(1, Ordering::SeqCst);
            // The others have something to do meanwhile.
            std::thread::sleep(std::time::Duration::from_millis(u64::from(*item != 0)));
            if *item == 0 { Err(Error::new(Kind::Failed, "no")) } else { Ok(()) }
        });
        assert_eq!(error.unwrap_err().to_string(), "no");
        assert!(done.load(Ordering::SeqCst) < 1000);
        let done = AtomicUsize::new(0);
        machine
            .host()
            .side_by_side(&items, |_| {
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
        assert_eq!(done.load(Ordering::SeqCst), 1000);
    }
}
