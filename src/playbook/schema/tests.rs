//! Every playbook of the repository is in order, and the schema that editors get agrees.

use std::path::{Path, PathBuf};

use crate::playbook::node::{Node, NodeKind};
use crate::playbook::shape::Shape;
use crate::playbook::source::Source;
use crate::playbook::value::{Content, Value};
use crate::playbook::{Location, Overrides, Playbook, yaml};

fn playbooks() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    assert!(!found.is_empty(), "no playbooks");
    found
}

/// As an editor sees it: an expression is a text like any other.
fn as_written(node: &Node) -> Value {
    let content = match &node.kind {
        NodeKind::Scalar { text, plain: true } => Content::Plain(text.clone()),
        NodeKind::Scalar { text, .. } => Content::Text(text.clone()),
        NodeKind::List(items) => Content::List(items.iter().map(as_written).collect()),
        NodeKind::Map(members) => Content::Map(members.iter().map(|(key, node)| (key.clone(), as_written(node))).collect()),
    };
    Value { mark: node.mark, content }
}

fn complaints(text: &str) -> Vec<String> {
    let source = Source::new("p", text);
    let shape = Shape::of_schema(crate::playbook::schema());
    let found = shape.fit(&mut as_written(&yaml::read(&source, text).unwrap()));
    found.into_iter().map(|complaint| format!("{}: {}", complaint.mark.line, complaint.message)).collect()
}

#[test]
fn every_playbook_is_in_order_without_a_warning() {
    for path in playbooks() {
        let playbook = Playbook::load(&Location::Path(path), &Overrides::default()).unwrap_or_else(|found| panic!("{found}"));
        assert!(!playbook.entries.is_empty());
        assert_eq!(playbook.warnings, []);
    }
}

#[test]
fn the_schema_accepts_every_playbook_and_refuses_a_typo() {
    for path in playbooks() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(complaints(&text), [""; 0], "{}", path.display());
        let broken = text.replacen("steps:", "stepz:", 1);
        assert!(complaints(&broken).iter().any(|line| line.ends_with("unknown key `stepz`")), "{}", path.display());
    }
}

/// An editor refuses the whole schema when one `type` names something twice.
#[test]
fn no_type_is_named_twice() {
    let schema = crate::playbook::schema();
    let (mut open, mut lists) = (vec![&schema], 0);
    while let Some(part) = open.pop() {
        if let Some(names) = part.get("type").and_then(serde_json::Value::as_array) {
            let unique: std::collections::HashSet<_> = names.iter().map(ToString::to_string).collect();
            assert_eq!(unique.len(), names.len(), "{part}");
            lists += 1;
        }
        open.extend(part.as_object().into_iter().flat_map(serde_json::Map::values));
        open.extend(part.as_array().into_iter().flatten());
    }
    assert!(lists > 10, "{lists}");
}
