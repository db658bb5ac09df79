//! Home directories. We make them, and not `useradd`: it makes the directory under its final name and fills it then, so that a power
//! cut leaves a home that is half there. Ours is filled under another name, given away, and renamed last.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{FileKind, NewFile};
use super::tree::Errand;
use super::users::UserFacts;
use super::write::Attributes;
use super::{Facts, Host};
use crate::error::{Context as _, Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// What a home may be where `login.defs` says nothing.
const OPEN: u32 = 0o755;

impl Host {
    /// Makes the user's home with what the skeleton has. One of root's that is there is completed; any becomes the user's.
    ///
    /// # Errors
    /// `Missing` when there is no such user; when it cannot be made.
    pub fn make_home(&self, user: &str, home: &Path) -> Result<()> {
        let account = self.user(user)?.ok_or_else(|| Error::new(Kind::Missing, format!("there is no user `{user}`")))?;
        match self.look(home)? {
            None => {}
            Some(there) if there.uid == 0 => return self.furnish(home, &account, there.mode),
            // What another user has in there is between the two of them.
            Some(_) => return self.set_attributes(home, &belongs_to(&account, None)),
        }
        let name = home.file_name().ok_or_else(|| Error::new(Kind::Playbook, "`/` is nobody's home"))?;
        let unfinished = home.with_file_name(format!(".{}.bootstrap-agent.home", name.to_string_lossy()));
        self.remove(&unfinished)?;
        self.furnish(&unfinished, &account, 0o700)?;
        self.change_there(Errand::Rename { from: unfinished, to: home.to_owned() }, home, None).map(drop)
    }

    /// Copies the skeleton there and gives all of it away, the top last.
    fn furnish(&self, home: &Path, account: &UserFacts, meanwhile: u32) -> Result<()> {
        self.make_directory(home, &Attributes { mode: Some(meanwhile), ..Attributes::default() })?;
        let databases = &self.world.accounts.0;
        self.copy_into(&databases.join("skel"), home, account)?;
        let mode = home_mode(&fs::read_to_string(databases.join("login.defs")).unwrap_or_default());
        self.set_attributes(home, &belongs_to(account, Some(mode)))
    }

    /// What is there already stays.
    fn copy_into(&self, from: &Path, to: &Path, account: &UserFacts) -> Result<()> {
        for name in names_in(from)? {
            let (source, target) = (from.join(&name), to.join(&name));
            let Some(entry) = self.look(&source)? else { continue };
            match (entry.kind, self.look(&target)?.map(|there| there.kind)) {
                (FileKind::Directory, None | Some(FileKind::Directory)) => {
                    self.make_directory(&target, &Attributes { mode: Some(entry.mode), ..Attributes::default() })?;
                    self.copy_into(&source, &target, account)?;
                    self.set_attributes(&target, &belongs_to(account, Some(entry.mode)))?;
                }
                (FileKind::File(_), None) => {
                    let content = Sensitive::Secret(Secret::new(self.read(&source)?.unwrap_or_default()));
                    let owner = Some(account.name.clone());
                    self.write_file(&NewFile { path: target, content, owner, group: None, mode: entry.mode })?;
                }
                (FileKind::Link(leads), None) => self.make_link(&target, &leads, &belongs_to(account, None))?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Facts {
    /// Whether a home stands there and is the user's.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn home_of(&self, user: &UserFacts, home: &Path) -> Result<Home> {
        Ok(match self.look(home)? {
            None => Home::Missing,
            Some(there) if there.kind == FileKind::Directory && there.uid != user.uid => {
                let owner = self.user_by_id(there.uid)?.map_or_else(|| there.uid.to_string(), |owner| owner.name);
                Home::Foreign(owner)
            }
            Some(_) => Home::There,
        })
    }
}

/// What stands where a home shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// Nothing.
    Missing,
    /// A directory of somebody else: this one's.
    Foreign(String),
    /// The user's own, or something that is no directory and that we leave alone.
    There,
}

fn belongs_to(account: &UserFacts, mode: Option<u32>) -> Attributes {
    Attributes { owner: Some(account.name.clone()), group: None, mode }
}

fn names_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A machine without a skeleton has empty homes.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).doing(|| format!("reading `{}`", folder.display())),
    };
    Ok(entries.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect::<std::io::Result<_>>()?)
}

/// The mode that `login.defs` has for new homes, as `useradd` reads it.
fn home_mode(definitions: &str) -> u32 {
    let number = |name: &str| {
        let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
        let value = definitions.lines().map(words).find(|words| words.first().is_some_and(|word| word == name));
        u32::from_str_radix(value?.get(1)?, 8).ok()
    };
    number("HOME_MODE").or_else(|| Some(0o777 & !number("UMASK")?)).unwrap_or(OPEN)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::host::fakes::Machine;

    fn machine() -> Machine {
        let machine = Machine::new().in_earnest(&[]);
        machine.write("etc/skel/.profile", "export A=1\n");
        machine.write("etc/skel/.config/app/settings", "a: 1\n");
        std::fs::set_permissions(machine.path("etc/skel/.config"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(".profile", machine.path("etc/skel/link")).unwrap();
        machine.write("etc/login.defs", "# HOME_MODE 0755\nUMASK 022\nHOME_MODE\t0750\n");
        machine
    }

    #[test]
    fn a_home_has_the_skeleton_and_the_mode_of_this_system() {
        let machine = machine();
        let home = machine.path("homes/me");
        // What a run left whose power was cut.
        machine.write("homes/.me.bootstrap-agent.home/half", "");
        machine.host().make_home("me", &home).unwrap();
        assert_eq!(machine.content("homes/me/.config/app/settings"), "a: 1\n");
        assert_eq!(std::fs::read_link(home.join("link")).unwrap(), Path::new(".profile"));
        assert_eq!(std::fs::metadata(home.join(".config")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(&home).unwrap().mode() & 0o777, 0o750);
        assert_eq!(std::fs::read_dir(machine.path("homes")).unwrap().count(), 1, "nothing else is left");
        assert!(!home.join("half").exists());
    }

    #[test]
    fn what_is_in_a_home_already_stays() {
        let machine = machine();
        machine.write("homes/me/.profile", "mine\n");
        machine.host().make_home("me", &machine.path("homes/me")).unwrap();
        assert_eq!(machine.content("homes/me/.profile"), "mine\n");
        assert_eq!(machine.content("homes/me/.config/app/settings"), "a: 1\n");
    }

    #[test]
    fn the_mode_of_a_new_home_is_the_systems() {
        assert_eq!(home_mode("HOME_MODE 0700\nUMASK 022"), 0o700);
        assert_eq!(home_mode("#HOME_MODE 0700\nUMASK 027"), 0o750);
        assert_eq!(home_mode("HOME_MODE"), 0o755);
    }
}
