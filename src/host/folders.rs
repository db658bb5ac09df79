//! Looking at all that is in a folder. A folder is often reached by a link of the user whose tree it is in (`current`), which root
//! does not follow: that user says where it leads, and root goes there only when it is the same user's tree.

use std::path::{Path, PathBuf};

use super::Facts;
use super::files::{FileFacts, mixed_up};
use super::tree::{self, Errand, Reply, Stop};
use crate::error::{Context as _, Error, Kind, Result};

impl Facts {
    /// The directory that this path stands for, links followed; `None` where there is nothing.
    ///
    /// # Errors
    /// `Failed` when it is no directory; `Denied` where we may not look, or a user's link leads out of that user's tree.
    pub fn folder(&self, path: &Path) -> Result<Option<PathBuf>> {
        let errand = || Errand::Resolve { path: path.to_owned() };
        let (reply, user) = match tree::perform(&errand()) {
            Ok(reply) => (reply, None),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Foreign(user)) => {
                (self.errand(&self.name_of(user)?, &super::as_user::Errand::Files(errand()))?, Some(user))
            }
        };
        let Reply::Resolved(found) = reply else { return Err(mixed_up()) };
        let (Some(folder), Some(user)) = (&found, user) else { return Ok(found) };
        if self.holder(&folder.join("inside"))? != Some(user) {
            let name = self.name_of(user)?;
            return Err(Error::new(Kind::Denied, format!("a link of user `{name}` leads to `{}`", folder.display()))
                .hint("name the place it leads to")
                .doing(format!("looking at `{}`", path.display())));
        }
        Ok(found)
    }

    /// Everything below this directory, by its path from there, sorted; `None` where there is nothing. The path must be one that
    /// [`Facts::folder`] gave.
    ///
    /// # Errors
    /// `Failed` when it is no directory, or there is too much in it; `Denied` where we may not look.
    pub fn list(&self, folder: &Path) -> Result<Option<Vec<(PathBuf, FileFacts)>>> {
        let found = tree::list(folder).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            // It was no link when it was looked at.
            Stop::Foreign(_) => Error::new(Kind::Denied, "a user has put a link there meanwhile"),
        });
        found.doing(|| format!("looking through `{}`", folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};

    use super::*;
    use crate::host::fakes::{Machine, not_root};
    use crate::host::files::FileKind;

    /// A user every Linux has and nobody logs in as.
    const USER: u32 = 1;

    #[test]
    fn all_that_is_in_a_folder_is_listed_and_no_link_in_it_followed() {
        let machine = Machine::new();
        machine.write("top/b/one", "1");
        machine.write("top/a", "22");
        symlink("/etc", machine.path("top/link")).unwrap();
        symlink("top", machine.path("current")).unwrap();
        let folder = machine.facts().folder(&machine.path("current")).unwrap().unwrap();
        assert_eq!(folder, machine.path("top"));
        let found = machine.facts().list(&folder).unwrap().unwrap();
        let names: Vec<_> = found.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(names, ["a", "b", "b/one", "link"]);
        assert!(matches!(found[3].1.kind, FileKind::Link(_)));
        assert_eq!(found[0].1.kind, FileKind::File(2));
        assert_eq!(machine.facts().folder(&machine.path("none")).unwrap(), None);
        assert_eq!(machine.facts().list(&machine.path("none")).unwrap(), None);
        assert!(machine.facts().folder(&machine.path("top/a")).unwrap_err().to_string().contains("no directory"));
    }

    #[test]
    fn a_users_link_leads_within_that_users_tree_only() {
        if not_root() {
            return;
        }
        let machine = Machine::real();
        std::fs::set_permissions(machine.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
        machine.write("home/r1/file", "x");
        machine.write("elsewhere/key", "x");
        for path in ["home", "home/r1"] {
            chown(machine.path(path), Some(USER), Some(USER)).unwrap();
        }
        for (name, target) in [("current", machine.path("home/r1")), ("evil", machine.path("elsewhere"))] {
            symlink(target, machine.path("home").join(name)).unwrap();
            lchown(machine.path("home").join(name), Some(USER), Some(USER)).unwrap();
        }
        assert_eq!(std::fs::metadata(machine.path("home")).unwrap().uid(), USER);
        assert_eq!(machine.facts().folder(&machine.path("home/current")).unwrap(), Some(machine.path("home/r1")));
        let error = machine.facts().folder(&machine.path("home/evil")).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
}
