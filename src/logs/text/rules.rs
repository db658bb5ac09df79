//! What a source's settings say about its text, made ready to be used for every line of every file of that source.

use std::borrow::Cow;

use super::encoding::Charset;
use super::multiline::Begins;
use super::stamp::Stamp;
use super::{Now, Sink, Window, zone};
use crate::error::{Error, Kind, Result};
use crate::logs::settings::Source;

/// How the text of a source's files is read.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) charset: Charset,
    pub(super) begins: Option<Begins>,
    pub(super) stamp: Option<Stamp>,
    window: Window,
}

impl Default for Rules {
    fn default() -> Self {
        Self { charset: Charset::UTF8, begins: None, stamp: None, window: Window::default() }
    }
}

impl Rules {
    /// What the source says.
    ///
    /// # Errors
    /// Settings that have problems, and a time zone that the machine does not know.
    pub fn new(source: &Source) -> Result<Self> {
        Self::read(source).map_err(|problem| Error::new(Kind::Playbook, problem))
    }

    fn read(source: &Source) -> Result<Self, String> {
        let mut rules = Self::default();
        if let Some(name) = &source.encoding {
            rules.charset = Charset::named(name)?;
        }
        if let Some(multiline) = &source.multiline {
            rules.begins = Some(match &multiline.start {
                Some(pattern) => Begins::with(pattern)?,
                None => Begins::Unindented,
            });
        }
        if let Some(timestamp) = &source.timestamp {
            let zone = zone::named(timestamp.zone.as_deref())?;
            rules.stamp = Some(Stamp::new(&timestamp.format, timestamp.after.as_deref(), zone)?);
            rules.window = Window { outside: timestamp.outside };
        }
        Ok(rules)
    }

    /// Whether a line is an event as it stands, at the time it is read.
    pub(super) fn are_plain(&self) -> bool {
        self.begins.is_none() && self.stamp.is_none()
    }

    /// The event as the service takes it; `None` if it is to be dropped. Counted.
    pub(super) fn admit<'t>(&self, at: i64, text: &'t str, now: Now, to: &mut impl Sink) -> Option<(i64, Cow<'t, str>)> {
        if self.stamp.is_none() {
            return Some((at, Cow::Borrowed(text)));
        }
        let (event, happened) = self.window.admit(at, text, now.wall);
        if let Some(happened) = happened {
            to.count(happened);
        }
        event
    }
}

/// What is wrong with a value of `multiline`, `encoding` or `timestamp`, by its key.
pub(in crate::logs) fn problem(key: &str, text: &str) -> Option<String> {
    match key {
        "encoding" => Charset::named(text).err(),
        "start" => Begins::with(text).err(),
        "format" => Stamp::problem(text),
        "zone" => zone::problem(text),
        _ => None,
    }
}
