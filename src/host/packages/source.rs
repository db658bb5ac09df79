//! A repository that somebody else keeps, as each package manager has it written: where its packages are, and the one key that is
//! trusted for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Manager;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::host::files::NewFile;
use crate::secret::{Secret, Sensitive};

/// Who may read what everybody may.
const OPEN: u32 = 0o644;
/// What holds a password.
const CLOSED: u32 = 0o600;
const HEAD: &str = "# Written by bootstrap-agent from its playbook; changes made here are overwritten.\n";

/// A repository.
#[derive(Debug, Clone)]
pub struct Source<'s> {
    /// What its files are called.
    pub name: &'s str,
    /// Where it is.
    pub uris: &'s [String],
    /// apt's `Suites:`.
    pub suites: &'s [String],
    /// apt's `Components:`.
    pub components: &'s [String],
    /// apt's `Architectures:`; all of the machine's unless told.
    pub architectures: &'s [String],
    /// Name and password for it.
    pub login: Option<(&'s Sensitive, &'s Sensitive)>,
}

/// Where the files of a source are.
#[derive(Debug, Clone)]
pub struct SourceFiles {
    /// The key.
    pub key: PathBuf,
    /// The source itself.
    pub list: PathBuf,
    /// Name and password, where they have a file of their own.
    pub login: Option<PathBuf>,
}

impl SourceFiles {
    /// Those of the source of this name; `etc` is where configuration is.
    #[must_use]
    pub fn of(manager: Manager, etc: &Path, name: &str) -> Self {
        match manager {
            Manager::Apt => Self {
                key: etc.join(format!("apt/keyrings/{name}.asc")),
                list: etc.join(format!("apt/sources.list.d/{name}.sources")),
                login: Some(etc.join(format!("apt/auth.conf.d/{name}.conf"))),
            },
            Manager::Dnf => Self {
                key: etc.join(format!("pki/rpm-gpg/RPM-GPG-KEY-{name}")),
                list: etc.join(format!("yum.repos.d/{name}.repo")),
                login: None,
            },
        }
    }

    /// All of them, what is read before what reads it.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.key), self.login.as_ref(), Some(&self.list)].into_iter().flatten().map(PathBuf::as_path)
    }
}

impl Source<'_> {
    /// The files that describe it, but for the key.
    ///
    /// # Errors
    /// `Playbook` when something cannot be said to this package manager.
    pub fn texts(&self, manager: Manager, files: &SourceFiles) -> Result<Vec<NewFile>> {
        match manager {
            Manager::Apt => {
                let mut all = Vec::new();
                if let (Some(path), Some((user, password))) = (&files.login, self.login) {
                    all.push(file(path, self.auth_conf(user, password)?, CLOSED));
                }
                all.push(file(&files.list, self.deb822(&files.key)?.into(), OPEN));
                Ok(all)
            }
            Manager::Dnf => {
                let mode = if self.login.is_some() { CLOSED } else { OPEN };
                Ok(vec![file(&files.list, self.repo(&files.key)?, mode)])
            }
        }
    }

    /// `sources.list(5)`, the form in stanzas.
    fn deb822(&self, key: &Path) -> Result<String> {
        if self.suites.is_empty() {
            return Err(wrong("this machine has apt, which needs `suites`"));
        }
        let mut text = format!("{HEAD}Types: deb\n");
        let lists = [
            ("URIs", self.uris),
            ("Suites", self.suites),
            ("Components", self.components),
            ("Architectures", self.architectures),
        ];
        for (name, words) in lists.iter().filter(|(_, words)| !words.is_empty()) {
            let _ = writeln!(text, "{name}: {}", words.join(" "));
        }
        Ok(format!("{text}Signed-By: {}\n", key.display()))
    }

    /// `apt_auth.conf(5)`.
    fn auth_conf(&self, user: &Sensitive, password: &Sensitive) -> Result<Sensitive> {
        let (user, password) = (word(user, "username")?, word(password, "password")?);
        let mut text = HEAD.to_owned();
        for uri in self.uris {
            // Without a scheme it is given to HTTPS only.
            let place = uri.trim_start_matches("https://");
            let _ = writeln!(text, "machine {place} login {user} password {password}");
        }
        Ok(Sensitive::Secret(Secret::new(text)))
    }

    /// `dnf.conf(5)`, the options of a repository.
    fn repo(&self, key: &Path) -> Result<Sensitive> {
        for (name, words) in [("suites", self.suites), ("components", self.components), ("architectures", self.architectures)] {
            if !words.is_empty() {
                return Err(wrong(&format!("this machine has dnf, whose repositories have no `{name}`")));
            }
        }
        let name = self.name;
        let uris = self.uris.join("\n        ");
        let text = format!(
            "{HEAD}[{name}]\nname={name}\nbaseurl={uris}\nenabled=1\ngpgcheck=1\ngpgkey=file://{}\nskip_if_unavailable=0\n",
            key.display()
        );
        let Some((user, password)) = self.login else { return Ok(text.into()) };
        let (user, password) = (word(user, "username")?, word(password, "password")?);
        Ok(Sensitive::Secret(Secret::new(format!("{text}username={user}\npassword={password}\n"))))
    }
}

impl Host {
    /// Fetches the lists of this source and of no other.
    ///
    /// # Errors
    /// `TimedOut` when somebody held the package manager's locks; whatever the package manager says.
    pub fn refresh_source(&self, name: &str, files: &SourceFiles) -> Result<()> {
        match self.package_manager() {
            Manager::Apt => self.update_lists(Some(&files.list)),
            Manager::Dnf => self.make_cache(name),
        }
    }
}

fn file(path: &Path, content: Sensitive, mode: u32) -> NewFile {
    NewFile { path: path.to_owned(), content, owner: None, group: None, mode }
}

/// A word as these files have it: nothing in it can end it.
fn word<'s>(text: &'s Sensitive, name: &str) -> Result<&'s str> {
    let text = std::str::from_utf8(text.expose()).ok();
    text.filter(|text| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()))
        .ok_or_else(|| wrong(&format!("`{name}` is empty or has a space in it, which the package manager cannot read")))
}

fn wrong(why: &str) -> Error {
    Error::new(Kind::Playbook, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn apt_is_told_in_stanzas_with_the_key_that_is_trusted_for_this_source_only() {
        let (uris, suites, components) =
            (strings(&["https://a.example.com/deb"]), strings(&["stable"]), strings(&["main", "extra"]));
        let (user, password) = (Sensitive::from("me"), Sensitive::Secret(Secret::new("hunter2-hunter2")));
        let mut source =
            Source { name: "tool", uris: &uris, suites: &suites, components: &components, architectures: &[], login: None };
        let files = SourceFiles::of(Manager::Apt, Path::new("/etc"), "tool");
        let [list] = &source.texts(Manager::Apt, &files).unwrap()[..] else { panic!() };
        let text = String::from_utf8(list.content.expose().to_vec()).unwrap();
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            "Types: deb\nURIs: https://a.example.com/deb\nSuites: stable\nComponents: main extra\nSigned-By: /etc/apt/keyrings/tool.asc\n"
        );
        assert_eq!((list.mode, list.path.to_str()), (0o644, Some("/etc/apt/sources.list.d/tool.sources")));
        source.login = Some((&user, &password));
        let [login, _] = &source.texts(Manager::Apt, &files).unwrap()[..] else { panic!() };
        assert!(login.content.is_secret() && login.mode == 0o600);
        assert!(login.content.expose().ends_with(b"machine a.example.com/deb login me password hunter2-hunter2\n"));
        source.suites = &[];
        assert!(source.texts(Manager::Apt, &files).unwrap_err().to_string().contains("needs `suites`"));
    }

    #[test]
    fn dnf_checks_every_package_against_the_key() {
        let uris = strings(&["https://a.example.com/1", "https://b.example.com/2"]);
        let mut source = Source { name: "tool", uris: &uris, suites: &[], components: &[], architectures: &[], login: None };
        let files = SourceFiles::of(Manager::Dnf, Path::new("/etc"), "tool");
        let [repo] = &source.texts(Manager::Dnf, &files).unwrap()[..] else { panic!() };
        let text = String::from_utf8(repo.content.expose().to_vec()).unwrap();
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            "[tool]\nname=tool\nbaseurl=https://a.example.com/1\n        https://b.example.com/2\nenabled=1\ngpgcheck=1\n\
             gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-tool\nskip_if_unavailable=0\n"
        );
        let (user, bad) = (Sensitive::from("me"), Sensitive::Secret(Secret::new("two words\nmore")));
        source.login = Some((&user, &bad));
        let error = source.texts(Manager::Dnf, &files).unwrap_err().to_string();
        assert!(error.contains("`password`") && !error.contains("two words"), "{error}");
        source.suites = &uris;
        source.login = None;
        assert!(source.texts(Manager::Dnf, &files).unwrap_err().to_string().contains("no `suites`"));
    }
}
