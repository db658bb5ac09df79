//! `packages`: which packages are installed, at which version, and held there.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::Result;
use crate::host::aws::Permission;
use crate::host::origin::Origin;
use crate::host::packages::{Manager, NamedPackage, Packages as Installed, Request, Transaction};
use crate::host::{Facts, Host};
use crate::step::fields::AbsolutePath;
use crate::step::{Finding, Step, Thing, Touches};

/// Installed packages: apt on Debian and Ubuntu, dnf on Amazon Linux and its kin.
///
/// Asks dpkg or rpm once, and calls `apt-get` or `dnf` once for the whole list, only when something is missing; fetches the package
/// lists only when they are old. Waits for other users of the package manager, and names them. Configuration files that were
/// changed stay.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// Names (`nginx`), names with the beginning of a version (`nginx=1.22.*`), paths of `.deb` or `.rpm` files, or
    /// `{ name, version, deb, sha256 }` (`rpm` in place of `deb`) for a file elsewhere.
    names: Vec<Item>,
    /// `present` unless told, or `absent` (removed, configuration files stay).
    #[serde(default)]
    state: State,
    /// Whether they are held at their version (`apt-mark hold`, dnf's plugin `versionlock`); left alone unless told.
    #[serde(default)]
    hold: Option<bool>,
    /// Also install what they recommend. Off unless told: a server gets what the playbook names.
    #[serde(default)]
    recommends: bool,
}

/// Whether the packages are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Present,
    Absent,
}

/// One package.
#[derive(Debug, Clone, JsonSchema)]
#[serde(untagged)]
enum Item {
    /// A name, a name with a version, or the path of a package file.
    Text(String),
    /// A package file elsewhere.
    Remote(RemotePackage),
}

/// A package file elsewhere. Its name and version are written here, so that nothing is fetched to find out that it is installed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RemotePackage {
    /// The package's name.
    name: String,
    /// Its version.
    version: String,
    /// `https://…` or `s3://bucket/key`, where the file is, for apt.
    deb: Option<String>,
    /// The same for dnf.
    rpm: Option<String>,
    /// sha256 of the file, in hexadecimal.
    sha256: String,
}

/// By hand, because serde's own way forgets which of the two was meant, and with it what is wrong.
impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a package's name, or `{ name, version, deb, sha256 }` (or `rpm`)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Item, M::Error> {
                RemotePackage::deserialize(MapAccessDeserializer::new(map)).map(Item::Remote).map_err(M::Error::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Item {
    /// What it is, or why it is nothing.
    fn request(&self) -> Result<Request, String> {
        match self {
            Self::Text(text) if text.starts_with('/') => match text.parse::<AbsolutePath>() {
                Ok(_) if self.manager().is_none() => Err(format!("`{text}` ends neither in `.deb` nor in `.rpm`")),
                Ok(path) => Ok(Request::File(path.as_path().to_owned())),
                Err(why) => Err(why),
            },
            Self::Text(text) => text.parse().map(Request::Named),
            Self::Remote(remote) => {
                self.named()?;
                let ((Some(place), None) | (None, Some(place))) = (&remote.deb, &remote.rpm) else {
                    return Err(format!("exactly one of `deb` and `rpm` says where `{}` is", remote.name));
                };
                let origin = Origin::of(place).ok().filter(Origin::is_remote);
                let origin = origin.ok_or_else(|| format!("`{place}` must be `https://…` or `s3://bucket/key`"))?;
                Ok(Request::Remote { origin, sha256: remote.sha256.parse()? })
            }
        }
    }

    /// Whose file it is; `None` for what is asked for by its name.
    fn manager(&self) -> Option<Manager> {
        match self {
            Self::Text(text) => {
                [Manager::Apt, Manager::Dnf].into_iter().find(|manager| text.ends_with(&format!(".{}", manager.extension())))
            }
            Self::Remote(remote) => Some(if remote.deb.is_some() { Manager::Apt } else { Manager::Dnf }),
        }
    }

    /// Name and version, where they are written down.
    fn named(&self) -> Result<NamedPackage, String> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Remote(remote) => format!("{}={}", remote.name, remote.version).parse(),
        }
    }

    /// Name and version; of a file here, the file is asked.
    fn wanted(&self, facts: &Facts) -> Result<NamedPackage> {
        let request = self.request();
        let (here, is_file) = (facts.package_manager(), !matches!(request, Ok(Request::Named(_))));
        if is_file && self.manager().is_some_and(|manager| manager != here) {
            let why = format!("this machine installs `.{}` files, no others", here.extension());
            return Err(as_playbook_error(why));
        }
        match request {
            Ok(Request::File(path)) => {
                let (name, version) = facts.package_file(&path)?;
                Ok(NamedPackage { name, version: Some(version) })
            }
            Ok(_) => self.named().map_err(as_playbook_error),
            Err(why) => Err(as_playbook_error(why)),
        }
    }
}

fn as_playbook_error(why: String) -> crate::error::Error {
    crate::error::Error::new(crate::error::Kind::Playbook, why)
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// dpkg was stopped in the middle of something.
    Heal,
    /// These are missing, or have another version.
    Install(Vec<Move>),
    /// These shall go.
    Remove(Vec<String>),
    /// These are not held, or are.
    Hold {
        /// Which.
        names: Vec<String>,
        /// Whether they shall be.
        hold: bool,
    },
}

/// One package on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    wanted: NamedPackage,
    request: Request,
    from: Option<String>,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.wanted)?;
        self.from.as_ref().map_or(Ok(()), |from| write!(f, " (now {from})"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Heal => f.write_str("finish the interrupted run of dpkg"),
            Self::Install(moves) => {
                let moves: Vec<String> = moves.iter().map(ToString::to_string).collect();
                write!(f, "install {}", moves.join(", "))
            }
            Self::Remove(names) => write!(f, "remove {}", listed(names)),
            Self::Hold { names, hold: true } => write!(f, "hold {}", listed(names)),
            Self::Hold { names, hold: false } => write!(f, "no longer hold {}", listed(names)),
        }
    }
}

impl Packages {
    fn compare(&self, wanted: &[NamedPackage], installed: &Installed) -> Result<Finding<Change>> {
        let mut finding = Finding::done();
        let mut moves = Vec::new();
        let mut removals = Vec::new();
        let mut holds = Vec::new();
        let mut versions = serde_json::Map::new();
        for (item, wanted) in self.names.iter().zip(wanted) {
            let there = installed.find(&wanted.name);
            if self.state == State::Absent {
                removals.extend(there.map(|_| wanted.name.clone()));
                continue;
            }
            // A virtual name (`awk`) is there when a package provides it; it has no version of its own.
            let provided = wanted.version.is_none() && there.is_none() && installed.provider(&wanted.name).is_some();
            let fits = provided || there.is_some_and(|package| package.is_installed() && package.version.is_wanted_by(wanted));
            if !fits {
                let request = item.request().map_err(as_playbook_error)?;
                moves.push(Move { wanted: wanted.clone(), request, from: there.map(|package| package.version.to_string()) });
            }
            if let Some(package) = there {
                versions.insert(wanted.name.clone(), package.version.to_string().into());
            }
            if self.hold.is_some_and(|hold| hold != there.is_some_and(|package| package.held)) {
                holds.push(wanted.name.clone());
            }
        }
        if !moves.is_empty() {
            finding.change(Change::Install(moves));
        } else if self.state == State::Present {
            let text = serde_json::Value::Object(versions.clone()).to_string();
            finding = finding.with_fingerprint(&[text.as_bytes()]).with_output("versions", serde_json::Value::Object(versions));
        }
        if !removals.is_empty() {
            finding.change(Change::Remove(removals));
        }
        if let (Some(hold), false) = (self.hold, holds.is_empty()) {
            finding.change(Change::Hold { names: holds, hold });
        }
        Ok(finding)
    }
}

impl Step for Packages {
    const KIND: &'static str = "packages";
    const SHORTHAND: Option<&'static str> = Some("names");
    const EXAMPLE: &'static str = r#"steps:
  - packages: [nginx, "postgresql-client=15.*"]
"#;
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[("versions", "The installed version of each package, by name.")];
    type Change = Change;

    fn permissions(&self) -> Vec<Permission> {
        let of = |package: &Item| match package.request() {
            Ok(Request::Remote { origin, .. }) => origin.permission(),
            _ => None,
        };
        self.names.iter().filter_map(of).collect()
    }

    fn touches(&self) -> Touches {
        let mut touches = Touches::nothing().write(Thing::Programs).write(Thing::PackageLists).lock("packages");
        for item in &self.names {
            if let Ok(Request::File(path)) = item.request() {
                touches = touches.read_path(path);
            }
        }
        touches
    }

    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.names.iter().filter_map(|item| item.request().err()).collect();
        if self.names.is_empty() {
            problems.push("`names` names no package".into());
        }
        if self.state == State::Absent && self.hold == Some(true) {
            problems.push("a package that is `absent` cannot be held".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<Change>> {
        let wanted = self.names.iter().map(|item| item.wanted(facts)).collect::<Result<Vec<_>>>()?;
        let mut finding = self.compare(&wanted, &*facts.packages()?)?;
        if self.hold == Some(true) {
            facts.require_holds()?;
        }
        // Every later call of apt fails until this is done, so it is this step's business whatever it was about.
        if facts.packages_were_interrupted()? {
            finding.change(Change::Heal);
            finding.changes.rotate_right(1);
        }
        Ok(finding)
    }

    fn apply(&self, change: &Change, host: &Host) -> Result<()> {
        match change {
            Change::Heal => host.finish_interrupted_packages(),
            Change::Install(moves) => host.install_packages(&Transaction {
                install: moves.iter().map(|one| one.request.clone()).collect(),
                recommends: self.recommends,
                change_held: self.hold.is_some(),
            }),
            Change::Remove(names) => host.remove_packages(names),
            Change::Hold { names, hold } => host.hold_packages(names, *hold),
        }
    }
}

#[cfg(test)]
mod tests;
