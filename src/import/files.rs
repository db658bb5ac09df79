//! The files of the original: itself, and what lies beside it. Nothing outside of its folder is read.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::host::documents;
use crate::playbook::node::Node;
use crate::playbook::source::{Mark, Source};
use crate::playbook::{Problem, Problems, yaml};

/// A value, and the file it is written in.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file.
    pub source: Arc<Source>,
    /// The value.
    pub node: Node,
}

/// The folder of the original.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// The folder that holds this file.
    #[must_use]
    pub fn around(file: &Path) -> Self {
        Self { folder: file.parent().map(Path::to_owned).unwrap_or_default() }
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of a file, by its path from the folder; `None` when there is none.
    #[must_use]
    pub fn text(&self, path: &Path) -> Option<String> {
        String::from_utf8(self.bytes(path)?).ok()
    }

    fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.has(path).then(|| documents::read(&self.folder.join(path), yaml::LARGEST).ok()).flatten()
    }

    /// Whether there is such a file in the folder.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        inside && documents::is_file(&self.folder.join(path))
    }

    /// A YAML file with what is not strict in it; `None` when there is none, or nothing in it.
    ///
    /// # Errors
    /// When it is no YAML.
    pub fn yaml(&self, path: &Path) -> Result<Option<(Written, Vec<Problem>)>, Problems> {
        match self.text(path) {
            Some(text) if !is_empty(&text) => read(&self.folder.join(path).display().to_string(), &text).map(Some),
            _ => Ok(None),
        }
    }

    /// The first of these files, with or without its extension.
    #[must_use]
    pub fn first(&self, candidates: &[PathBuf]) -> Option<PathBuf> {
        let spelled = candidates.iter().flat_map(|path| [path.clone(), path.with_extension("yml"), path.with_extension("yaml")]);
        spelled.into_iter().find(|path| self.has(path))
    }
}

/// Reads a text as YAML.
///
/// # Errors
/// When it is none.
pub fn read(label: &str, text: &str) -> Result<(Written, Vec<Problem>), Problems> {
    let source = Arc::new(Source::new(label, text));
    let (node, problems) = yaml::read_foreign(&source, text)?;
    Ok((Written { source, node }, problems))
}

fn is_empty(text: &str) -> bool {
    text.lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---" || line.trim() == "...")
}

/// The lines of an item of a list, or of a key, without their common indentation: down to what stands no deeper than it does.
#[must_use]
pub fn lines_of(source: &Source, mark: Mark, limit: usize) -> Vec<String> {
    let first = source.line(mark.line);
    let indent = first.len() - first.trim_start().len();
    let mut lines = vec![first.get(indent..).unwrap_or_default().to_owned()];
    for number in mark.line + 1..=limit {
        let line = source.line(number);
        let own = line.len() - line.trim_start().len();
        // A list may stand as deep as its key.
        let is_item = own == indent && line.trim_start().starts_with("- ") && !first.trim_start().starts_with("- ");
        if !line.trim().is_empty() && own <= indent && !is_item {
            break;
        }
        lines.push(line.get(indent..).unwrap_or_default().to_owned());
    }
    while lines.last().is_some_and(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        lines.pop();
    }
    lines
}
