//! Where a source's files are: its pattern, the folders that it leads to, and what stands in them.
//!
//! A folder is read again only when it has changed, so that thousands of files cost a look at each, and nothing else.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use super::family::{is_packed, rotated_from};
use crate::host::inode::Seen;
use crate::logs::outbox::Destination;
use crate::logs::text::Rules;

/// `**` goes no deeper.
const DEEPEST: usize = 16;
/// A star does not cross folders, and does not mean hidden files.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Files to follow.
pub struct FileSource {
    /// A path, or a pattern of paths.
    pub pattern: String,
    /// Where their lines go.
    pub to: Destination,
    /// How their text is read.
    pub rules: Arc<Rules>,
}

/// A source and what is known about its folders.
pub(super) struct Source {
    pub(super) given: FileSource,
    pattern: Option<Pattern>,
    /// The first source with the same destination: a file goes there once, whoever names it.
    pub(super) alike: usize,
    folders: HashMap<PathBuf, Listing>,
    /// The newest write that was seen; what was written before it and is unknown was there before us. `None` before the first
    /// scan.
    pub(super) newest: Option<i64>,
    /// The newest write that the present scan saw.
    pub(super) latest: i64,
}

/// What is in a folder.
#[derive(Default)]
struct Listing {
    place: (u64, u64),
    changed: i64,
    /// It was the same at two scans: nothing can have been added within one tick of the file system's clock.
    is_certain: bool,
    entries: Arc<Vec<Entry>>,
}

/// A name that concerns the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// The log that this is a rotation of, by its name, if the source did not ask for it by itself.
    pub(super) home: Option<PathBuf>,
}

impl Source {
    pub(super) fn new(given: FileSource, alike: usize) -> Self {
        let pattern = has_wildcards(&given.pattern).then(|| Pattern::new(&given.pattern).ok()).flatten();
        Self { given, pattern, alike, folders: HashMap::new(), newest: None, latest: i64::MIN }
    }

    /// Whether the source asks for this path.
    pub(super) fn wants(&self, path: &Path) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches_path_with(path, OPTIONS),
            None => path == Path::new(&self.given.pattern),
        }
    }

    /// The logs of this source that a path may be a rotation of.
    pub(super) fn homes(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        rotated_from(path).into_iter().filter(|home| self.wants(home))
    }

    /// The log that a path is a rotation of: of those that it may be, the one with the shortest name.
    pub(super) fn log_of(&self, path: &Path) -> Option<PathBuf> {
        self.homes(path).min_by_key(|home| home.as_os_str().len())
    }

    /// What concerns the source, in all its folders.
    pub(super) fn look(&mut self) -> Vec<Arc<Vec<Entry>>> {
        let folders = folders_of(&self.given.pattern);
        let mut known = std::mem::take(&mut self.folders);
        let mut found = Vec::new();
        for folder in folders {
            let before = known.remove(&folder).unwrap_or_default();
            if let Some(listing) = self.list(&folder, before) {
                found.push(Arc::clone(&listing.entries));
                self.folders.insert(folder, listing);
            }
        }
        found
    }

    /// The folders it looks into.
    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.keys()
    }

    fn list(&self, folder: &Path, before: Listing) -> Option<Listing> {
        let seen = Seen::at(folder).ok()?;
        let is_same = (before.place, before.changed) == (seen.place, seen.changed);
        if is_same && before.is_certain {
            return Some(before);
        }
        let mut entries = Vec::new();
        match std::fs::read_dir(folder) {
            Ok(names) => entries.extend(names.flatten().filter_map(|name| self.entry(name.path()))),
            // It may be passed through all the same.
            Err(_) if self.pattern.is_none() => entries.push(Entry { path: PathBuf::from(&self.given.pattern), home: None }),
            Err(_) => {}
        }
        // First the logs, then what rotation made of them.
        entries.sort_unstable_by(|one, other| (one.home.is_some(), &one.path).cmp(&(other.home.is_some(), &other.path)));
        Some(Listing { place: seen.place, changed: seen.changed, is_certain: is_same, entries: Arc::new(entries) })
    }

    fn entry(&self, path: PathBuf) -> Option<Entry> {
        if self.wants(&path) && (self.pattern.is_none() || !is_packed(&path)) {
            return Some(Entry { path, home: None });
        }
        let home = self.log_of(&path)?;
        Some(Entry { path, home: Some(home) })
    }
}

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The folders that a pattern's files are in.
fn folders_of(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let mut folders = vec![PathBuf::new()];
    for part in path.parent().map(Path::components).into_iter().flatten() {
        let text = part.as_os_str().to_string_lossy();
        if !matches!(part, Component::Normal(_)) || !has_wildcards(&text) {
            folders.iter_mut().for_each(|folder| folder.push(part));
        } else if text == "**" {
            folders = folders.iter().flat_map(|folder| below(folder, DEEPEST)).collect();
        } else {
            let pattern = Pattern::new(&text).ok();
            let fits = |path: &PathBuf| {
                let name = path.file_name().and_then(|name| name.to_str());
                pattern.as_ref().zip(name).is_some_and(|(pattern, name)| pattern.matches_with(name, OPTIONS))
            };
            folders = folders.iter().flat_map(|folder| folders_in(folder, true)).filter(fits).collect();
        }
    }
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    if depth > 0 {
        all.extend(folders_in(folder, false).iter().flat_map(|folder| below(folder, depth - 1)));
    }
    all
}

/// `follow`: through links too, which in a whole tree would lead in circles.
fn folders_in(folder: &Path, follow: bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_symlink() => follow && entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    };
    entries.filter(is_folder).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pattern: &Path) -> Source {
        let to = Destination { group: "g".into(), stream: "s".into(), days: None, tags: std::collections::BTreeMap::new() };
        Source::new(FileSource { pattern: pattern.display().to_string(), to, rules: Arc::default() }, 0)
    }

    fn names(source: &mut Source, root: &Path) -> Vec<(String, Option<String>)> {
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        let entries = source.look();
        entries.iter().flat_map(|all| all.iter()).map(|entry| (name(&entry.path), entry.home.as_ref().map(name))).collect()
    }

    fn fill(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
    }

    fn told(names: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        names.iter().map(|(name, home)| ((*name).into(), (!home.is_empty()).then(|| (*home).into()))).collect()
    }

    #[test]
    fn a_plain_path_is_itself_and_its_rotations() {
        let root = tempfile::tempdir().unwrap();
        fill(root.path(), &["app.log", "app.log.1", "app.log.2.gz", "other.log", "app.log.d/x"]);
        let mut source = source(&root.path().join("app.log"));
        let found = told(&[("app.log", ""), ("app.log.1", "app.log"), ("app.log.2.gz", "app.log")]);
        assert_eq!(names(&mut source, root.path()), found);
    }

    #[test]
    fn a_pattern_finds_folders_too_and_no_hidden_or_compressed_files() {
        let root = tempfile::tempdir().unwrap();
        fill(root.path(), &["a/x.log", "a/.y.log", "b/x.log", "b/x.log.1.gz", "b/deep/er/x.log", "b/z.log.gz", "c.log"]);
        let found = told(&[("a/x.log", ""), ("b/x.log", ""), ("b/x.log.1.gz", "b/x.log"), ("b/z.log.gz", "b/z.log")]);
        assert_eq!(names(&mut source(&root.path().join("*/*.log")), root.path()), found);
        let deep = names(&mut source(&root.path().join("**/*.log")), root.path());
        let deep: Vec<&str> = deep.iter().filter(|(_, home)| home.is_none()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(deep, ["c.log", "a/x.log", "b/x.log", "b/deep/er/x.log"]);
        let all = names(&mut source(&root.path().join("b/*")), root.path());
        assert!(all.contains(&("b/x.log.1.gz".into(), Some("b/x.log".into()))), "compressed is never text: {all:?}");
    }

    #[test]
    fn a_folder_that_changed_or_was_replaced_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        fill(root.path(), &["logs/a.log"]);
        let mut source = source(&root.path().join("logs/*.log"));
        for _ in 0..3 {
            assert_eq!(names(&mut source, root.path()), told(&[("logs/a.log", "")]));
        }
        fill(root.path(), &["logs/b.log"]);
        assert_eq!(names(&mut source, root.path()).len(), 2);
        std::fs::rename(root.path().join("logs"), root.path().join("old")).unwrap();
        assert_eq!(names(&mut source, root.path()), []);
        fill(root.path(), &["logs/c.log"]);
        assert_eq!(names(&mut source, root.path()), told(&[("logs/c.log", "")]));
    }
}
