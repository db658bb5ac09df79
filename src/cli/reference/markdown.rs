//! Draws the reference as one Markdown document.

use super::page::{Block, Page, Term, paragraphs};

/// All parts, each with its pages, under a table of contents.
#[must_use]
pub fn document(parts: &[(&str, Vec<Page>)]) -> String {
    let mut text = String::from(
        "# Reference\n\nMade by `agent artefacts` from what reads the command line and the playbook; do not edit it, a test compares. `agent help TOPIC` \
         shows the same pages.\n",
    );
    for (title, pages) in parts {
        let links: Vec<String> = pages.iter().map(|page| format!("[`{}`](#{})", page.name, anchor(&page.name))).collect();
        text += &format!("\n**{title}**: {}\n", links.join(" · "));
    }
    for (title, pages) in parts {
        text += &format!("\n## {title}\n");
        pages.iter().for_each(|page| text += &drawn(page));
    }
    text
}

/// As the sites that show Markdown make it from a heading.
fn anchor(name: &str) -> String {
    name.chars().filter_map(|letter| if letter == ' ' { Some('-') } else { Some(letter).filter(|_| letter != '`') }).collect()
}

fn drawn(page: &Page) -> String {
    let mut text = format!("\n### `{}`\n\n{}\n", page.name, angles(&page.about));
    for block in &page.blocks {
        text.push('\n');
        match block {
            Block::Heading(heading) => text += &format!("**{heading}**\n"),
            Block::Text(prose) => {
                text += &paragraphs(prose).iter().map(|one| angles(one) + "\n").collect::<Vec<_>>().join("\n");
            }
            Block::Terms(terms) => terms.iter().for_each(|term| text += &item(term)),
            Block::Verbatim(lines) => {
                let language = if lines.starts_with("version:") || lines.starts_with("- ") { "yaml" } else { "text" };
                text += &format!("```{language}\n{lines}```\n");
            }
        }
    }
    text
}

fn item(term: &Term) -> String {
    let notes = if term.notes.is_empty() { String::new() } else { format!(" ({})", term.notes.join("; ")) };
    let said: Vec<String> = paragraphs(&term.text).iter().map(|one| angles(one)).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("<br>")) };
    format!("* `{}`{notes}{said}\n", term.name)
}

/// Outside of literals, `<` begins a tag.
fn angles(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces
        .map(|(at, piece)| if at % 2 == 0 { piece.replace('<', "&lt;") } else { piece.to_owned() })
        .collect::<Vec<_>>()
        .join("`")
}
