//! A private SSH key on the disk, for programs that can take it from nowhere else.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::files::NewFile;
use crate::host::ssh_files;
use crate::host::{Facts, Host};
use crate::secret::Sensitive;
use crate::step::fields::{AbsolutePath, account_name_problem};
use crate::step::ssh_folder::{self, SshChange};
use crate::step::{Finding, Step, Thing, Touches};

/// A private SSH key in a user's `~/.ssh` (0600, in a directory 0700), and its public half when given. The `git` step does not
/// need one: it uses its key from memory.
///
/// ```yaml
/// - ssh_key: { user: ubuntu, private_key: "{{ secrets.deploy_key }}" }
/// ```
///
/// Outputs: `path`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshKey {
    /// Whose key it is.
    user: String,
    /// The text of the key.
    private_key: Sensitive,
    /// The text of its public half, written beside it with `.pub`.
    public_key: Option<Sensitive>,
    /// The file; `~/.ssh/id_ed25519`, `id_ecdsa` or `id_rsa` by the key's kind unless told.
    path: Option<AbsolutePath>,
}

impl SshKey {
    /// The files as they shall be: the private key first.
    fn wishes(&self, facts: &Facts) -> Result<Vec<NewFile>> {
        let (private, name) = ssh_files::private_key(&self.private_key)?;
        let path = match &self.path {
            Some(path) => path.as_path().to_owned(),
            None => ssh_folder::path(facts, &self.user)?.join(name),
        };
        let file = |path, content, mode| NewFile { path, content, owner: Some(self.user.clone()), group: None, mode };
        let mut beside = path.clone().into_os_string();
        beside.push(".pub");
        let mut wishes = vec![file(path, Sensitive::Secret(private), 0o600)];
        wishes.extend(self.public_key.clone().map(|public| file(beside.into(), public, 0o644)));
        Ok(wishes)
    }
}

impl Step for SshKey {
    const KIND: &'static str = "ssh_key";
    const EXAMPLE: &'static str = r#"secrets:
  deploy_key: ssm:/app/deploy-key
steps:
  - ssh_key: { user: ubuntu, private_key: "{{ secrets.deploy_key }}" }
"#;
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[("path", "Where the private key is.")];
    type Change = SshChange;

    fn touches(&self) -> Touches {
        let touches = Touches::nothing().read(Thing::User(self.user.clone()));
        match &self.path {
            Some(path) => touches.write_path(path.as_path()),
            // The file's name is known only from the key.
            None => touches.write_in_home(&self.user, ".ssh"),
        }
    }

    fn problems(&self) -> Vec<String> {
        account_name_problem(&self.user).into_iter().collect()
    }

    fn check(&self, facts: &Facts) -> Result<Finding<SshChange>> {
        let mut finding = Finding::done();
        // A file elsewhere is in a directory that is somebody else's business.
        if self.path.is_none() {
            ssh_folder::check(facts, &self.user, &mut finding)?;
        }
        let wishes = self.wishes(facts)?;
        for wish in &wishes {
            facts.compare_into(wish, &mut finding)?;
        }
        let Some(private) = wishes.first() else { return Ok(finding) };
        finding.fingerprint = Some(private.fingerprint());
        Ok(finding.with_output("path", private.path.display().to_string()))
    }

    fn apply(&self, change: &SshChange, host: &Host) -> Result<()> {
        match change {
            SshChange::Folder(folder) => ssh_folder::close(host, folder, &self.user),
            SshChange::File(change) => {
                let wish = self.wishes(host)?.into_iter().find(|wish| wish.path == change.path());
                host.write_file(&wish.ok_or_else(|| Error::new(Kind::Bug, "a change to a file that is none of this step's"))?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;
    use crate::secret::Secret;

    const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nbm90IHJlYWxs\neSBhIGtleQ==\n-----END RSA PRIVATE KEY-----";

    #[test]
    fn a_key_is_written_closed_and_never_shown() {
        let machine = Machine::new();
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let home = machine.path("home/ubuntu");
        machine.write("etc/passwd", &format!("ubuntu:x:{uid}:{gid}::{}:/bin/bash\n", home.display()));
        let mut step: SshKey =
            serde_json::from_str(r#"{"user": "ubuntu", "private_key": "", "public_key": "ssh-rsa AAAA x\n"}"#).unwrap();
        assert_eq!(step.check(&machine.facts()).unwrap_err().kind(), Kind::Playbook);
        step.private_key = Sensitive::Secret(Secret::new(KEY));
        let found = step.check(&machine.facts()).unwrap();
        assert_eq!(found.changes.len(), 3);
        for planned in &found.changes {
            assert!(!format!("{} {:?}", planned.change, planned.diff).contains("bm90"));
            step.apply(&planned.change, &machine.host()).unwrap();
        }
        assert!(step.check(&machine.facts()).unwrap().is_done());
        assert_eq!(machine.content("home/ubuntu/.ssh/id_rsa"), format!("{KEY}\n"));
        assert_eq!(machine.content("home/ubuntu/.ssh/id_rsa.pub"), "ssh-rsa AAAA x\n");
        assert_eq!(machine.facts().look(&home.join(".ssh/id_rsa")).unwrap().unwrap().mode, 0o600);
    }
}
