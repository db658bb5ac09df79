//! Releases: complete checkouts side by side, each in a directory named after its commit. One appears whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::bring::{self, Wish};
use super::locks::Exclusive;
use super::resolve::{Resolved, is_commit};
use crate::error::{Context as _, Result};

/// Where they are, below the place of the application.
pub const FOLDER: &str = "releases";
/// Says what is checked out in a release.
const HEAD: &str = ".git/HEAD";
/// A release that is being made.
const IN_THE_MAKING: &str = ".in-the-making";

/// What stands beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// The commits, the oldest release first.
    pub commits: Vec<String>,
    /// Names of what an earlier run left when it was cut short.
    pub leftovers: Vec<String>,
}

impl Releases {
    /// Looks at the place of an application.
    ///
    /// # Errors
    /// `Denied` where we may not look.
    pub fn look(place: &Path) -> Result<Self> {
        let folder = place.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Self::default()),
            entries => entries.doing(|| format!("looking into `{}`", folder.display()))?,
        };
        let (mut made, mut leftovers) = (Vec::new(), Vec::new());
        for entry in entries {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            match made_at(&folder.join(&name)) {
                Some(at) if is_commit(&name) => made.push((at, name)),
                // Without that file it is only half there: it is the first to go.
                None if is_commit(&name) => leftovers.push(name),
                _ if name.starts_with('.') && name.ends_with(IN_THE_MAKING) => leftovers.push(name),
                _ => {}
            }
        }
        made.sort();
        leftovers.sort();
        Ok(Self { commits: made.into_iter().map(|(_, commit)| commit).collect(), leftovers })
    }
}

/// When the release was checked out: its directory changes with what the application writes into it, this file does not.
fn made_at(release: &Path) -> Option<SystemTime> {
    fs::metadata(release.join(HEAD)).and_then(|facts| facts.modified()).ok()
}

/// Makes a release of what the wish says, below its path, out of a fresh checkout that gets its name when all of it is there.
///
/// # Errors
/// Whatever kept it from being made; what is left of it is in nobody's way.
pub fn make(wish: &Wish, access: &Arc<Access>) -> Result<Resolved> {
    let folder = wish.path.join(FOLDER);
    fs::create_dir_all(&folder).doing(|| format!("making the directory `{}`", folder.display()))?;
    let _exclusive = Exclusive::take(&folder, access.deadline)?;
    let resolved = match &wish.resolved {
        Some(resolved) => resolved.clone(),
        None => bring::ask(access, wish.revision.as_deref())?,
    };
    let (release, making) = (folder.join(&resolved.commit), folder.join(format!(".{}{IN_THE_MAKING}", resolved.commit)));
    clear(&making)?;
    if made_at(&release).is_none() {
        clear(&release)?;
    }
    fs::create_dir(&making).doing(|| format!("making the directory `{}`", making.display()))?;
    bring::bring(&Wish { path: making.clone(), resolved: Some(resolved.clone()), ..wish.clone() }, access)?;
    fs::rename(&making, &release).doing(|| format!("renaming to `{}`", release.display()))?;
    sync(&folder)?;
    Ok(resolved)
}

/// Removes releases and leftovers. What is half removed is no release any more.
///
/// # Errors
/// Where something in one belongs to somebody else.
pub fn remove(place: &Path, names: &[String]) -> Result<()> {
    let folder = place.join(FOLDER);
    for name in names {
        clear(&folder.join(name))?;
    }
    sync(&folder)
}

fn clear(path: &Path) -> Result<()> {
    let removed = match fs::remove_file(path.join(HEAD)) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(error),
        _ => fs::remove_dir_all(path),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).doing(|| format!("removing `{}`", path.display())),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).doing(|| format!("putting `{}` on the disk", folder.display()))
}
