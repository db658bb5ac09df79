//! What a playbook looks like before anybody asks what it means: scalars as they are written, and where everything stands.

use super::source::Mark;

/// A value in the file.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it starts.
    pub mark: Mark,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// Text; `plain` when it was written without quotes, so that it may also stand for a number, a truth value or nothing.
    Scalar {
        /// As written, escapes resolved.
        text: String,
        /// Without quotes, and no block.
        plain: bool,
    },
    /// Values in order.
    List(Vec<Node>),
    /// Keys, all different, in the order written.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As written.
    pub text: String,
    /// Where it starts.
    pub mark: Mark,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The members of a map; none for anything else.
    pub fn members(&self) -> &[(Key, Node)] {
        match &self.kind {
            NodeKind::Map(members) => members,
            _ => &[],
        }
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Node> {
        self.members().iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar { text, plain: true } if text.is_empty())
    }

    /// What it is, in words.
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            NodeKind::Scalar { .. } if self.is_empty() => "nothing",
            NodeKind::Scalar { .. } => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }

    /// How many nodes there are from here down.
    pub fn size(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar { .. } => 0,
            NodeKind::List(items) => items.iter().map(Node::size).sum(),
            NodeKind::Map(members) => members.iter().map(|(_, node)| node.size()).sum(),
        }
    }

    /// Calls `visit` for every scalar from here down.
    pub fn each_scalar<'n>(&'n self, visit: &mut impl FnMut(&'n str, Mark)) {
        match &self.kind {
            NodeKind::Scalar { text, .. } => visit(text, self.mark),
            NodeKind::List(items) => items.iter().for_each(|item| item.each_scalar(visit)),
            NodeKind::Map(members) => members.iter().for_each(|(_, node)| node.each_scalar(visit)),
        }
    }
}
