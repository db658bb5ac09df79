//! The SSH servers whose keys are known.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::compare::FileChange;
use crate::host::files::NewFile;
use crate::host::ssh_files;
use crate::host::{Facts, Host};
use crate::step::fields::AbsolutePath;
use crate::step::{Finding, Step, Touches};

/// The SSH servers whose keys are known to programs on this machine. The published keys of `github.com`, `gitlab.com` and
/// `bitbucket.org` are built in; those of any other server are given. Nothing is ever asked of the server itself.
///
/// ```yaml
/// - known_hosts: [bitbucket.org]
/// - known_hosts:
///     keys: { "[git.example.com]:2222": [ssh-ed25519 AAAA…] }
/// ```
///
/// Each server named has exactly these keys afterwards; lines of other servers stay. Hashed lines tell no name and stay too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownHosts {
    /// Servers by name.
    #[serde(default)]
    hosts: Vec<String>,
    /// Keys by server, in place of built-in ones.
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
    /// The file; every user's unless told.
    #[serde(default = "of_the_machine")]
    path: AbsolutePath,
    /// Who owns the file; unless told, root or whose tree it is in.
    owner: Option<String>,
}

fn of_the_machine() -> AbsolutePath {
    AbsolutePath::from_absolute("/etc/ssh/ssh_known_hosts")
}

impl KnownHosts {
    fn wish(&self, facts: &Facts) -> Result<NewFile> {
        let existing = facts.read(&self.path)?;
        let content = ssh_files::known_hosts(existing.as_deref(), &self.hosts, &self.keys)?.into();
        Ok(NewFile { path: self.path.as_path().to_owned(), content, owner: self.owner.clone(), group: None, mode: 0o644 })
    }
}

impl Step for KnownHosts {
    const KIND: &'static str = "known_hosts";
    const SHORTHAND: Option<&'static str> = Some("hosts");
    const EXAMPLE: &'static str = "steps:
  - known_hosts: [github.com, bitbucket.org]
";
    type Change = FileChange;

    fn touches(&self) -> Touches {
        Touches::nothing().read_path(&*self.path).write_path(&*self.path).read_user(self.owner.as_deref())
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = ssh_files::known_hosts_problems(&self.hosts, &self.keys);
        if self.hosts.is_empty() && self.keys.is_empty() {
            problems.push("no server is named: give `hosts`, `keys` or both".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<FileChange>> {
        let wish = self.wish(facts)?;
        let mut finding = Finding::done();
        facts.compare_into(&wish, &mut finding)?;
        finding.fingerprint = Some(wish.fingerprint());
        Ok(finding)
    }

    fn apply(&self, _: &FileChange, host: &Host) -> Result<()> {
        // A machine without an SSH client has no such folder yet.
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if host.look(folder)?.is_none() {
            host.make_directory(folder, &crate::host::write::Attributes::default())?;
        }
        host.write_file(&self.wish(host)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn built_in_and_given_keys_are_written_and_stale_ones_go() {
        let machine = Machine::new();
        let path = machine.path("etc/ssh/known");
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";
        let json = format!(
            r#"{{"path": "{}", "hosts": ["bitbucket.org"], "keys": {{"[git.local]:22": ["ssh-ed25519 {blob}"]}}}}"#,
            path.display()
        );
        let step: KnownHosts = serde_json::from_str(&json).unwrap();
        assert!(step.problems().is_empty());
        for before in [None, Some(format!("mine ssh-ed25519 {blob}\nbitbucket.org ssh-ed25519 {blob}\n"))] {
            if let Some(text) = &before {
                machine.write("etc/ssh/known", text);
            }
            let found = step.check(&machine.facts()).unwrap();
            step.apply(&found.changes[0].change, &machine.host()).unwrap();
            assert!(step.check(&machine.facts()).unwrap().is_done());
            let text = machine.content("etc/ssh/known");
            assert_eq!(text.lines().filter(|line| line.starts_with("bitbucket.org ")).count(), 3);
            assert!(!text.contains(&format!("bitbucket.org ssh-ed25519 {blob}")) && text.contains("[git.local]:22 ssh-ed25519"));
            assert_eq!(text.starts_with("mine "), before.is_some());
        }
    }

    #[test]
    fn an_unknown_server_needs_its_keys() {
        let step: KnownHosts = serde_json::from_str(r#"{"hosts": ["git.example.com"]}"#).unwrap();
        assert!(step.problems()[0].contains("git.example.com"));
        assert_eq!(step.path.to_string(), "/etc/ssh/ssh_known_hosts");
    }
}
