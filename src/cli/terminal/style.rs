//! Colour, which only repeats what the words say.

/// Whether there is colour.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether a person looks who has not said no.
    pub colour: bool,
}

/// What something means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Changed, or would be.
    Change,
    /// Cannot be told.
    Unknown,
    /// Wrong.
    Bad,
    /// Not worth a look.
    Quiet,
    /// A heading.
    Strong,
}

impl Style {
    /// The text in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Change => "33",
            Tone::Unknown => "35",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A unified diff, line by line.
    pub fn diff(self, diff: &str, indent: &str) -> String {
        let mut text = String::new();
        for line in diff.lines() {
            let line = super::words::tame(line);
            let tone = match line.as_bytes().first() {
                Some(b'+') => Some(Tone::Good),
                Some(b'-') => Some(Tone::Bad),
                Some(b'@') => Some(Tone::Quiet),
                _ => None,
            };
            text += indent;
            text += &tone.map_or_else(|| line.clone(), |tone| self.paint(tone, &line));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_the_words_stay_as_they_are() {
        assert_eq!(Style::default().paint(Tone::Bad, "failed"), "failed");
        assert_eq!(Style { colour: true }.paint(Tone::Bad, "failed"), "\x1b[31mfailed\x1b[0m");
        assert_eq!(Style::default().diff("-a\n+b\n", "  "), "  -a\n  +b\n");
        assert_eq!(Style { colour: true }.diff("-a\n", ""), "\x1b[31m-a\x1b[0m\n");
    }
}
