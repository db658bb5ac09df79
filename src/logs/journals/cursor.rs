//! What a cursor tells: which entry it stands at, what number that has, and so whether something is missing between two.

/// A cursor, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Who numbered the entry: usually the journal of this machine, for ever.
    numbering: u128,
    number: u64,
    boot: u128,
    monotonic: u64,
    /// Microseconds since 1970.
    pub realtime: u64,
    hash: u64,
}

/// What is missing between two entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// So many entries.
    Entries(u64),
    /// The entry that came first is gone, and the numbering begins anew: nobody knows how many.
    Unknown,
}

impl Cursor {
    /// From its text, `s=…;i=…;b=…;m=…;t=…;x=…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let part = |key: &str| text.split(';').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        let wide = |key| u128::from_str_radix(part(key)?, 16).ok();
        let narrow = |key| u64::from_str_radix(part(key)?, 16).ok();
        Some(Self {
            numbering: wide("s")?,
            number: narrow("i")?,
            boot: wide("b")?,
            monotonic: narrow("m")?,
            realtime: narrow("t")?,
            hash: narrow("x")?,
        })
    }

    /// Whether both stand at one entry. When the journal moves from memory to the disk, its entries get other numbers.
    #[must_use]
    pub fn is_same_entry(&self, other: &Self) -> bool {
        (self.boot, self.monotonic, self.realtime, self.hash) == (other.boot, other.monotonic, other.realtime, other.hash)
    }

    /// Whether it stands at this entry or behind it.
    #[must_use]
    pub fn has_reached(&self, other: &Self) -> bool {
        let in_order = self.numbering == other.numbering && self.number >= other.number;
        in_order || self.is_same_entry(other) || self.numbering != other.numbering && self.realtime >= other.realtime
    }

    /// What is missing between this entry and the one that was read next. `resumed`: reading began anew in between, at this one.
    #[must_use]
    pub fn gap(&self, next: &Self, resumed: bool) -> Option<Gap> {
        if self.numbering == next.numbering {
            let missing = next.number.saturating_sub(self.number).saturating_sub(1);
            return (missing > 0).then_some(Gap::Entries(missing));
        }
        // Journals of several numberings are interleaved as they are read; only at a resumption another one is suspicious.
        (resumed && !self.is_same_entry(next)).then_some(Gap::Unknown)
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entries(1) => f.write_str("an entry"),
            Self::Entries(count) => write!(f, "{count} entries"),
            Self::Unknown => f.write_str("an unknown number of entries"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(numbering: &str, number: u64, monotonic: u64) -> Cursor {
        let boot = "b".repeat(32);
        Cursor::parse(&format!("s={numbering};i={number:x};b={boot};m={monotonic:x};t={:x};x=ff", 1000 + monotonic)).unwrap()
    }

    #[test]
    fn a_cursor_is_taken_apart_or_refused() {
        let text = "s=739ad463348b4ceca5a9e69c95a3c93f;i=4ece7;b=6c7c6013a26343b29e964691ff25d04c;m=4fc72436e;t=4c508a72423d9;x=d3e5610681098c10;p=system.journal";
        let cursor = Cursor::parse(text).unwrap();
        assert_eq!((cursor.number, cursor.realtime), (0x4ece7, 0x4_c508_a724_23d9));
        for text in ["", "garbage", "s=1;i=2", "s=x;i=1;b=1;m=1;t=1;x=1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn missing_entries_are_counted_where_they_can_be() {
        let at = |number| cursor("aa", number, number);
        assert_eq!(at(5).gap(&at(6), true), None);
        assert_eq!(at(5).gap(&at(9), false), Some(Gap::Entries(3)));
        assert_eq!(at(5).gap(&at(4), false), None, "an entry that comes late");
        assert_eq!(at(5).gap(&cursor("bb", 1, 9), true), Some(Gap::Unknown));
        assert_eq!(at(5).gap(&cursor("bb", 1, 9), false), None, "two machines' journals, interleaved");
        // The same entry, copied from memory to the disk.
        assert_eq!(at(5).gap(&cursor("bb", 77, 5), true), None);
        assert!(at(5).is_same_entry(&cursor("bb", 77, 5)));
    }

    #[test]
    fn an_entry_is_reached_by_number_or_else_by_time() {
        let at = |number| cursor("aa", number, number);
        assert!(at(6).has_reached(&at(6)) && at(7).has_reached(&at(6)) && !at(5).has_reached(&at(6)));
        assert!(at(6).has_reached(&cursor("bb", 99, 5)) && !at(5).has_reached(&cursor("bb", 1, 6)));
    }
}
