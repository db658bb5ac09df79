//! Packages, and the repositories they come from.

use super::{Importer, Why, is_true, items, member, text, yaml_list};
use crate::import::document::Step;
use crate::import::report::Verdict;
use crate::playbook::node::{Key, Node, NodeKind};

/// `packages`: names, or names with versions.
pub fn packages(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let mut names = Vec::new();
    for item in items(node) {
        match &item.kind {
            NodeKind::Scalar { .. } => names.extend(text(item)),
            NodeKind::List(pair) => match pair.iter().filter_map(text).collect::<Vec<_>>().as_slice() {
                [name, version] => names.push(format!("{name}={version}")),
                _ => importer.left_out(item.mark, "packages", "a list here is a name and a version"),
            },
            NodeKind::Map(members) => {
                for (manager, list) in members {
                    if manager.text == "apt" {
                        names.extend(items(list).iter().filter_map(text));
                    } else {
                        importer.left_out(
                            manager.mark,
                            "packages",
                            "only packages of the system's own manager have an equivalent",
                        );
                    }
                }
            }
        }
    }
    if names.is_empty() {
        importer.not_needed(key.mark, "packages", "none is named");
    } else {
        importer.steps(key.mark, "packages", vec![Step::new("packages").with("names", yaml_list(names))]);
    }
}

/// `package_update`.
pub fn no_need(importer: &mut Importer<'_>, key: &Key, _: &Node) {
    importer.not_needed(key.mark, &key.text, "package lists are fetched when something is missing");
}

/// `package_upgrade`.
pub fn upgrade(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    if is_true(node) {
        importer.left_out(
            key.mark,
            &key.text,
            "upgrading everything makes instances of one group differ: bake an image, or name versions",
        );
    } else {
        importer.not_needed(key.mark, &key.text, "it is switched off");
    }
}

/// `apt`: its sources.
pub fn apt(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    for (key, value) in node.members() {
        if key.text != "sources" {
            importer.left_out(
                key.mark,
                &format!("apt.{}", key.text),
                "`package_source` is for repositories; apt's own settings are a `file` in `/etc/apt/apt.conf.d`",
            );
            continue;
        }
        for (name, source) in value.members() {
            let became = source_of(&name.text, source);
            let is_there = became.is_ok();
            importer.became(name.mark, &format!("apt.sources.{}", name.text), became.map(|step| vec![step]));
            for (key, _) in source.members() {
                let verdict = match key.text.as_str() {
                    _ if !is_there => Verdict::LeftOut("its source is left out".into()),
                    "source" | "key" | "keyid" | "filename" => Verdict::Translated,
                    _ => Verdict::LeftOut("`package_source` has no equivalent for it".into()),
                };
                importer.key(key, verdict);
            }
        }
    }
}

fn source_of(name: &str, node: &Node) -> Result<Step, Why> {
    let line = member(node, "source").ok_or("`source` is missing")?;
    let key = member(node, "key").ok_or("`package_source` pins the key of a repository: give `key_source` and `fingerprint`")?;
    let line = line.replace("$MIRROR", "").replace("$RELEASE", "{{ os.codename }}");
    let source = crate::import::ansible::one_line(&line)?;
    let name = name.trim_end_matches(".list").to_ascii_lowercase();
    let fingerprint = member(node, "keyid").filter(|id| id.replace(' ', "").len() >= 40);
    Ok(Step::new("package_source")
        .with("name", name)
        .with("uris", vec![source.uri])
        .with("suites", vec![source.suite])
        .with_some("components", (!source.components.is_empty()).then_some(source.components))
        .with_some("architectures", (!source.architectures.is_empty()).then_some(source.architectures))
        .with("key", key)
        .with_some("fingerprint", fingerprint))
}
