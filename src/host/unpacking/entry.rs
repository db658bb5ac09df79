//! What an archive may call a file, and where a link in it may lead: nowhere but into the directory that it becomes.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// Where an entry of this name belongs, with so many directories left out at the top; `None` for what is left out with them.
///
/// # Errors
/// `Failed` when the name leads out of the archive.
pub fn place_of(name: &Path, strip: u32) -> Result<Option<PathBuf>> {
    let mut inside = PathBuf::new();
    let mut left_out = 0;
    for part in name.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) if left_out < strip => left_out += 1,
            Component::Normal(name) => inside.push(name),
            _ => return Err(Error::new(Kind::Failed, format!("`{}` in it leads out of it", name.display()))),
        }
    }
    Ok((!inside.as_os_str().is_empty()).then_some(inside))
}

/// Whether this is a plain path from the directory on.
pub fn is_inside(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Checks where a link at `place` leads. It may climb only as its first steps, and no higher than the top: behind another link `..`
/// would be the parent of whatever that leads to.
///
/// # Errors
/// `Failed` when it leads out of the archive, or could.
pub fn check_link(place: &Path, target: &Path) -> Result<()> {
    let mut height = place.components().count().saturating_sub(1);
    let mut climbs = true;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => climbs = false,
            Component::ParentDir if climbs && height > 0 => height -= 1,
            _ => {
                let message = format!("the link `{}` in it leads out of it, to `{}`", place.display(), target.display());
                return Err(Error::new(Kind::Failed, message));
            }
        }
    }
    Ok(())
}

/// The permission bits a file gets: nobody but its owner may write it, and it lends nobody its owner's rights.
pub fn file_mode(of_archive: u32) -> u32 {
    (of_archive & 0o755) | 0o600
}

/// The same for a directory.
pub fn directory_mode(of_archive: u32) -> u32 {
    (of_archive & 0o755) | 0o700
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_into_the_directory_or_nowhere() {
        for (name, strip, place) in [
            ("a/b", 0, Some("a/b")),
            ("./a/./b", 0, Some("a/b")),
            ("node-v20/bin/node", 1, Some("bin/node")),
            ("./node-v20/bin/node", 1, Some("bin/node")),
            ("node-v20/", 1, None),
            ("README", 1, None),
            ("./", 0, None),
        ] {
            assert_eq!(place_of(Path::new(name), strip).unwrap().as_deref(), place.map(Path::new), "{name}");
        }
        for name in ["../a", "a/../../b", "/etc/passwd", "a/.."] {
            assert!(place_of(Path::new(name), 0).is_err() && place_of(Path::new(name), 1).is_err(), "{name}");
        }
    }

    #[test]
    fn links_lead_into_the_directory_only() {
        for (place, target) in [("bin/npm", "../lib/node_modules/npm"), ("a", "b/c"), ("a/b/c", "../../d"), ("a", "./b")] {
            assert!(check_link(Path::new(place), Path::new(target)).is_ok(), "{place} -> {target}");
        }
        for (place, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("bin/npm", "../../x"),
            // `b` may be a link to `.`, and then this is the directory above.
            ("d/a", "b/../../x"),
            ("a/b", "../c/.."),
        ] {
            assert!(check_link(Path::new(place), Path::new(target)).is_err(), "{place} -> {target}");
        }
    }

    #[test]
    fn rights_are_cut_to_what_an_archive_may_give() {
        assert_eq!((file_mode(0o6777), file_mode(0o444), file_mode(0o600)), (0o755, 0o644, 0o600));
        assert_eq!((directory_mode(0o1777), directory_mode(0)), (0o755, 0o700));
    }
}
