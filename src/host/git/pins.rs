//! Which host keys a server may show: those of the step, else the built-in ones and those of the machine. Never "any".

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use russh::keys::{PublicKey, known_hosts::known_host_keys_path};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Kind, Result};
use crate::host::host_keys;

/// Where the administrator of the machine keeps host keys.
const OF_THE_MACHINE: &str = "/etc/ssh/ssh_known_hosts";

/// The keys one server may show, each as `type base64`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins(pub Vec<String>);

impl Pins {
    /// The keys for this server: those given, if any are; else the built-in ones and the machine's own.
    ///
    /// # Errors
    /// When a given line is no host key, or belongs to another host.
    pub fn find(host: &str, port: u16, given: &[String]) -> Result<Self> {
        if !given.is_empty() {
            let keys = given.iter().map(|line| given_key(line, host, port)).collect::<Result<Vec<_>>>()?;
            return Ok(Self(keys.into_iter().flatten().collect()));
        }
        let mut keys = Vec::new();
        if port == 22 {
            let built_in = host_keys::of(host).unwrap_or_default();
            keys.extend(built_in.iter().map(|key| format!("{} {}", key.algorithm, key.key)));
        }
        keys.extend(of_the_machine(Path::new(OF_THE_MACHINE), host, port)?);
        Ok(Self(keys))
    }

    /// The keys, read. What cannot be read was refused when the pins were found.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.0.iter().filter_map(|text| PublicKey::from_openssh(text).ok()).collect()
    }
}

/// The key in a line of `known_hosts`, with or without the host's name before it; `None` in a comment or for another host.
fn given_key(line: &str, host: &str, port: u16) -> Result<Option<String>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let wrong = |why: &str| Error::new(Kind::Playbook, format!("{why} in `host_keys`: `{}`", line.trim()));
    let (names, kind, key) = match words.as_slice() {
        [] => return Ok(None),
        [first, ..] if first.starts_with('#') => return Ok(None),
        [first, ..] if first.starts_with('@') => return Err(wrong("markers such as `@cert-authority` are not supported")),
        [first, ..] if first.starts_with('|') => return Err(wrong("hashed host names are not supported")),
        [names, kind, key, ..] if PublicKey::from_openssh(&format!("{kind} {key}")).is_ok() => (Some(*names), kind, key),
        [kind, key, ..] => (None, kind, key),
        _ => return Err(wrong("a line is not a host key")),
    };
    let place = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    if names.is_some_and(|names| !names.split(',').any(|name| name.eq_ignore_ascii_case(&place))) {
        return Ok(None);
    }
    let text = format!("{kind} {key}");
    PublicKey::from_openssh(&text).map_err(|_| wrong("a line is not a host key"))?;
    Ok(Some(text))
}

/// The keys in the machine's own list, believed only if nobody but root can have written it.
fn of_the_machine(list: &Path, host: &str, port: u16) -> Result<Vec<String>> {
    // Following links is right here: every directory on the way belongs to root, and so must the file itself.
    let Ok(facts) = std::fs::metadata(list) else { return Ok(Vec::new()) };
    if facts.uid() != 0 || facts.mode() & 0o022 != 0 {
        return Ok(Vec::new());
    }
    let content = std::fs::read_to_string(list).doing(|| format!("reading `{}`", list.display()))?;
    if content.lines().any(|line| line.starts_with('@')) {
        let because = format!("`{}` holds a marker such as `@revoked`, which is not supported", list.display());
        return Err(Error::new(Kind::Failed, because).hint("list the server's keys under `host_keys:` of the step"));
    }
    let found = known_host_keys_path(host, port, list)
        .map_err(|error| Error::from_source(Kind::Failed, &error).doing(format!("reading `{}`", list.display())))?;
    found.into_iter().map(|(_, key)| key.to_openssh().map_err(|error| Error::from_source(Kind::Failed, &error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO";

    #[test]
    fn given_lines_name_this_host_or_none() {
        let given = [KEY.to_owned(), format!("host.example,other {KEY} comment"), format!("elsewhere {KEY}"), "# note".into()];
        assert_eq!(Pins::find("host.example", 22, &given).unwrap().0, [KEY, KEY]);
        let with_port = [format!("[host.example]:2222 {KEY}"), format!("host.example {KEY}")];
        assert_eq!(Pins::find("host.example", 2222, &with_port).unwrap().0, [KEY]);
        for wrong in ["ssh-ed25519 nonsense", "|1|abc|def ssh-ed25519 AAAA", "@cert-authority * ssh-rsa AAAA", "one-word"] {
            assert!(Pins::find("host.example", 22, &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn well_known_servers_have_their_keys_built_in_on_their_own_port() {
        for host in ["github.com", "gitlab.com", "bitbucket.org"] {
            let pins = Pins::find(host, 22, &[]).unwrap();
            assert!(pins.keys().len() >= 3 && pins.keys().len() == pins.0.len(), "{host}");
            assert_eq!(Pins::find(host, 22, &[KEY.to_owned()]).unwrap().0, [KEY], "given keys replace them");
        }
        assert!(Pins::find("bitbucket.example", 22, &[]).unwrap().0.is_empty());
    }

    #[test]
    fn a_list_that_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("known_hosts");
        std::fs::write(&list, format!("host.example {KEY}\n")).unwrap();
        std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(of_the_machine(&list, "host.example", 22).unwrap().is_empty());
        std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o644)).unwrap();
        let expected = usize::from(nix::unistd::geteuid().is_root());
        assert_eq!(of_the_machine(&list, "host.example", 22).unwrap().len(), expected);
    }
}
