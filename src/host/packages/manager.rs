//! Which package manager this machine has: as its system says of itself, and where that is unknown, by what is installed.

use std::path::Path;

use crate::error::{Error, Kind};
use crate::host::Facts;

/// The families of systems that have their packages from apt.
const APT: [&str; 2] = ["debian", "ubuntu"];
/// Those that have them from dnf.
const DNF: [&str; 4] = ["amzn", "fedora", "rhel", "centos"];

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu: apt and dpkg.
    Apt,
    /// Amazon Linux, Fedora and their kin: dnf and rpm.
    Dnf,
}

impl Manager {
    /// What its package files end in.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Apt => "deb",
            Self::Dnf => "rpm",
        }
    }

    /// The error where the programs of this one are missing.
    pub(super) fn absent(self) -> Error {
        let name = match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
        };
        Error::new(Kind::Failed, format!("there is no {name} here"))
            .hint("packages are installed on Debian, Ubuntu, Amazon Linux and their kin only")
    }

    /// As `os-release` says: its `ID`, else the families it names in `ID_LIKE`.
    fn of_release(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
        };
        let names = format!("{} {}", value("ID"), value("ID_LIKE"));
        names
            .split_whitespace()
            .find_map(|name| if APT.contains(&name) { Some(Self::Apt) } else { DNF.contains(&name).then_some(Self::Dnf) })
    }
}

impl Facts {
    /// The package manager of this machine.
    #[must_use]
    pub fn package_manager(&self) -> Manager {
        let release = std::fs::read_to_string(self.etc().join("os-release")).unwrap_or_default();
        Manager::of_release(&release).unwrap_or_else(|| {
            let only_dnf = self.program("dnf").is_some() && self.program("dpkg-query").is_none();
            if only_dnf { Manager::Dnf } else { Manager::Apt }
        })
    }

    /// The folder of the machine's configuration.
    #[must_use]
    pub fn etc(&self) -> &Path {
        &self.world.accounts.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn the_system_says_which_it_is() {
        for (text, manager) in [
            ("NAME=\"Amazon Linux\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\n", Some(Manager::Dnf)),
            ("ID=debian\n", Some(Manager::Apt)),
            ("ID=ubuntu\nID_LIKE=debian\n", Some(Manager::Apt)),
            ("ID='linuxmint'\nID_LIKE='ubuntu debian'\n", Some(Manager::Apt)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Manager::Dnf)),
            ("ID=arch\n", None),
            ("", None),
        ] {
            assert_eq!(Manager::of_release(text), manager, "{text}");
        }
    }

    #[test]
    fn where_the_system_is_unknown_its_programs_tell() {
        assert_eq!(Machine::new().facts().package_manager(), Manager::Apt);
        assert_eq!(Machine::new().program("dnf", "").facts().package_manager(), Manager::Dnf);
        assert_eq!(Machine::new().program("dnf", "").program("dpkg-query", "").facts().package_manager(), Manager::Apt);
        let machine = Machine::new().program("dpkg-query", "");
        machine.write("etc/os-release", "ID=amzn\n");
        assert_eq!(machine.facts().package_manager(), Manager::Dnf);
    }
}
