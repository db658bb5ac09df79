//! The way over: an Ansible playbook or a cloud-config becomes a playbook of ours. Nothing is dropped silently: what could not be said
//! stays as a comment in its place, with the reason, and stands in the report.
//!
//! `files` reads the original, `ansible` and `cloud_config` turn it into a `document`, `judge` asks `agent check`'s own reader about it.

mod ansible;
mod cloud_config;
mod document;
mod files;
mod jinja;
mod judge;
mod report;
mod shell;
mod unit_file;
mod yaml;

use std::path::{Path, PathBuf};

use crate::host::documents::{self, Beside};
use crate::playbook::node::{Key, Node, NodeKind};
use crate::playbook::source::{Mark, Source};
use crate::playbook::{Overrides, Problem, Problems, yaml as reader};
use files::{Files, Written};
pub use report::{Item, Report, Share, Verdict};

/// What is imported, and with which values.
#[derive(Debug)]
pub struct Wish<'w> {
    /// The file.
    pub path: &'w Path,
    /// Values for variables, as Ansible's `-e` gives them.
    pub overrides: &'w Overrides,
    /// Only the plays for these hosts.
    pub hosts: Option<&'w str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Imported {
    /// The playbook.
    pub text: String,
    /// What became of everything.
    pub report: Report,
    /// The files beside the original that the playbook uses.
    pub files: Vec<String>,
}

/// Translates a file.
///
/// # Errors
/// When it is not YAML, or neither an Ansible playbook nor a cloud-config.
pub fn import(wish: &Wish<'_>) -> Result<Imported, Problems> {
    let bytes = documents::read(wish.path, reader::LARGEST).map_err(Problem::from)?;
    let label = wish.path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| Problem::nowhere(format!("`{label}` is not UTF-8 text")))?;
    let (main, odd) = files::read(&label, &text)?;
    let files = Files::around(wish.path);
    let folder = files.folder().to_owned();
    let given = given(wish.overrides)?;
    let (mut document, mut report) =
        if text.lines().take_while(|line| line.starts_with('#')).any(|line| line.trim() == "#cloud-config") {
            cloud_config::import(&main, odd)
        } else if matches!(main.node.kind, NodeKind::List(_)) {
            ansible::import(&main, odd, files, wish, &given)
        } else {
            let problem = main.source.problem(main.node.mark, "this is neither an Ansible playbook nor a cloud-config");
            return Err(problem.hint("the one is a list of plays or tasks, the other begins with `#cloud-config`").into());
        };
    document.name = name_of(wish.path);
    document.head = vec![format!(
        "Imported from {label}. What could not be translated stands here as a comment in its place, with the reason."
    )];
    document.prune();
    let text = judge::settle(&mut document, &Beside::Folder(folder), &mut report)?;
    let mut files: Vec<String> = document
        .pieces
        .iter()
        .filter_map(document::Piece::step)
        .flat_map(|step| [step.text("template"), step.text("source")])
        .flatten()
        .filter(|path| !path.contains("://") && !path.contains("{{"))
        .map(str::to_owned)
        .collect();
    files.sort_unstable();
    files.dedup();
    Ok(Imported { text, report, files })
}

/// `--vars` and then `--set`, each as a map of variables.
fn given(overrides: &Overrides) -> Result<Vec<Written>, Problems> {
    let mut all = Vec::new();
    for path in &overrides.files {
        let bytes = documents::read(path, reader::LARGEST).map_err(Problem::from)?;
        all.push(files::read(&path.display().to_string(), &String::from_utf8_lossy(&bytes))?.0);
    }
    for (name, value) in &overrides.values {
        let mark = Mark { line: 1, column: 1 };
        let source = std::sync::Arc::new(Source::new(&format!("--set {name}"), value));
        let value = Node { mark, kind: NodeKind::Scalar { text: value.clone(), plain: true } };
        let node = Node { mark, kind: NodeKind::Map(vec![(Key { text: name.clone(), mark }, value)]) };
        all.push(Written { source, node });
    }
    Ok(all)
}

/// What the playbook is called: its file, or the folder of a file that is called like every other.
fn name_of(path: &Path) -> String {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).filter(|stem| !stem.is_empty());
    let own = stem(path).unwrap_or_else(|| "imported".into());
    let usual = ["playbook", "site", "main", "user-data", "cloud-config", "provision"].contains(&own.as_str());
    let folder: Option<PathBuf> = path.parent().map(Path::to_owned).filter(|_| usual);
    folder.and_then(|folder| stem(&folder)).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Imported {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        std::fs::write(&path, text).unwrap();
        import(&Wish { path: &path, overrides: &Overrides::default(), hosts: None }).unwrap()
    }

    #[test]
    fn a_variable_that_check_refuses_takes_its_steps_with_it() {
        let imported = of(
            "- hosts: all\n  vars:\n    bad: \"{{ 'x' | int }}\"\n  tasks:\n    - command: echo {{ bad }}\n    - command: \"true\"\n",
        );
        assert!(
            !imported.text.contains("\n  bad:") && imported.text.contains("left out: unknown variable `bad`"),
            "{}",
            imported.text
        );
        let report = imported.report.text();
        assert!(report.contains("a.yml:3:5: `bad`: ") && report.contains("1 of 2 tasks (50 %)"), "{report}");
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_nothing_goes_round_in_circles() {
        let imported = of(
            "- hosts: all\n  vars:\n    a: \"{{ b }}\"\n    b: \"{{ a }}\"\n    c: !vault |\n      6162\n  tasks:\n    - command: echo {{ a }}\n    - command: echo {{ c }}\n",
        );
        let report = imported.report.text();
        assert!(report.contains("is made of itself") && report.contains("a YAML tag"), "{report}");
        assert!(imported.text.ends_with("{{ c }}\n") && imported.text.contains("steps: []"), "{}", imported.text);
    }

    #[test]
    fn a_cloud_config_with_the_wrong_shape_loses_nothing_unsaid() {
        let imported = of("#cloud-config\npackages: nginx\nruncmd: [{a: b}, \"echo {{ x }}\"]\n");
        let report = imported.report.text();
        assert!(report.contains("`packages`: a list is expected here") && report.contains("a map is no command"), "{report}");
        assert!(imported.text.contains("echo {{ \"{{\" }} x }}"), "{}", imported.text);
    }
}
