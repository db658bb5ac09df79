//! The words of a Jinja expression: a name comes with everything that is taken out of it.

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name and what is taken out of it: `a.b['c'][0]`.
    Path {
        /// The name.
        root: String,
        /// The rest, in order.
        path: Vec<String>,
        /// Whether it is called: a parenthesis follows.
        call: bool,
    },
    /// A filter, after its `|`.
    Filter(String),
    /// A test, after its `is`: with `not` where there is one.
    Test(String),
    /// A text, unquoted.
    Text(String),
    /// A number, an operator, a bracket.
    Other(String),
}

impl Token {
    /// Whether it is this operator or bracket.
    pub fn is(&self, other: &str) -> bool {
        matches!(self, Self::Other(text) if text == other)
    }
}

/// Cuts an expression into words.
///
/// # Errors
/// When a text in it is never closed.
pub fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let letters: Vec<char> = source.chars().collect();
    let mut reader = Reader { letters: &letters, at: 0 };
    let mut tokens: Vec<Token> = Vec::new();
    while reader.skip_blanks() {
        let letter = reader.peek(0);
        if letter == '\'' || letter == '"' {
            tokens.push(Token::Text(reader.text()?));
        } else if letter.is_alphabetic() || letter == '_' {
            let word = reader.word();
            let after_bar = tokens.last().is_some_and(|token| token.is("|"));
            if after_bar {
                tokens.pop();
                tokens.push(Token::Filter(reader.dotted(word)));
            } else if word == "is" {
                tokens.push(Token::Test(reader.test()));
            } else {
                let path = reader.path()?;
                reader.skip_blanks();
                let call = reader.peek(0) == '('
                    && path.is_empty()
                    && !["in", "and", "or", "not", "if", "else"].contains(&word.as_str());
                if reader.peek(0) == '(' && !path.is_empty() {
                    return Err(format!("the method `{}` has no equivalent here", path.join(".")));
                }
                tokens.push(Token::Path { root: word, path, call });
            }
        } else if letter.is_ascii_digit() {
            tokens.push(Token::Other(reader.number()));
        } else {
            tokens.push(Token::Other(reader.operator()));
        }
    }
    Ok(tokens)
}

struct Reader<'l> {
    letters: &'l [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.letters.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip_blanks(&mut self) -> bool {
        while self.peek(0).is_whitespace() {
            self.at += 1;
        }
        self.at < self.letters.len()
    }

    fn while_is(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while self.at < self.letters.len() && wanted(self.peek(0)) {
            text.push(self.peek(0));
            self.at += 1;
        }
        text
    }

    fn word(&mut self) -> String {
        self.while_is(|c| c.is_alphanumeric() || c == '_')
    }

    fn number(&mut self) -> String {
        self.while_is(|c| c.is_ascii_digit() || c == '.')
    }

    /// A filter of a collection: `ansible.builtin.quote` is `quote`.
    fn dotted(&mut self, mut word: String) -> String {
        while self.peek(0) == '.' && self.peek(1).is_alphabetic() {
            self.at += 1;
            word = self.word();
        }
        word
    }

    fn test(&mut self) -> String {
        self.skip_blanks();
        let word = self.word();
        if word == "not" {
            self.skip_blanks();
            return format!("not {}", self.word());
        }
        self.dotted(word)
    }

    fn operator(&mut self) -> String {
        let two: String = [self.peek(0), self.peek(1)].iter().collect();
        let text = if ["==", "!=", "<=", ">=", "//", "**"].contains(&two.as_str()) { two } else { self.peek(0).to_string() };
        self.at += text.chars().count();
        text
    }

    fn text(&mut self) -> Result<String, String> {
        let quote = self.peek(0);
        self.at += 1;
        let mut text = String::new();
        while self.at < self.letters.len() {
            let letter = self.peek(0);
            self.at += 1;
            if letter == quote {
                return Ok(text);
            }
            if letter == '\\' && self.at < self.letters.len() {
                match self.peek(0) {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    other if other == quote || other == '\\' => text.push(other),
                    other => text.extend(['\\', other]),
                }
                self.at += 1;
            } else {
                text.push(letter);
            }
        }
        Err("a text in this expression is never closed".into())
    }

    fn path(&mut self) -> Result<Vec<String>, String> {
        let mut path = Vec::new();
        loop {
            if self.peek(0) == '.' && (self.peek(1).is_alphanumeric() || self.peek(1) == '_') {
                self.at += 1;
                path.push(self.word());
            } else if self.peek(0) == '[' && (self.peek(1) == '\'' || self.peek(1) == '"') {
                self.at += 1;
                path.push(self.text()?);
                self.closing()?;
            } else if self.peek(0) == '[' && self.peek(1).is_ascii_digit() {
                self.at += 1;
                path.push(self.number());
                self.closing()?;
            } else if self.peek(0) == '[' {
                return Err("a name within brackets has no equivalent here".into());
            } else {
                return Ok(path);
            }
        }
    }

    fn closing(&mut self) -> Result<(), String> {
        self.skip_blanks();
        if self.peek(0) != ']' {
            return Err("what stands within brackets has no equivalent here".into());
        }
        self.at += 1;
        Ok(())
    }
}
