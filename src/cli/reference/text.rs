//! Draws a page for a terminal, as `agent help` shows it.

use super::page::{Block, Page, Term, paragraphs};

/// Columns that a line may have.
const WIDTH: usize = 100;

/// The page.
#[must_use]
pub fn page(page: &Page) -> String {
    let mut text = filled(&page.about, 0);
    for block in &page.blocks {
        // What belongs to a heading stands right below it.
        if !text.ends_with(":\n") {
            text.push('\n');
        }
        match block {
            Block::Heading(heading) => text += &format!("{heading}:\n"),
            Block::Text(prose) => text += &paragraphs(prose).iter().map(|one| filled(one, 0)).collect::<Vec<_>>().join("\n"),
            Block::Terms(terms) => terms.iter().for_each(|term| text += &drawn(term)),
            Block::Verbatim(lines) => lines.lines().for_each(|line| text += &format!("  {line}\n")),
        }
    }
    text
}

fn drawn(term: &Term) -> String {
    let notes: Vec<String> = term.notes.iter().map(|note| note.replace('`', "")).collect();
    let head = if notes.is_empty() { term.name.clone() } else { format!("{}  ({})", term.name, notes.join("; ")) };
    let body: String = paragraphs(&term.text).iter().map(|paragraph| filled(paragraph, 6)).collect();
    format!("  {head}\n{body}")
}

/// The words of a paragraph in lines that are not too long.
fn filled(paragraph: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut text = String::new();
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && longer + indent > WIDTH {
            text += &format!("{margin}{line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    if line.is_empty() { text } else { format!("{text}{margin}{line}\n") }
}
