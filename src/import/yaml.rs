//! Values of the playbook that is written, and how they look in YAML.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// A number or a truth value, as it is written.
    Word(String),
    /// Text, which may hold expressions of ours.
    Text(String),
    /// Values in order.
    List(Vec<Yaml>),
    /// Values by key, in order.
    Map(Vec<(String, Yaml)>),
}

/// A flow collection is for what fits into one line.
const WIDEST: usize = 110;

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Word(value.to_string())
    }
}

impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl Yaml {
    /// Calls `visit` with every text from here down.
    pub fn each_text<'y>(&'y self, visit: &mut impl FnMut(&'y str)) {
        match self {
            Self::Word(text) | Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.each_text(visit)),
            Self::Map(members) => members.iter().for_each(|(_, value)| value.each_text(visit)),
        }
    }

    /// The text of a text or word.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// In one line, unless it has line breaks or is too long for that.
    fn flow(&self) -> Option<String> {
        let flow = match self {
            Self::Word(text) => text.clone(),
            Self::Text(text) if text.contains('\n') => return None,
            Self::Text(text) => scalar(text, true),
            Self::List(items) => format!("[{}]", items.iter().map(Self::flow).collect::<Option<Vec<_>>>()?.join(", ")),
            Self::Map(members) if members.is_empty() => "{}".to_owned(),
            Self::Map(members) => {
                let member = |(key, value): &(String, Self)| Some(format!("{}: {}", scalar(key, true), value.flow()?));
                format!("{{ {} }}", members.iter().map(member).collect::<Option<Vec<_>>>()?.join(", "))
            }
        };
        (flow.len() <= WIDEST || matches!(self, Self::Text(_))).then_some(flow)
    }

    /// What follows `key:` or `-` in a line that is indented so far: with a blank before it, and a line break at the end.
    #[must_use]
    pub fn after_key(&self, indent: usize) -> String {
        let inner = " ".repeat(indent + 2);
        match self {
            Self::Text(text) if is_block(text) => {
                let chomp = if !text.ends_with('\n') {
                    "-"
                } else if text.ends_with("\n\n") {
                    "+"
                } else {
                    ""
                };
                let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{inner}{line}\n") };
                format!(" |{chomp}\n{}", text.lines().map(line).collect::<String>())
            }
            Self::Text(text) => format!(" {}\n", scalar(text, false)),
            _ => match (self.flow().filter(|flow| indent + flow.len() <= WIDEST), self) {
                (Some(flow), _) => format!(" {flow}\n"),
                (None, Self::List(items)) => {
                    let lines = items.iter().map(|item| format!("{inner}-{}", item.after_dash(indent + 2)));
                    format!("\n{}", lines.collect::<String>())
                }
                (None, Self::Map(members)) => format!("\n{}", block(members, indent + 2)),
                (None, _) => "\n".to_owned(),
            },
        }
    }

    fn after_dash(&self, indent: usize) -> String {
        match self {
            Self::Map(members) if self.flow().is_none() => {
                let text = block(members, indent + 2);
                format!(" {}", text.trim_start_matches(' '))
            }
            _ => self.after_key(indent),
        }
    }
}

/// The members of a map, a line or more each.
#[must_use]
pub fn block(members: &[(String, Yaml)], indent: usize) -> String {
    let pad = " ".repeat(indent);
    let line = |(key, value): &(String, Yaml)| format!("{pad}{}:{}", scalar(key, false), value.after_key(indent));
    members.iter().map(line).collect()
}

/// Whether a text is written as a block, line by line as it stands.
fn is_block(text: &str) -> bool {
    let lines_are_plain =
        text.lines().all(|line| !line.ends_with([' ', '\t', '\r']) && !line.contains(|c: char| c.is_control() && c != '\t'));
    text.trim_end_matches('\n').contains('\n') && lines_are_plain && !text.starts_with([' ', '\n', '\t'])
        || text.ends_with('\n') && text.len() > 1 && lines_are_plain && !text.starts_with([' ', '\n', '\t']) && text.len() > 80
}

/// A text in one line, quoted where YAML would read it as something else.
#[must_use]
pub fn scalar(text: &str, in_flow: bool) -> String {
    let is_span = text.len() < 8
        && text.ends_with(['s', 'm', 'h', 'd'])
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.trim_end_matches(char::is_alphabetic).bytes().all(|byte| byte.is_ascii_digit());
    let safe_start = is_span || text.starts_with(|c: char| c.is_ascii_alphabetic() || "/._".contains(c));
    let safe = text.chars().all(|c| {
        !c.is_control() && (c.is_alphanumeric() || " /._-+@=~%$()<>;!?*&|^'\"\\`".contains(c) || c == ':' || c == ',' && !in_flow)
    });
    let odd = text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
        || text.ends_with(' ')
        || in_flow && text.contains(':') && text.contains("://");
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let number = text.parse::<f64>().is_ok() || text.starts_with('.');
    if safe_start && safe && !odd && !number && !words.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            control if control.is_control() => quoted += &format!("\\x{:02x}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::{source::Source, yaml};

    #[test]
    fn what_is_written_is_what_is_read() {
        let texts = [
            "plain",
            "a: b",
            "# c",
            "yes",
            "012",
            "{{ x }}",
            "it's \"q\"",
            "a\nb\n",
            "a\nb",
            " lead\nx",
            "tab\there",
            "x\n\n\n",
            "trailing \nline",
            "",
            "- dash",
            "a #b",
            "~",
            "ü: é",
            "x:",
            "[a]",
            "a,b",
            "http://x:80/",
            "\u{1}",
            "line\n",
        ];
        let list = Yaml::from(texts.to_vec());
        let long = Yaml::Map(vec![("k".into(), list.clone()), ("m".into(), Yaml::Map(vec![("a b".into(), list)]))]);
        let text = block(&[("top".to_owned(), Yaml::List(vec![long.clone(), long]))], 0);
        let node = yaml::read(&Source::new("p", &text), &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        let mut seen = Vec::new();
        node.each_scalar(&mut |text, _| seen.push(text.to_owned()));
        assert_eq!(seen, texts.repeat(4), "{text}");
    }
}
