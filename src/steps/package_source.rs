//! `package_source`: a repository of somebody else's, trusted for the packages it signs with one pinned key and for nothing more.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Context as _, Error, Kind, Result};
use crate::host::aws::Permission;
use crate::host::compare::FileChange;
use crate::host::files::NewFile;
use crate::host::openpgp::{Pin, PublicKeys};
use crate::host::origin::Origin;
use crate::host::packages::{Manager, Source, SourceFiles};
use crate::host::write::Attributes;
use crate::host::{Facts, Host};
use crate::secret::Sensitive;
use crate::step::{Finding, Fingerprint, Step, Thing, Touches};

/// A key is no more than this.
const LARGEST_KEY: u64 = 1024 * 1024;

/// A third party's package repository, with the one key that its packages must be signed with.
///
/// On Debian and Ubuntu a file in `sources.list.d` whose `Signed-By` is a keyring of its own, so that the key is trusted for this
/// repository only; on Amazon Linux a `.repo` file with `gpgcheck=1`. The lists of exactly this repository are fetched when it
/// changed, and `packages` steps below find what is in it. A key from elsewhere is pinned by its fingerprint (then it must be the
/// only key in its file) or by the `sha256` of the file.
///
/// ```yaml
/// - package_source:
///     name: nodesource
///     uris: ["https://deb.nodesource.com/node_20.x"]
///     suites: [nodistro]
///     components: [main]
///     key_source: https://deb.nodesource.com/gpgkey/nodesource-repo.gpg.key
///     fingerprint: 6F71 F525 2829 41A5 0B8E  C2D3 2F59 B5F9 9B1B E0B4
/// - packages: [nodejs]
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageSource {
    /// What its files are called: lower-case letters, digits, `-`, `_`, `.`.
    name: String,
    /// Where it is: `https://…`, `http://…` or `file:/…`; dnf's `baseurl`.
    #[serde(default)]
    uris: Vec<String>,
    /// Its suites (apt only), such as `stable`; one that ends in `/` is a path and has no components.
    #[serde(default)]
    suites: Vec<String>,
    /// Its components (apt only), such as `main`.
    #[serde(default)]
    components: Vec<String>,
    /// The architectures to fetch (apt only); the machine's unless told.
    #[serde(default)]
    architectures: Vec<String>,
    /// The public key itself, armored.
    key: Option<String>,
    /// Where the key is: a file beside the playbook, `s3://bucket/key`, or `https://…`; armored or not.
    #[schemars(extend("x-beside" = true))]
    key_source: Option<String>,
    /// The fingerprint of the one key in it, 40 digits or more.
    fingerprint: Option<String>,
    /// sha256 of the key's file, in hexadecimal.
    sha256: Option<String>,
    /// Who asks for its packages, where it wants to know; HTTPS only.
    username: Option<Sensitive>,
    /// Their password.
    password: Option<Sensitive>,
    /// There must be no such source, and no key of it.
    #[serde(default)]
    absent: bool,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceChange {
    /// Write one of its files, or set owner and mode.
    Write(FileChange),
    /// Fetch the key.
    FetchKey {
        /// Where it belongs.
        path: PathBuf,
        /// Where it is.
        from: Origin,
    },
    /// Remove one of its files.
    Remove(PathBuf),
    /// Fetch the lists of its packages.
    FetchLists,
}

impl From<FileChange> for SourceChange {
    fn from(change: FileChange) -> Self {
        Self::Write(change)
    }
}

impl fmt::Display for SourceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(change) => change.fmt(f),
            Self::FetchKey { path, from } => write!(f, "fetch {} from {from}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::FetchLists => f.write_str("fetch the lists of its packages"),
        }
    }
}

/// Where the key comes from.
enum KeyFrom {
    /// The playbook.
    Text(String),
    /// A file beside it.
    Beside(PathBuf),
    /// The network.
    Elsewhere(Origin),
}

impl PackageSource {
    fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            uris: &self.uris,
            suites: &self.suites,
            components: &self.components,
            architectures: &self.architectures,
            login: self.username.as_ref().zip(self.password.as_ref()),
        }
    }

    fn files(&self, facts: &Facts) -> SourceFiles {
        SourceFiles::of(facts.package_manager(), facts.etc(), &self.name)
    }

    fn pin(&self) -> Result<Pin, String> {
        Ok(Pin {
            sha256: self.sha256.as_deref().map(str::parse).transpose()?,
            fingerprint: self.fingerprint.as_deref().map(str::parse).transpose()?,
        })
    }

    /// Where the key comes from, or what the playbook says wrongly.
    fn key_from(&self) -> Result<KeyFrom, String> {
        match (&self.key, &self.key_source) {
            (Some(text), None) => Ok(KeyFrom::Text(text.clone())),
            (None, Some(source)) => match Origin::of(source)? {
                Origin::Beside(path) => Ok(KeyFrom::Beside(path)),
                _ if self.sha256.is_none() && self.fingerprint.is_none() => {
                    Err("a key from elsewhere needs its `fingerprint` or `sha256`: whoever changes it would be trusted".into())
                }
                elsewhere => Ok(KeyFrom::Elsewhere(elsewhere)),
            },
            _ => Err("exactly one of `key` and `key_source` is needed".into()),
        }
    }

    /// The keys as they shall be stored; `None` when they are elsewhere, and those that are here are not what is pinned.
    fn keys(&self, facts: &Facts, stored: &Path) -> Result<Option<PublicKeys>> {
        let pin = self.pin().map_err(playbook)?;
        let here = |bytes: &[u8]| {
            let keys = PublicKeys::published(bytes)?;
            keys.require(&pin).map(|()| Some(keys))
        };
        match self.key_from().map_err(playbook)? {
            KeyFrom::Text(text) => here(text.as_bytes()).doing(|| "reading `key`".into()),
            KeyFrom::Beside(path) => {
                let doing = || format!("reading `key_source: {}`", path.display());
                let bytes = facts.read_beside(&path, LARGEST_KEY).doing(doing)?;
                let bytes = bytes.ok_or_else(|| Error::new(Kind::Playbook, "it is larger than any key")).doing(doing)?;
                here(&bytes).doing(doing)
            }
            KeyFrom::Elsewhere(_) => {
                let known = facts.read(stored)?.as_deref().and_then(PublicKeys::stored);
                Ok(known.filter(|keys| keys.require(&pin).is_ok()))
            }
        }
    }

    /// Every file as it shall be, as far as that is known without fetching anything, and what they stand for.
    fn wishes(&self, facts: &Facts) -> Result<(Vec<NewFile>, Fingerprint)> {
        let files = self.files(facts);
        let mut wishes = self.source().texts(facts.package_manager(), &files)?;
        let texts: Vec<[u8; 32]> = wishes.iter().map(|wish| wish.fingerprint().0).collect();
        let pins = format!("{:?} {:?} {:?}", self.key, self.sha256, self.fingerprint);
        let mut parts: Vec<&[u8]> = texts.iter().map(<[u8; 32]>::as_slice).collect();
        parts.push(pins.as_bytes());
        let stands_for = Fingerprint::of(&parts);
        if let Some(keys) = self.keys(facts, &files.key)? {
            let key = NewFile { path: files.key, content: keys.text().into(), owner: None, group: None, mode: 0o644 };
            wishes.insert(0, key);
        }
        Ok((wishes, stands_for))
    }

    /// What names the record of the last lists.
    fn record(&self) -> String {
        format!("package_source:{}", self.name)
    }

    fn check_absent(&self, facts: &Facts) -> Result<Finding<SourceChange>> {
        let mut finding = Finding::done().with_fingerprint(&[b"absent"]);
        let files = self.files(facts);
        // The source goes before its key: at no moment is it there without one.
        let mut all: Vec<&Path> = files.all().collect();
        all.reverse();
        for path in all {
            if facts.look(path)?.is_some() {
                finding.change(SourceChange::Remove(path.to_owned()));
            }
        }
        Ok(finding)
    }

    fn fetch_key(&self, from: &Origin, path: &Path, host: &Host) -> Result<()> {
        let pin = self.pin().map_err(playbook)?;
        let keys = PublicKeys::published(&host.fetch_bytes(from, pin.sha256, LARGEST_KEY)?);
        let keys = keys.and_then(|keys| keys.require(&pin).map(|()| keys)).doing(|| format!("fetching the key from `{from}`"))?;
        write(&NewFile { path: path.to_owned(), content: keys.text().into(), owner: None, group: None, mode: 0o644 }, host)
    }
}

/// Writes a file whose folder an older system may not have.
fn write(file: &NewFile, host: &Host) -> Result<()> {
    let folder = file.path.parent().unwrap_or(Path::new("/"));
    if host.look(folder)?.is_none() {
        host.make_directory(folder, &Attributes { mode: Some(0o755), ..Attributes::default() })?;
    }
    host.write_file(file)
}

fn playbook(why: String) -> Error {
    Error::new(Kind::Playbook, why)
}

impl Step for PackageSource {
    const KIND: &'static str = "package_source";
    const EXAMPLE: &'static str = "steps:
  - package_source:
      name: tool
      uris: [https://packages.example.com/debian]
      suites: [bookworm]
      components: [main]
      key_source: https://packages.example.com/key.asc
      fingerprint: 6BCBEB93C53C94EF71D26FBD35AF81C635E053FF
";
    type Change = SourceChange;

    fn permissions(&self) -> Vec<Permission> {
        match self.key_from() {
            Ok(KeyFrom::Elsewhere(origin)) => origin.permission().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn touches(&self) -> Touches {
        let mut touches = Touches::nothing().write(Thing::PackageLists).lock("packages");
        for manager in [Manager::Apt, Manager::Dnf] {
            for path in SourceFiles::of(manager, Path::new("/etc"), &self.name).all() {
                touches = touches.write_path(path);
            }
        }
        touches
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !self.name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !self.name.chars().all(simple) {
            problems.push(format!("`{}` is no name for its files: lower-case letters, digits, `-`, `_`, `.`", self.name));
        }
        if self.absent {
            return problems;
        }
        if self.uris.is_empty() {
            problems.push("`uris` says nowhere where it is".into());
        }
        problems.extend(self.uris.iter().filter_map(|uri| uri_problem(uri)));
        for (name, words) in [("suites", &self.suites), ("components", &self.components), ("architectures", &self.architectures)]
        {
            if words.iter().any(|word| !is_word(word)) {
                problems.push(format!("`{name}` lists words: no spaces, none empty"));
            }
        }
        if self.suites.iter().any(|suite| suite.ends_with('/') != self.components.is_empty()) {
            problems.push("a suite needs `components`, unless it ends in `/`: then it is a path and has none".into());
        }
        problems.extend(self.key_from().err());
        problems.extend(self.pin().err());
        if self.username.is_some() != self.password.is_some() {
            problems.push("`username` and `password` belong together".into());
        }
        if self.username.is_some() && self.uris.iter().any(|uri| !uri.starts_with("https://")) {
            problems.push("a password goes over `https://` only".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<SourceChange>> {
        if self.absent {
            return self.check_absent(facts);
        }
        let (wishes, stands_for) = self.wishes(facts)?;
        let mut finding = Finding::done();
        let key = self.files(facts).key;
        if let (Ok(KeyFrom::Elsewhere(from)), false) = (self.key_from(), wishes.iter().any(|wish| wish.path == key)) {
            finding.change(SourceChange::FetchKey { path: key, from });
        }
        for wish in &wishes {
            facts.compare_into(wish, &mut finding)?;
        }
        if !finding.changes.is_empty() || facts.started_with(&self.record(), &stands_for)? != Some(true) {
            finding.change(SourceChange::FetchLists);
        }
        finding.fingerprint = Some(stands_for);
        Ok(finding)
    }

    fn apply(&self, change: &SourceChange, host: &Host) -> Result<()> {
        match change {
            SourceChange::Remove(path) => host.remove(path),
            SourceChange::FetchKey { path, from } => self.fetch_key(from, path, host),
            SourceChange::Write(change) => {
                let (wishes, _) = self.wishes(host)?;
                let wish = wishes.iter().find(|wish| wish.path == change.path());
                write(wish.ok_or_else(|| Error::new(Kind::Bug, "a file of another source was to be written"))?, host)
            }
            SourceChange::FetchLists => {
                host.refresh_source(&self.name, &self.files(host))?;
                host.record_start(&self.record(), &self.wishes(host)?.1)
            }
        }
    }
}

/// What is wrong with an address of packages.
fn uri_problem(uri: &str) -> Option<String> {
    let known = ["https://", "http://", "file:/"].iter().any(|scheme| uri.starts_with(scheme));
    if !known || !is_word(uri) {
        return Some(format!("`{uri}` is no address of packages: `https://…`, `http://…` or `file:/…`"));
    }
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    // What it says is not repeated: it is a password.
    authority.contains('@').then(|| "an address must hold no password; use `username` and `password`".to_owned())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests;
