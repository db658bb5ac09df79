//! Where a repository is: the ways people write it, and what we refuse before a byte is sent.

use std::path::PathBuf;
use std::str::FromStr;

/// A repository's address, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `git@host:path`, `ssh://git@host:port/path`.
    Ssh {
        /// Login name on the server.
        user: String,
        /// Host name, lower case.
        host: String,
        /// Port.
        port: u16,
        /// Path as the server gets it.
        path: String,
    },
    /// `https://host/path`.
    Https {
        /// Host name with its port, if one was written.
        host: String,
        /// The whole address.
        url: String,
    },
    /// `/path` or `file:///path`, on this machine.
    Local(PathBuf),
}

impl Address {
    /// The server's name with its port where that is unusual; `None` on this machine. Credentials go to this host only.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Ssh { host, port: 22, .. } | Self::Https { host, .. } => Some(host.clone()),
            Self::Ssh { host, port, .. } => Some(format!("[{host}]:{port}")),
            Self::Local(_) => None,
        }
    }

    /// The same address in the one form that libgit2 routes by scheme.
    #[must_use]
    pub fn as_url(&self) -> String {
        match self {
            Self::Ssh { user, host, port, path } => {
                format!("ssh://{user}@{host}:{port}{}{path}", if path.starts_with('/') { "" } else { "/~/" })
            }
            Self::Https { url, .. } => url.clone(),
            Self::Local(path) => path.display().to_string(),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err(format!("`{}` holds white space, an address does not", text.escape_debug()));
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            return ssh_url(text, rest);
        }
        if let Some(rest) = text.strip_prefix("https://") {
            return https_url(text, rest);
        }
        if let Some(path) = text.strip_prefix("file://").or_else(|| text.starts_with('/').then_some(text)) {
            return if path.starts_with('/') {
                Ok(Self::Local(path.into()))
            } else {
                Err(format!("`{text}` names no absolute path"))
            };
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("`{scheme}://` is neither encrypted nor signed; use `https://` or `ssh://`"));
        }
        short_ssh(text)
    }
}

/// `ssh://[user@]host[:port]/path`.
fn ssh_url(text: &str, rest: &str) -> Result<Address, String> {
    let wrong = || format!("`{text}` is not an address such as `ssh://git@host:22/team/project.git`");
    let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
    let (user, place) = authority.rsplit_once('@').unwrap_or(("git", authority));
    if user.contains(':') {
        return Err("a password does not belong into an address".to_owned());
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (place, 22),
    };
    // `/~/` is how a path relative to the login's home is written in this form.
    let path = match path.strip_prefix("~/") {
        Some(relative) => relative.to_owned(),
        None => format!("/{path}"),
    };
    checked_ssh(user, host, port, path).ok_or_else(wrong)
}

/// `[user@]host:path`, as `scp` writes it.
fn short_ssh(text: &str) -> Result<Address, String> {
    let wrong = || format!("`{text}` is not the address of a repository, such as `git@host:team/project.git`");
    let (authority, path) = text.split_once(':').ok_or_else(wrong)?;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("git", authority));
    checked_ssh(user, host, 22, path.to_owned()).ok_or_else(wrong)
}

fn checked_ssh(user: &str, host: &str, port: u16, path: String) -> Option<Address> {
    let host_is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let fine = host_is_plain && !host.is_empty() && !host.starts_with('-') && !user.is_empty() && path.len() > 1 && port != 0;
    fine.then(|| Address::Ssh { user: user.to_owned(), host: host.to_ascii_lowercase(), port, path })
}

fn https_url(text: &str, rest: &str) -> Result<Address, String> {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.contains('@') {
        return Err("a name or password does not belong into an address; a token goes under `token:`".to_owned());
    }
    if host.is_empty() || path.is_empty() || text.contains(['?', '#']) {
        return Err("an address over HTTPS is `https://host/path`".to_owned());
    }
    Ok(Address::Https { host: host.to_ascii_lowercase(), url: text.trim_end_matches('/').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let ssh = |user: &str, host: &str, port, path: &str| Address::Ssh {
            user: user.into(),
            host: host.into(),
            port,
            path: path.into(),
        };
        for (text, expected) in [
            ("git@bitbucket.org:team/project.git", ssh("git", "bitbucket.org", 22, "team/project.git")),
            ("ssh://git@Host.example:2222/srv/p.git", ssh("git", "host.example", 2222, "/srv/p.git")),
            ("ssh://deploy@host/~/p.git", ssh("deploy", "host", 22, "p.git")),
            ("host:p.git", ssh("git", "host", 22, "p.git")),
            ("/srv/p.git", Address::Local("/srv/p.git".into())),
            ("file:///srv/p.git", Address::Local("/srv/p.git".into())),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address, expected, "{text}");
            // Our own form is read back as the same place: libgit2 hands it to the transport as text.
            assert_eq!(address.as_url().parse::<Address>().unwrap(), expected, "{text}");
        }
        assert_eq!("https://host:8443/a/b.git".parse::<Address>().unwrap().host().as_deref(), Some("host:8443"));
    }

    #[test]
    fn what_is_not_safe_or_not_an_address_is_refused() {
        for wrong in [
            "http://host/p.git",
            "git://host/p.git",
            "ext::sh -c id",
            "https://token@host/p.git",
            "ssh://git:pass@host/p.git",
            "git@-oProxyCommand=id:p",
            "git@host:",
            "project",
            "file://relative",
            "ssh://host:port/p",
            "https://host",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
