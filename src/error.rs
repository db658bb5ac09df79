//! One error for the whole agent: what kind it is, what was being done, why, and what the operator can do about it.
//!
//! Nobody matches on our errors but for their [`Kind`]: it decides whether the agent tries again by itself and which exit
//! code the process ends with. Layers add what they know on the way up with [`Context::doing`]; the layer that knows the
//! operator's situation adds the hint. The engine names the step; a step never names itself.

use std::fmt;

/// The result of anything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// The playbook, or something it names, is wrong; nothing was changed.
    Playbook,
    /// Something that had to be there is not: a file, a parameter, a branch, a package.
    Missing,
    /// We are not allowed to: file permissions, an IAM policy, a refused key.
    Denied,
    /// The other side asked us to slow down.
    Throttled,
    /// Nobody answered, or the connection broke: worth another try.
    Unreachable,
    /// The time we were given is over.
    TimedOut,
    /// It was tried and did not work.
    Failed,
    /// It was applied, and the machine still differs from the wish.
    NotConverged,
    /// Another run is under way.
    Locked,
    /// A defect of the agent itself, such as a panic in a step.
    Bug,
}

impl Kind {
    /// Whether the same attempt may well succeed a moment later without anybody changing anything.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable)
    }

    /// The process's exit code, as the README lists them.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Playbook => 2,
            Self::Locked => 3,
            _ => 1,
        }
    }
}

/// A failure, told from the outside in: what was being done, then why it did not work.
///
/// Never holds a secret: whoever builds a message from a child's output or from a server's answer has redacted it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Error {
    kind: Kind,
    /// What was being done, innermost first.
    doing: Vec<String>,
    /// The reason, and the reasons of that reason.
    causes: Vec<String>,
    hint: Option<String>,
    /// The last lines of whatever was speaking when it failed: a child's output, a unit's journal.
    tail: Vec<String>,
}

impl Error {
    /// A failure of this kind for this reason. Lower case, no full stop, literals in backticks.
    pub fn new(kind: Kind, because: impl Into<String>) -> Self {
        Self { kind, doing: Vec::new(), causes: vec![because.into()], hint: None, tail: Vec::new() }
    }

    /// A failure whose reason is another library's error, with its chain of causes.
    pub fn from_source(kind: Kind, source: &dyn std::error::Error) -> Self {
        let mut causes = vec![source.to_string()];
        let mut next = source.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Libraries repeat the inner message in the outer one; saying it once is enough.
            if causes.last().is_none_or(|last| !last.contains(&text)) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self { kind, doing: Vec::new(), causes, hint: None, tail: Vec::new() }
    }

    /// Puts this reason before those that are known: what they come to, in words the operator can act on.
    #[must_use]
    pub fn summed_up(mut self, because: impl Into<String>) -> Self {
        self.causes.insert(0, because.into());
        self
    }

    /// Adds what came of it, after the reasons.
    #[must_use]
    pub fn followed_by(mut self, what: impl Into<String>) -> Self {
        self.causes.push(what.into());
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same failure seen as another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Says what was being done when it failed; called on the way up, so the last call is the outermost.
    #[must_use]
    pub fn doing(mut self, what: impl Into<String>) -> Self {
        self.doing.push(what.into());
        self
    }

    /// Says what the operator can do about it; the innermost hint stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Adds the last lines of what was speaking when it failed.
    #[must_use]
    pub fn tail(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.tail.extend(lines);
        self
    }

    /// What was being done, outermost first.
    pub fn activities(&self) -> impl Iterator<Item = &str> {
        self.doing.iter().rev().map(String::as_str)
    }

    /// Why it did not work, outermost reason first.
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().map(String::as_str)
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The last lines of what was speaking when it failed.
    #[must_use]
    pub fn last_lines(&self) -> &[String] {
        &self.tail
    }

    /// The same error with every text put through `clean`, which is how the redactor reaches errors.
    #[must_use]
    pub fn map_text(mut self, clean: impl Fn(&str) -> String) -> Self {
        let lines = self.doing.iter_mut().chain(&mut self.causes).chain(&mut self.tail).chain(&mut self.hint);
        for line in lines {
            *line = clean(line);
        }
        self
    }
}

/// One line: the outermost activity and the reasons. The terminal draws the long form from the parts.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.activities().chain(self.causes()).collect();
        f.write_str(&parts.join(": "))
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => Kind::Missing,
            Io::PermissionDenied => Kind::Denied,
            Io::TimedOut => Kind::TimedOut,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::NetworkUnreachable
            | Io::HostUnreachable
            | Io::BrokenPipe => Kind::Unreachable,
            _ => Kind::Failed,
        };
        let full = source.kind() == Io::StorageFull;
        let error = Self::from_source(kind, &source);
        if full { error.hint("the disk is full; free some space, the next run finishes the work") } else { error }
    }
}

impl From<nix::errno::Errno> for Error {
    fn from(errno: nix::errno::Errno) -> Self {
        std::io::Error::from(errno).into()
    }
}

/// Adds what was being done to whatever error comes by.
pub trait Context<T> {
    /// Says what was being done; `what` is only built on failure.
    ///
    /// # Errors
    /// The same error, with one more line of context.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().doing(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_from_the_outside_in() {
        let inner: Result<()> = Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        let error = inner.doing(|| "writing `/a`".into()).doing(|| "settling".into()).unwrap_err();
        assert_eq!(error.activities().collect::<Vec<_>>(), ["settling", "writing `/a`"]);
        assert!(error.advice().is_some_and(|hint| hint.contains("disk is full")));
        assert_eq!(error.kind(), Kind::Failed);
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        assert!(Kind::Throttled.is_transient() && Kind::Unreachable.is_transient());
        assert!(!Kind::Denied.is_transient() && !Kind::TimedOut.is_transient());
    }
}
