//! What the log service would refuse, found before a machine depends on it: each value of `logs:` at its own place.

use super::Problem;
use super::evaluate::Evaluator;
use super::frame::Frame;
use super::node::{Node, NodeKind};
use crate::logs::settings::{KINDS, ONE_KIND, tag_key_problem, value_problem};

/// Appends what is wrong. Values that depend on the run (such as `instance.id`) are looked at when the run knows them.
pub fn check(block: &Node, frame: &Frame, evaluator: &Evaluator, problems: &mut Vec<Problem>) {
    values(block, frame, evaluator, problems);
    if let Some(patterns) = block.member("mask").and_then(|mask| mask.member("patterns")) {
        value_list("patterns", patterns, frame, evaluator, problems);
    }
    for (key, node) in block.member("tags").map(Node::members).unwrap_or_default() {
        problems.extend(tag_key_problem(&key.text).map(|message| frame.source.problem(key.mark, message)));
        value("tags", node, frame, evaluator, problems);
    }
    let Some(NodeKind::List(sources)) = block.member("sources").map(|node| &node.kind) else { return };
    for source in sources {
        let named = KINDS.iter().filter(|key| source.member(key).is_some_and(|node| !node.is_empty())).count();
        if named != 1 && matches!(source.kind, NodeKind::Map(_)) {
            problems.push(frame.source.problem(source.mark, ONE_KIND));
        }
        values(source, frame, evaluator, problems);
        for part in ["multiline", "timestamp"] {
            if let Some(part) = source.member(part) {
                values(part, frame, evaluator, problems);
            }
        }
    }
}

fn values(map: &Node, frame: &Frame, evaluator: &Evaluator, problems: &mut Vec<Problem>) {
    for (key, node) in map.members() {
        value(&key.text, node, frame, evaluator, problems);
    }
}

fn value_list(key: &str, list: &Node, frame: &Frame, evaluator: &Evaluator, problems: &mut Vec<Problem>) {
    let NodeKind::List(nodes) = &list.kind else { return };
    nodes.iter().for_each(|node| value(key, node, frame, evaluator, problems));
}

fn value(key: &str, node: &Node, frame: &Frame, evaluator: &Evaluator, problems: &mut Vec<Problem>) {
    if !matches!(node.kind, NodeKind::Scalar { .. }) || node.is_empty() {
        return;
    }
    // What cannot be evaluated has been complained of, or is not known yet.
    let known = frame.evaluated(node, evaluator).ok().and_then(|value| value.to_json());
    let Some(serde_json::Value::String(text)) = known else { return };
    problems.extend(value_problem(key, &text).map(|message| frame.source.problem(node.mark, message)));
}
