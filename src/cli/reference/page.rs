//! What a page of the reference is made of, whoever draws it.

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What one asks for: `systemd_unit`, `agent run`, `exit-codes`.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// The rest.
    pub blocks: Vec<Block>,
}

/// A piece of a page. Texts hold literals in backticks, and paragraphs are apart by an empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Begins a section.
    Heading(&'static str),
    /// Prose.
    Text(String),
    /// Names and what they mean.
    Terms(Vec<Term>),
    /// As it is, line by line.
    Verbatim(String),
}

/// A name and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The name, a literal.
    pub name: String,
    /// Its type, its default, and whatever else is short.
    pub notes: Vec<String>,
    /// What it means.
    pub text: String,
}

impl Term {
    /// A name without notes.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), notes: Vec::new(), text: text.into() }
    }
}

/// The paragraphs of a text, each in one line.
pub fn paragraphs(text: &str) -> Vec<String> {
    let joined = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split("\n\n").map(joined).filter(|paragraph| !paragraph.is_empty()).collect()
}

/// A doc comment as blocks: paragraphs, and what is fenced as it is.
pub fn prose(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (at, piece) in text.split("```").enumerate() {
        if at % 2 == 1 {
            // The first line is the fence's language.
            blocks.extend(piece.split_once('\n').map(|(_, lines)| Block::Verbatim(lines.to_owned())));
        } else {
            blocks.extend(paragraphs(piece).into_iter().map(Block::Text));
        }
    }
    blocks
}

/// A section of terms, unless there are none.
pub fn section(heading: &'static str, terms: Vec<Term>) -> Vec<Block> {
    if terms.is_empty() { Vec::new() } else { vec![Block::Heading(heading), Block::Terms(terms)] }
}
