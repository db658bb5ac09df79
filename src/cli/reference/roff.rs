//! Draws pages for `man`.

use super::page::{Block, Page, Term, paragraphs};

/// One page as a manual page of section 1.
#[must_use]
pub fn manual(page: &Page) -> String {
    let name = page.name.replace(' ', "-");
    let mut text = header(&name, 1, &page.about);
    text += &body(page, ".SH");
    text + ".SH SEE ALSO\n\\fBagent\\fR(1), \\fBbootstrap\\-agent\\-playbook\\fR(5)\n"
}

/// Several pages as one manual page of section 5: a section for each.
#[must_use]
pub fn book(name: &str, about: &str, pages: &[Page]) -> String {
    let mut text = header(name, 5, about);
    for page in pages {
        text += &format!(".SH {}\n{}\n{}", quoted(&page.name.to_uppercase()), set(&page.about), body(page, ".SS"));
    }
    text + ".SH SEE ALSO\n\\fBagent\\fR(1)\n"
}

fn header(name: &str, section: u8, about: &str) -> String {
    let version = concat!("bootstrap-agent ", env!("CARGO_PKG_VERSION"));
    let title = quoted(&name.to_uppercase());
    let about = about.replace('`', "");
    format!(
        ".TH {title} {section} \"\" \"{version}\" \"bootstrap-agent\"\n.ad l\n.SH NAME\n{} \\- {}\n",
        escaped(name),
        escaped(about.trim_end_matches('.'))
    )
}

/// The blocks of a page, with headings of this rank.
fn body(page: &Page, heading: &str) -> String {
    let mut text = String::new();
    for block in &page.blocks {
        match block {
            Block::Heading(title) => text += &format!("{heading} {}\n", quoted(&ranked(title, heading))),
            Block::Text(prose) => paragraphs(prose).iter().for_each(|one| text += &format!(".PP\n{}\n", set(one))),
            Block::Terms(terms) => terms.iter().for_each(|term| text += &tagged(term)),
            Block::Verbatim(lines) => {
                text += ".PP\n.RS 4\n.nf\n";
                lines.lines().for_each(|line| text += &format!("{}\n", guarded(&escaped(line))));
                text += ".fi\n.RE\n";
            }
        }
    }
    text
}

/// Sections are in capitals, what is in them is not.
fn ranked(title: &str, heading: &str) -> String {
    if heading == ".SH" { title.to_uppercase() } else { title.to_owned() }
}

fn tagged(term: &Term) -> String {
    let notes = if term.notes.is_empty() { String::new() } else { format!(" ({})", set(&term.notes.join("; "))) };
    let mut said = paragraphs(&term.text).into_iter();
    let first = said.next().map(|one| set(&one) + "\n").unwrap_or_default();
    let rest = said.map(|one| format!(".IP\n{}\n", set(&one))).collect::<Vec<_>>().concat();
    format!(".TP\n\\fB{}\\fR{notes}\n{first}{rest}", escaped(&term.name))
}

/// Prose with its literals in bold.
fn set(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    let set = pieces.map(|(at, piece)| if at % 2 == 0 { escaped(piece) } else { format!("\\fB{}\\fR", escaped(piece)) });
    guarded(&set.collect::<String>())
}

/// Characters that mean something to roff. The hyphen of a command line must stay one.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => escaped += "\\e",
            '-' => escaped += "\\-",
            '\'' => escaped += "\\(aq",
            '`' => escaped += "\\(ga",
            '^' => escaped += "\\(ha",
            '~' => escaped += "\\(ti",
            '…' => escaped += "...",
            other => escaped.push(other),
        }
    }
    escaped
}

/// A line that begins like a request is none.
fn guarded(line: &str) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line.to_owned() }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('"', "\\(dq"))
}
