//! Files whose bytes come from elsewhere. They are compared by digest and written as they come, beside their final name or
//! through a helper, so that their size costs time and disk but no memory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::as_user::Errand;
use super::body::Target;
use super::compare::in_the_way;
use super::digest::Sha256;
use super::files::{FileKind, mixed_up};
use super::origin::Origin;
use super::tree::{self, Ids, Reply, Stop};
use super::{Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};
use crate::step::Fingerprint;

/// Where what is fetched for others waits, in the state folder.
const DOWNLOADS: &str = "downloads";

/// A file as it shall be, whose bytes are elsewhere.
#[derive(Debug, Clone)]
pub struct FetchedFile {
    /// Where.
    pub path: PathBuf,
    /// Where its bytes come from.
    pub origin: Origin,
    /// Their digest, as far as it is known.
    pub sha256: Option<Sha256>,
    /// Who owns it; unless told, whoever owns the tree it is in.
    pub owner: Option<String>,
    /// Its group; the owner's primary group unless told.
    pub group: Option<String>,
    /// Its permission bits, right from the first byte.
    pub mode: u32,
}

impl FetchedFile {
    /// Of what matters to whoever depends on the file; `None` while its digest is not known.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let owner = self.owner.as_deref().unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        let path = self.path.as_os_str().as_encoded_bytes();
        Some(Fingerprint::of(&[path, self.sha256?.bytes(), owner.as_bytes(), group.as_bytes(), &self.mode.to_le_bytes()]))
    }
}

/// What a fetched file still lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Its bytes, as far as anybody can tell without fetching them.
    Content,
    /// Owner, group and mode: now and to be.
    Attributes {
        /// Now.
        from: String,
        /// To be.
        to: String,
    },
}

impl Facts {
    /// What has to be done so that the file is as it shall be; `None` when it is.
    ///
    /// # Errors
    /// As [`Facts::compare`].
    pub fn compare_fetched(&self, wish: &FetchedFile) -> Result<Option<Lacking>> {
        let ids = self.ids_of_fetched(wish)?;
        let Some(there) = self.look(&wish.path)? else { return Ok(Some(Lacking::Content)) };
        match there.kind {
            FileKind::File(_) if wish.sha256.is_some() && self.file_digest(&wish.path)? == wish.sha256 => {
                Ok(self.differing(&there, ids)?.map(|(from, to)| Lacking::Attributes { from, to }))
            }
            FileKind::File(_) | FileKind::Link(_) => Ok(Some(Lacking::Content)),
            FileKind::Directory | FileKind::Other => Err(in_the_way(&wish.path)),
        }
    }

    fn ids_of_fetched(&self, wish: &FetchedFile) -> Result<Ids> {
        self.ids_of_file(&wish.path, wish.owner.as_deref(), wish.group.as_deref(), wish.mode)
    }
}

impl Host {
    /// Fetches the file to its place: under a temporary name until all of it is there, has the right digest and was accepted by
    /// this program.
    ///
    /// # Errors
    /// When it cannot be had, differs from its digest, cannot be written or is not accepted; the old content is then still there.
    pub fn write_fetched(&self, wish: &FetchedFile, validate: &[String]) -> Result<()> {
        let ids = self.ids(wish.owner.as_deref(), wish.group.as_deref(), Some(wish.mode))?;
        let fetch = |file: &mut File| self.fetch_into(&wish.origin, wish.sha256, file);
        let (staged, doer) = match tree::stage_with(&wish.path, ids, fetch) {
            Ok((staged, _)) => (staged, None),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Foreign(holder)) => {
                self.check_owner(&wish.path, holder, ids.uid)?;
                let user = self.name_of(holder)?;
                (self.stage_for(&user, wish, ids)?, Some(user))
            }
        };
        self.put_in_place(&wish.path, staged, doer, validate)
    }

    /// Sets owner and mode of a file that holds the right bytes; where that cannot be, it is fetched again.
    ///
    /// # Errors
    /// As [`Host::write_fetched`].
    pub fn set_attributes_of_fetched(&self, wish: &FetchedFile, validate: &[String]) -> Result<()> {
        let ids = self.ids_of_fetched(wish)?;
        let errand = tree::Errand::SetAttributes { path: wish.path.clone(), ids };
        match self.change_there(errand, &wish.path, ids.uid) {
            Err(error) if error.kind() == Kind::Denied => self.write_fetched(wish, validate),
            done => done.map(|_| ()),
        }
    }

    /// Fetches it into the state folder, under a name of its own (0600, ours). What is there already is not fetched again.
    ///
    /// # Errors
    /// As [`Host::write_fetched`].
    pub fn download(&self, origin: &Origin, sha256: Sha256, extension: &str) -> Result<PathBuf> {
        let path = self.downloads()?.join(format!("{sha256}.{extension}"));
        let wish = FetchedFile {
            path: path.clone(),
            origin: origin.clone(),
            sha256: Some(sha256),
            owner: None,
            group: None,
            mode: 0o600,
        };
        if self.compare_fetched(&wish)?.is_some() {
            self.write_fetched(&wish, &[])?;
        }
        Ok(path)
    }

    /// Has the file staged by a helper. The network is ours, the tree is the user's: between them stands a file without a name.
    fn stage_for(&self, user: &str, wish: &FetchedFile, ids: Ids) -> Result<PathBuf> {
        let errand = Errand::Copy { path: wish.path.clone(), ids };
        match self.errand_from(user, self.fetched_behind(&errand, &wish.origin, wish.sha256)?)? {
            Reply::Staged(staged) => Ok(staged),
            _ => Err(mixed_up()),
        }
    }

    /// What a helper reads: the errand, and behind it the bytes it is about.
    ///
    /// # Errors
    /// As [`Host::write_fetched`].
    pub(in crate::host) fn fetched_behind(&self, errand: &Errand, origin: &Origin, sha256: Option<Sha256>) -> Result<File> {
        let mut errand = serde_json::to_vec(errand).map_err(|error| Error::from_source(Kind::Bug, &error))?;
        errand.push(b'\n');
        let mut between = Between { file: self.nameless_file()?, errand };
        self.fetch_into(origin, sha256, &mut between)?;
        between.file.rewind()?;
        Ok(between.file)
    }

    /// A file that only we can reach, gone when it is closed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(in crate::host) fn nameless_file(&self) -> Result<File> {
        let path = self.downloads()?.join(format!("{:016x}", rand::random::<u64>()));
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok::<_, std::io::Error>(file)
        };
        open().doing(|| format!("writing `{}`", path.display()))
    }

    fn downloads(&self) -> Result<PathBuf> {
        let folder = self.world.options.state.join(DOWNLOADS);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.doing(|| format!("making `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// An errand in the first line, then the bytes it is about.
struct Between {
    file: File,
    errand: Vec<u8>,
}

impl Target for Between {
    fn empty(&mut self) -> std::io::Result<()> {
        self.file.empty()?;
        self.file.write_all(&self.errand)
    }

    fn add(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.file.write_all(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use super::*;
    use crate::host::fakes::{Machine, not_root};

    /// More than fits into a helper's answer, and no whole number of pieces.
    const LARGE: usize = 13 * 1024 * 1024 + 7;
    /// A user every Linux has and nobody logs in as.
    const USER: (&str, u32) = ("daemon", 1);

    fn wish(path: PathBuf, sha256: Sha256) -> FetchedFile {
        FetchedFile { path, origin: Origin::Beside("large".into()), sha256: Some(sha256), owner: None, group: None, mode: 0o640 }
    }

    fn with_large_file() -> (Machine, Sha256) {
        let machine = Machine::real();
        let content: String = ('a'..='z').cycle().take(LARGE).collect();
        machine.write("playbook/large", &content);
        (machine, Sha256::of(content.as_bytes()))
    }

    fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_large_file_gets_its_name_when_all_of_it_is_there() {
        let (machine, sha256) = with_large_file();
        std::fs::create_dir(machine.path("there")).unwrap();
        let mut wish = wish(machine.path("there/file"), sha256);
        let host = machine.host();
        assert_eq!(host.compare_fetched(&wish).unwrap(), Some(Lacking::Content));
        host.write_fetched(&wish, &[]).unwrap();
        assert_eq!(host.compare_fetched(&wish).unwrap(), None);
        assert_eq!(std::fs::metadata(&wish.path).unwrap().mode() & 0o7777, 0o640);
        // Other bytes than were promised change nothing, and leave nothing.
        let good = wish.sha256.replace(Sha256::of(b"other"));
        let error = host.write_fetched(&wish, &[]).unwrap_err().to_string();
        assert!(error.contains("fetching `large`: the sha256 of what is there is"), "{error}");
        assert_eq!(host.file_digest(&wish.path).unwrap(), good);
        assert_eq!(names(&machine.path("there")), ["file"]);
    }

    #[test]
    fn owner_and_mode_are_set_without_fetching() {
        let (machine, sha256) = with_large_file();
        let mut wish = wish(machine.path("file"), sha256);
        machine.host().write_fetched(&wish, &[]).unwrap();
        std::fs::remove_file(machine.path("playbook/large")).unwrap();
        wish.mode = 0o600;
        assert!(matches!(machine.facts().compare_fetched(&wish).unwrap(), Some(Lacking::Attributes { .. })));
        machine.host().set_attributes_of_fetched(&wish, &[]).unwrap();
        assert_eq!(machine.facts().compare_fetched(&wish).unwrap(), None);
    }

    #[test]
    fn in_a_users_tree_a_large_file_is_written_and_read_by_that_user() {
        if not_root() {
            return;
        }
        let (machine, sha256) = with_large_file();
        std::fs::set_permissions(machine.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
        let home = machine.path("home-of-user");
        std::fs::create_dir(&home).unwrap();
        chown(&home, Some(USER.1), Some(USER.1)).unwrap();
        let mut wish = wish(home.join("file"), sha256);
        wish.owner = Some(USER.0.into());
        machine.host().write_fetched(&wish, &[]).unwrap();
        assert_eq!(machine.facts().compare_fetched(&wish).unwrap(), None);
        let meta = std::fs::metadata(&wish.path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777, meta.size()), (USER.1, 0o640, LARGE as u64));
        // A second name could be anybody's file: it is the user who reads it then.
        std::fs::hard_link(&wish.path, home.join("second")).unwrap();
        assert_eq!(machine.facts().compare_fetched(&wish).unwrap(), None);
        assert!(names(&machine.path("state/downloads")).is_empty(), "what stood between is gone");
    }
}
