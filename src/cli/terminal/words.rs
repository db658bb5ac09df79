//! How events, endings and errors are put into words.

use std::fmt::Write as _;

use crate::engine::event::{Ending, Failure};

use super::style::Tone;

/// The word for how a step ended.
pub fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Unchanged => "unchanged",
        Ending::Changed => "changed",
        Ending::WouldChange => "would change",
        Ending::Unknown => "cannot tell",
        Ending::Skipped => "skipped",
        Ending::Failed => "failed",
        Ending::FailedButAllowed => "failed (may)",
        Ending::NotStarted => "not started",
    }
}

/// What an ending means.
pub fn tone(ending: Ending) -> Tone {
    match ending {
        Ending::Unchanged | Ending::Skipped => Tone::Quiet,
        Ending::Changed => Tone::Good,
        Ending::WouldChange | Ending::NotStarted | Ending::FailedButAllowed => Tone::Change,
        Ending::Unknown => Tone::Unknown,
        Ending::Failed => Tone::Bad,
    }
}

/// A span as people read it: `0.4 s`, `2m07s`.
pub fn seconds(milliseconds: u64) -> String {
    if milliseconds < 10 {
        return format!("{milliseconds} ms");
    }
    if milliseconds < 100_000 {
        let digits = if milliseconds < 100 { 2 } else { 1 };
        #[allow(clippy::cast_precision_loss, reason = "below 2^17")]
        return format!("{:.digits$} s", milliseconds as f64 / 1000.0);
    }
    let whole = milliseconds / 1000;
    format!("{}m{:02}s", whole / 60, whole % 60)
}

/// That only a part of the playbook is carried out.
pub fn narrowed(only: &[String]) -> String {
    let ids = only.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" and ");
    format!("only {ids}, with what it takes: a part of the playbook, of which no verdict comes")
}

/// An amount of data as people read it: `740 B`, `12.3 MB`.
pub fn bytes(count: u64) -> String {
    let mut unit = (1, "B");
    for (size, name) in [(1_000, "kB"), (1_000_000, "MB"), (1_000_000_000, "GB"), (1_000_000_000_000, "TB")] {
        if count >= size {
            unit = (size, name);
        }
    }
    if unit.0 == 1 {
        return format!("{count} B");
    }
    let tenths = u128::from(count) * 10 / u128::from(unit.0);
    if tenths >= 1000 { format!("{} {}", tenths / 10, unit.1) } else { format!("{}.{} {}", tenths / 10, tenths % 10, unit.1) }
}

/// `1 step`, `2 steps`.
pub fn steps(count: usize) -> String {
    format!("{count} {}", if count == 1 { "step" } else { "steps" })
}

/// A step's label with its type, unless the label begins with it.
pub fn labelled(label: &str, kind: &str) -> String {
    let label = tame(label);
    if kind.is_empty() || label.split(' ').next() == Some(kind) { label } else { format!("{label} ({kind})") }
}

/// The text without what would move a cursor, change a colour or ring a bell.
pub fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => skip_sequence(&mut rest),
            '\t' => tame.push_str("    "),
            // The control characters of Unicode's first two blocks, and those that turn the direction of writing.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            other => tame.push(other),
        }
    }
    tame
}

/// Leaves out the rest of an escape sequence: `[…letter`, `]…bell`, or one character.
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next() {
        Some('[') => {
            for character in rest.by_ref() {
                if ('\x40'..='\x7e').contains(&character) {
                    break;
                }
            }
        }
        Some(']') => {
            while let Some(character) = rest.next() {
                if character == '\x07' || (character == '\x1b' && rest.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// An error in its long form: what, where, while doing what, why, and what to do about it.
pub fn error(severity: &str, title: &str, failure: &Failure) -> String {
    let mut text = format!("{severity}: {}\n", tame(title));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {:<9}{}", format!("{name}:"), tame(value));
    };
    if let Some(place) = &failure.place {
        line("where", place);
    }
    failure.doing.iter().for_each(|doing| line("while", doing));
    // The title may have said it already.
    failure.because.iter().filter(|because| because.as_str() != title).for_each(|because| line("because", because));
    if !failure.last_lines.is_empty() {
        text += "  last lines:\n";
        for said in &failure.last_lines {
            let _ = writeln!(text, "    | {}", tame(said));
        }
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "\nhint: {}", tame(hint));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_drawn_in_its_long_form() {
        let failure = Failure {
            place: Some("playbook.yaml:31:5".into()),
            doing: vec!["fetching `main`".into()],
            because: vec!["the host key is not pinned".into()],
            last_lines: vec!["\x1b[31mred\x1b[0m\r".into()],
            hint: Some("add the new key".into()),
        };
        assert_eq!(
            error("error", "step 3 `app code` (git) is not done", &failure),
            "error: step 3 `app code` (git) is not done\n  where:   playbook.yaml:31:5\n  while:   fetching `main`\n  \
             because: the host key is not pinned\n  last lines:\n    | red\n\nhint: add the new key\n"
        );
    }

    #[test]
    fn what_a_child_prints_cannot_move_the_cursor() {
        assert_eq!(tame("a\x1b[2J\x1b[1;31mb\x1b]0;title\x07c\x1b]8;;x\x1b\\d\x08\r\n\te\u{9b}\u{202e}"), "abcd    e");
        assert_eq!(tame("\x1b[31"), "", "a torn sequence");
        assert_eq!(tame("grüße → 你好"), "grüße → 你好");
    }

    #[test]
    fn amounts_are_readable() {
        let amounts = [0, 999, 1_000, 12_345_678, 123_456_789, 4_000_000_000].map(bytes);
        assert_eq!(amounts, ["0 B", "999 B", "1.0 kB", "12.3 MB", "123 MB", "4.0 GB"]);
    }

    #[test]
    fn spans_are_readable() {
        let spans = [5, 40, 400, 2100, 99_900, 127_000].map(seconds);
        assert_eq!(spans, ["5 ms", "0.04 s", "0.4 s", "2.1 s", "99.9 s", "2m07s"]);
    }
}
