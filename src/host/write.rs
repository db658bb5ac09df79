//! Changing files: atomically, with owner and mode right from the first byte, and never as root inside a tree that another user
//! can change (there, a helper running as that user does it).

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::as_user::Errand;
use super::files::{NewFile, mixed_up};
use super::programs::Invocation;
use super::tree::{self, Base64, Ids, Reply, Stop};
use super::{Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};

/// Ownership and permission bits as they shall be; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// Owner's name.
    pub owner: Option<String>,
    /// Group's name.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
}

impl Facts {
    /// The numbers behind the names; the group is the owner's own unless told.
    ///
    /// # Errors
    /// `Missing` where there is no such user or group.
    pub(in crate::host) fn ids(&self, owner: Option<&str>, group: Option<&str>, mode: Option<u32>) -> Result<Ids> {
        let mut ids = Ids { mode, ..Ids::default() };
        if let Some(name) = owner {
            let account = self.user(name)?.ok_or_else(|| {
                Error::new(Kind::Missing, format!("there is no user `{name}`")).hint("make it with a `user` step before this one")
            })?;
            ids.uid = Some(account.uid);
            ids.gid = Some(account.gid);
        }
        if let Some(name) = group {
            let group = self.group(name)?.ok_or_else(|| {
                Error::new(Kind::Missing, format!("there is no group `{name}`"))
                    .hint("make it with a `group` step before this one")
            })?;
            ids.gid = Some(group.gid);
        }
        Ok(ids)
    }

    /// Refuses what no helper could do: give a file in one user's tree to another user.
    pub(in crate::host) fn check_owner(&self, path: &Path, holder: u32, wanted: Option<u32>) -> Result<()> {
        if wanted.is_none_or(|wanted| wanted == holder) {
            return Ok(());
        }
        let name = self.name_of(holder)?;
        let why = format!(
            "`{}` is in a tree of user `{name}`, who could change it at will; root gives nothing to others there",
            path.display()
        );
        Err(Error::new(Kind::Denied, why)
            .hint(format!("say `owner: {name}`, or choose a place whose directories are all root's")))
    }
}

impl Host {
    /// Writes the file: temporary name in the same directory, synced, renamed, directory synced.
    ///
    /// # Errors
    /// When it cannot be written; the old content is then still there, whole.
    pub fn write_file(&self, file: &NewFile) -> Result<()> {
        self.write_validated(file, &[])
    }

    /// The same, but before it gets its real name, this program must accept it; `%s` in it is the name it has until then.
    ///
    /// # Errors
    /// When it cannot be written or is not accepted; the old content is then still there, whole.
    pub fn write_validated(&self, file: &NewFile, validate: &[String]) -> Result<()> {
        let ids = self.ids(file.owner.as_deref(), file.group.as_deref(), Some(file.mode))?;
        let content = Base64(Zeroizing::new(file.content.expose().to_vec()));
        let stage = tree::Errand::Stage { path: file.path.clone(), content, ids };
        let (reply, doer) = self.change_there(stage, &file.path, ids.uid)?;
        let Reply::Staged(staged) = reply else { return Err(mixed_up()) };
        self.put_in_place(&file.path, staged, doer, validate)
    }

    /// Gives a staged file its real name, once the program has accepted it.
    ///
    /// # Errors
    /// When it is not accepted; the old content is then still there, whole.
    pub(in crate::host) fn put_in_place(
        &self,
        path: &Path,
        staged: PathBuf,
        doer: Option<String>,
        validate: &[String],
    ) -> Result<()> {
        if let [program, arguments @ ..] = validate {
            let name = staged.to_string_lossy();
            let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("%s", &name)).collect();
            let mut invocation = Invocation { program: program.clone(), arguments, ..Invocation::default() };
            // In a user's tree also the judge must not be root: the file could be swapped under its eyes.
            invocation.user = doer;
            let judged = self.execute(&invocation).doing(|| format!("validating the new `{}`", path.display()));
            if let Err(error) = judged {
                self.change_there(tree::Errand::Discard { staged: staged.clone() }, path, None)?;
                return Err(error.hint("the old content is still in place"));
            }
        }
        self.change_there(tree::Errand::Commit { path: path.to_owned(), staged }, path, None)?;
        Ok(())
    }

    /// Makes the directory and those above it (these: root's, 0755).
    ///
    /// # Errors
    /// When it cannot be made, or something else stands there.
    pub fn make_directory(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let ids = self.ids_of(attributes)?;
        self.change_there(tree::Errand::MakeDirectory { path: path.to_owned(), ids }, path, ids.uid)?;
        Ok(())
    }

    /// Makes the link, replacing an older link atomically.
    ///
    /// # Errors
    /// When it cannot be made, or something that is no link stands there.
    pub fn make_link(&self, path: &Path, target: &Path, attributes: &Attributes) -> Result<()> {
        let ids = self.ids_of(attributes)?;
        self.change_there(tree::Errand::MakeLink { path: path.to_owned(), target: target.to_owned(), ids }, path, ids.uid)?;
        Ok(())
    }

    /// Sets owner, group and mode without following links.
    ///
    /// # Errors
    /// When it cannot.
    pub fn set_attributes(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let ids = self.ids_of(attributes)?;
        self.change_there(tree::Errand::SetAttributes { path: path.to_owned(), ids }, path, ids.uid)?;
        Ok(())
    }

    /// Removes a file, a link, or a directory with all that is in it. Nothing there is fine.
    ///
    /// # Errors
    /// When it cannot.
    pub fn remove(&self, path: &Path) -> Result<()> {
        self.change_there(tree::Errand::Remove { path: path.to_owned() }, path, None)?;
        Ok(())
    }

    fn ids_of(&self, attributes: &Attributes) -> Result<Ids> {
        self.ids(attributes.owner.as_deref(), attributes.group.as_deref(), attributes.mode)
    }

    /// Does it as ourselves; where root must not, as the user whose tree it is, whose name is then given back.
    pub(in crate::host) fn change_there(
        &self,
        errand: tree::Errand,
        path: &Path,
        wanted: Option<u32>,
    ) -> Result<(Reply, Option<String>)> {
        match tree::perform(&errand) {
            Ok(reply) => Ok((reply, None)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Foreign(holder)) => {
                self.check_owner(path, holder, wanted)?;
                let name = self.name_of(holder)?;
                let reply = self.errand(&name, &Errand::Files(errand))?;
                Ok((reply, Some(name)))
            }
        }
    }
}
