//! Which entries belong to a source: what `journalctl --unit`, `--identifier`, `--dmesg` and `--priority` would show.

use super::export::{Entry, Field};
use crate::logs::settings::Source;

/// The journal's own mark of a core dump.
const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";
/// What a unit's name may end with; what ends otherwise is a service.
const UNIT_TYPES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

/// The entries of one source.
#[derive(Debug, Clone)]
pub struct Filter {
    kind: Kind,
    /// The least important that is wanted, as the journal numbers it: 0 is the most important.
    least: Option<u64>,
}

#[derive(Debug, Clone)]
enum Kind {
    Unit(Name),
    Identifier(String),
    Kernel,
}

#[derive(Debug, Clone)]
enum Name {
    Whole(String),
    Pattern(glob::Pattern),
}

impl Filter {
    /// What the source asks for; `None` if it is no journal.
    #[must_use]
    pub fn of(source: &Source) -> Option<Self> {
        let kind = match (&source.unit, &source.identifier, source.kernel) {
            (Some(unit), _, _) => Kind::Unit(Name::of(unit)),
            (None, Some(identifier), _) => Kind::Identifier(identifier.clone()),
            (None, None, Some(true)) => Kind::Kernel,
            _ => return None,
        };
        Some(Self { kind, least: source.priority.map(|priority| priority as u64) })
    }

    /// Whether the entry is one of them.
    #[must_use]
    pub fn takes(&self, entry: &Entry) -> bool {
        let important = |least| entry.number(Field::Priority).is_some_and(|priority| priority <= least);
        self.least.is_none_or(important)
            && match &self.kind {
                Kind::Kernel => entry.has(Field::Transport, "kernel"),
                Kind::Identifier(name) => entry.has(Field::Identifier, name),
                Kind::Unit(unit) => unit.is_concerned(entry),
            }
    }
}

impl Name {
    fn of(unit: &str) -> Self {
        let is_typed = unit.rsplit_once('.').is_some_and(|(_, end)| UNIT_TYPES.contains(&end));
        let whole = if is_typed { unit.to_owned() } else { format!("{unit}.service") };
        match glob::Pattern::new(&whole) {
            Ok(pattern) if whole.contains(['*', '?', '[']) => Self::Pattern(pattern),
            _ => Self::Whole(whole),
        }
    }

    /// What the unit's processes wrote, and what those who may speak about it said. Anybody can write any field that does not
    /// begin with an underscore, so those count from systemd and root only.
    fn is_concerned(&self, entry: &Entry) -> bool {
        self.is_in(entry, Field::SystemdUnit)
            || self.is_in(entry, Field::Unit) && entry.has(Field::Pid, "1")
            || self.is_in(entry, Field::ObjectUnit) && entry.has(Field::Uid, "0")
            || self.is_in(entry, Field::CoredumpUnit) && entry.has(Field::Uid, "0") && entry.has(Field::MessageId, COREDUMP)
            || self.is_slice() && self.is_in(entry, Field::SystemdSlice)
    }

    fn is_in(&self, entry: &Entry, field: Field) -> bool {
        entry.all(field).any(|value| match self {
            Self::Whole(name) => name.as_bytes() == value,
            Self::Pattern(pattern) => std::str::from_utf8(value).is_ok_and(|value| pattern.matches(value)),
        })
    }

    fn is_slice(&self) -> bool {
        let name = match self {
            Self::Whole(name) => name,
            Self::Pattern(pattern) => pattern.as_str(),
        };
        name.rsplit_once('.').is_some_and(|(_, end)| end == "slice")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(source: &str, fields: &str) -> bool {
        let filter = Filter::of(&serde_yaml::from_str(source).unwrap()).unwrap();
        let mut entry = Entry::default();
        assert!(entry.read(&mut format!("__CURSOR=x\n{}\n\n", fields.replace(' ', "\n")).as_bytes()).unwrap());
        filter.takes(&entry)
    }

    #[test]
    fn a_unit_has_what_it_wrote_and_what_the_system_says_about_it() {
        let unit = |fields: &str| takes("{ unit: app }", fields);
        assert!(unit("_SYSTEMD_UNIT=app.service _PID=7"));
        assert!(unit("UNIT=app.service _PID=1") && !unit("UNIT=app.service _PID=7"), "anybody can say UNIT=");
        assert!(unit("OBJECT_SYSTEMD_UNIT=app.service _UID=0") && !unit("OBJECT_SYSTEMD_UNIT=app.service _UID=1000"));
        let dump = format!("COREDUMP_UNIT=app.service MESSAGE_ID={COREDUMP}");
        assert!(unit(&format!("{dump} _UID=0")) && !unit(&format!("{dump} _UID=5")) && !unit("COREDUMP_UNIT=app.service _UID=0"));
        assert!(!unit("_SYSTEMD_UNIT=app.socket") && !unit("_SYSTEMD_UNIT=myapp.service") && !unit("MESSAGE=app.service"));
        assert!(!unit("_SYSTEMD_SLICE=app.service"));
    }

    #[test]
    fn names_of_units_may_have_a_type_or_be_a_pattern() {
        assert!(takes("{ unit: app.socket }", "_SYSTEMD_UNIT=app.socket"));
        assert!(takes("{ unit: 'app@*' }", "_SYSTEMD_UNIT=app@blue.service"));
        assert!(!takes("{ unit: 'app@*' }", "_SYSTEMD_UNIT=app.service"));
        assert!(takes("{ unit: a.b }", "_SYSTEMD_UNIT=a.b.service"), "not every dot begins a type");
        assert!(takes("{ unit: user.slice }", "_SYSTEMD_SLICE=user.slice"));
    }

    #[test]
    fn identifiers_the_kernel_and_priorities() {
        assert!(
            takes("{ identifier: sshd }", "SYSLOG_IDENTIFIER=sshd") && !takes("{ identifier: sshd }", "SYSLOG_IDENTIFIER=ssh")
        );
        assert!(takes("{ kernel: true }", "_TRANSPORT=kernel") && !takes("{ kernel: true }", "_TRANSPORT=journal"));
        let warnings = "{ kernel: true, priority: warning }";
        assert!(takes(warnings, "_TRANSPORT=kernel PRIORITY=4") && takes(warnings, "_TRANSPORT=kernel PRIORITY=0"));
        assert!(!takes(warnings, "_TRANSPORT=kernel PRIORITY=5") && !takes(warnings, "_TRANSPORT=kernel"));
        assert!(takes("{ identifier: a }", "SYSLOG_IDENTIFIER=b SYSLOG_IDENTIFIER=a"), "a field may be repeated");
        assert!(Filter::of(&serde_yaml::from_str("file: /x").unwrap()).is_none());
    }
}
