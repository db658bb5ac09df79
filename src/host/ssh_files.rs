//! What stands in the files of SSH: `authorized_keys`, `known_hosts`, private keys. Lines that are not ours stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::host_keys;
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

/// Algorithms of public keys that OpenSSH knows.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// The part of a public key's line that identifies it: algorithm and blob. Options may stand before, a comment after.
fn identity(line: &str) -> Option<(&str, &str)> {
    // Options may hold quoted blanks, so the algorithm is looked for; inside quotes none of these words can stand before a blob.
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [algorithm, blob] if ALGORITHMS.contains(algorithm) && names_itself(algorithm, blob) => Some((*algorithm, *blob)),
        _ => None,
    })
}

/// Whether the blob is one of this algorithm: it begins with the algorithm's name.
fn names_itself(algorithm: &str, blob: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(blob) else { return false };
    let length = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
    length == Some(algorithm.len()) && bytes.get(4..4 + algorithm.len()) == Some(algorithm.as_bytes())
}

/// The `authorized_keys` file that lets these keys in: those already there keep their place, others stay unless `exclusive`.
///
/// # Errors
/// `Playbook` for what is no public key.
pub fn authorized_keys(existing: Option<&[u8]>, keys: &[Sensitive], exclusive: bool) -> Result<Sensitive> {
    let mut wanted: Vec<String> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let refused = |why: &str| Error::new(Kind::Playbook, format!("entry {} of `keys` {why}", index + 1));
        let text = std::str::from_utf8(key.expose()).map_err(|_| refused("is no text"))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let of = identity(line).ok_or_else(|| {
                refused("is no public key").hint("a line such as `ssh-ed25519 AAAA… name`, with options before it or not")
            })?;
            wanted.retain(|other| identity(other) != Some(of));
            wanted.push(line.to_owned());
        }
    }
    let existing = existing.map(String::from_utf8_lossy).unwrap_or_default();
    let mut text = String::new();
    let mut left = wanted.clone();
    for line in existing.lines() {
        let of = identity(line);
        let ours = of.and_then(|of| wanted.iter().find(|wish| identity(wish) == Some(of)));
        match ours {
            Some(wish) => {
                // The first of several lines for one key is ours, the others go.
                if let Some(at) = left.iter().position(|other| other == wish) {
                    left.remove(at);
                    let _ = writeln!(text, "{wish}");
                }
            }
            None if exclusive && of.is_some() => {}
            None => {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    for line in left {
        let _ = writeln!(text, "{line}");
    }
    Ok(if keys.iter().any(Sensitive::is_secret) { Sensitive::Secret(Secret::new(text)) } else { Sensitive::Plain(text) })
}

/// The `known_hosts` file in which each of these servers has exactly its pinned keys. Hashed lines tell no name and stay.
///
/// # Errors
/// `Playbook` for a server without keys and for what is no key.
pub fn known_hosts(existing: Option<&[u8]>, hosts: &[String], keys: &BTreeMap<String, Vec<String>>) -> Result<String> {
    let pinned: Vec<(&str, Vec<String>)> = servers(hosts, keys)
        .into_iter()
        .map(|host| host_lines(host, keys.get(host)).map(|lines| (host, lines)))
        .collect::<Result<_>>()?;
    let existing = existing.map(String::from_utf8_lossy).unwrap_or_default();
    let mut there: Vec<String> = Vec::new();
    let mut text = String::new();
    for line in existing.lines() {
        let names = line.split_ascii_whitespace().next().unwrap_or_default();
        let ours = pinned.iter().find(|(host, _)| names.split(',').any(|name| name.eq_ignore_ascii_case(host)));
        // A line of ours that is not pinned would let an old key in: it goes.
        let wanted =
            ours.is_none_or(|(_, lines)| lines.iter().any(|wish| wish == line) && !there.iter().any(|known| known == line));
        if wanted {
            if ours.is_some() {
                there.push(line.to_owned());
            }
            let _ = writeln!(text, "{line}");
        }
    }
    for line in pinned.iter().flat_map(|(_, lines)| lines).filter(|line| !there.contains(line)) {
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}

/// All servers that are named, each once.
fn servers<'n>(hosts: &'n [String], keys: &'n BTreeMap<String, Vec<String>>) -> Vec<&'n str> {
    let mut names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    names.extend(keys.keys().map(String::as_str).filter(|name| !hosts.iter().any(|host| host == name)));
    names
}

/// What is wrong with these servers and keys, each in a sentence.
#[must_use]
pub fn known_hosts_problems(hosts: &[String], keys: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let lines = |host| host_lines(host, keys.get(host));
    servers(hosts, keys).into_iter().filter_map(|host| lines(host).err()).map(|error| error.to_string()).collect()
}

fn host_lines(host: &str, keys: Option<&Vec<String>>) -> Result<Vec<String>> {
    let refused = |why: String| Error::new(Kind::Playbook, why);
    if host.is_empty() || host.contains(|letter: char| letter.is_whitespace() || ",#|*?!".contains(letter)) {
        return Err(refused(format!("`{host}` is no name of a server")));
    }
    match keys {
        Some(keys) if keys.is_empty() => Err(refused(format!("no key is given for `{host}`"))),
        Some(keys) => keys
            .iter()
            .map(|key| match identity(key) {
                Some((algorithm, blob)) => Ok(format!("{host} {algorithm} {blob}")),
                None => Err(refused(format!("a key of `{host}` is none: `ssh-ed25519 AAAA…` is expected"))),
            })
            .collect(),
        None => {
            let built_in = host_keys::of(host)
                .ok_or_else(|| refused(format!("no keys are built in for `{host}`: give them under `keys`")))?;
            Ok(built_in.iter().map(|key| format!("{host} {} {}", key.algorithm, key.key)).collect())
        }
    }
}

/// A private key as OpenSSH reads it (line ends of its own kind, one after the last line), and the name its file has by custom.
///
/// # Errors
/// `Playbook` for what is no private key.
pub fn private_key(key: &Sensitive) -> Result<(Secret, &'static str)> {
    let refused = || {
        Error::new(Kind::Playbook, "what is given as `private_key` is no private key")
            .hint("the text of the key file, from its line `-----BEGIN … PRIVATE KEY-----` on, with its line breaks")
    };
    let text = std::str::from_utf8(key.expose()).map_err(|_| refused())?.trim();
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default();
    let kind = first.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("PRIVATE KEY-----")).ok_or_else(refused)?;
    if lines.clone().count() < 2 || !text.ends_with(&format!("-----END {kind}PRIVATE KEY-----")) {
        return Err(refused());
    }
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines() {
        whole.push_str(line.trim_end());
        whole.push('\n');
    }
    let name = match kind.trim() {
        "RSA" => "id_rsa",
        "EC" => "id_ecdsa",
        "OPENSSH" => openssh_name(lines),
        _ => "id_ed25519",
    };
    Ok((Secret::new(std::mem::take(&mut *whole).into_bytes()), name))
}

/// The customary file name for a key in OpenSSH's own format, whose public half stands near its beginning in the clear.
fn openssh_name<'l>(lines: impl Iterator<Item = &'l str>) -> &'static str {
    let body = Zeroizing::new(lines.take_while(|line| !line.starts_with('-')).collect::<String>());
    let bytes = Zeroizing::new(STANDARD.decode(body.as_bytes()).unwrap_or_default());
    let holds = |name: &str| bytes.windows(name.len()).take(200).any(|window| window == name.as_bytes());
    match () {
        () if holds("ssh-rsa") => "id_rsa",
        () if holds("ecdsa-sha2-") => "id_ecdsa",
        () => "id_ed25519",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";

    fn keys(existing: &str, keys: &[&str], exclusive: bool) -> String {
        let keys: Vec<Sensitive> = keys.iter().map(|key| Sensitive::from(*key)).collect();
        let text = authorized_keys(Some(existing.as_bytes()), &keys, exclusive).unwrap();
        String::from_utf8(text.expose().to_vec()).unwrap()
    }

    #[test]
    fn keys_are_added_once_and_others_stay_unless_exclusive() {
        let existing = format!("# by hand\n{A} old name\n{B} b\n");
        assert_eq!(keys(&existing, &[&format!("{A} a")], false), format!("# by hand\n{A} a\n{B} b\n"));
        assert_eq!(keys(&existing, &[&format!("{A} a")], true), format!("# by hand\n{A} a\n"));
        let options = format!("from=\"10.0.0.0/8\",command=\"run it\" {A} a");
        assert_eq!(keys("", &[&format!("{options}\n\n{B}\n")], false), format!("{options}\n{B}\n"));
        assert_eq!(keys(&format!("{A}\n{A} twice"), &[A], false), format!("{A}\n"));
        let wrong = authorized_keys(None, &["ssh-ed25519 AAAA".into()], false).unwrap_err();
        assert_eq!(wrong.kind(), Kind::Playbook);
    }

    #[test]
    fn a_server_has_exactly_its_pinned_keys() {
        let hosts = vec!["github.com".to_owned()];
        let mut own = BTreeMap::new();
        own.insert("git.example.com".to_owned(), vec![B.to_owned()]);
        let existing = format!("other {B}\ngithub.com {B}\n|1|hash= {B}\n");
        let text = known_hosts(Some(existing.as_bytes()), &hosts, &own).unwrap();
        assert!(text.starts_with(&format!("other {B}\n|1|hash= {B}\ngithub.com {A}\n")), "{text}");
        assert!(text.ends_with(&format!("git.example.com {B}\n")));
        assert_eq!(text.lines().count(), 6);
        assert_eq!(known_hosts(Some(text.as_bytes()), &hosts, &own).unwrap(), text);
        let unknown = vec!["git.example.org".to_owned(), "a b".to_owned()];
        assert_eq!(known_hosts_problems(&unknown, &own).len(), 2);
        assert!(known_hosts_problems(&hosts, &own).is_empty());
    }

    #[test]
    fn private_keys_are_put_right_and_named_by_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, name) in [("ed25519", "id_ed25519"), ("ecdsa", "id_ecdsa"), ("rsa", "id_rsa")] {
            let file = folder.path().join(kind);
            let made = std::process::Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(&file).status();
            if !made.is_ok_and(|status| status.success()) {
                crate::host::fakes::skipped("there is no ssh-keygen");
                return;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let untidy = text.trim_end().replace('\n', "\r\n");
            let (key, found) = private_key(&Sensitive::Secret(Secret::new(untidy))).unwrap();
            assert_eq!((key.expose(), found), (text.as_bytes(), name));
        }
        let error = private_key(&"hunter2hunter2".into()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(private_key(&"-----BEGIN X PRIVATE KEY-----\n-----END X PRIVATE KEY-----".into()).is_err());
    }
}
