//! The public keys that may log in as a user.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use crate::error::Result;
use crate::host::files::{FileKind, NewFile};
use crate::host::ssh_files;
use crate::host::{Facts, Host};
use crate::secret::{SENSITIVE_MARKER, Secret, Sensitive};
use crate::step::fields::account_name_problem;
use crate::step::ssh_folder::{self, SshChange};
use crate::step::{Finding, Step, Thing, Touches};

/// The public keys that may log in as a user, in `~/.ssh/authorized_keys` (0600, in a directory 0700). Options before a key are
/// kept as they are written.
///
/// ```yaml
/// - authorized_keys:
///     user: ubuntu
///     keys:
///       - ssh-ed25519 AAAA… someone@example.com
///       - "{{ secrets.team_keys }}"
/// ```
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizedKeys {
    /// Who they log in as.
    user: String,
    /// The keys: lines as in the file, one or several per entry.
    keys: Keys,
    /// Whether other keys are removed.
    #[serde(default)]
    exclusive: bool,
}

/// A list of keys, or one text that holds some.
#[derive(Debug)]
struct Keys(Vec<Sensitive>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a public key, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Keys, E> {
                Ok(Keys(vec![text.into()]))
            }

            /// Bytes are how the value's deserialiser hands over a secret.
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Keys, E> {
                Ok(Keys(vec![Sensitive::Secret(Secret::new(bytes))]))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Keys, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = list.next_element()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_newtype_struct(SENSITIVE_MARKER, OneOrMany)
    }
}

impl JsonSchema for Keys {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Sensitive>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl AuthorizedKeys {
    fn wish(&self, facts: &Facts) -> Result<NewFile> {
        let path = ssh_folder::path(facts, &self.user)?.join("authorized_keys");
        // What a link there leads to is somebody else's file: it is replaced, not read.
        let there = facts.look(&path)?.is_some_and(|there| matches!(there.kind, FileKind::File(_)));
        let existing = if there { facts.read(&path)? } else { None };
        let content = ssh_files::authorized_keys(existing.as_deref(), &self.keys.0, self.exclusive)?;
        Ok(NewFile { path, content, owner: Some(self.user.clone()), group: None, mode: 0o600 })
    }
}

impl Step for AuthorizedKeys {
    const KIND: &'static str = "authorized_keys";
    const EXAMPLE: &'static str = "steps:
  - authorized_keys:
      user: ubuntu
      keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHg1Bf5bQVVIWFbNp9DpiTuR3zbpCTMFXkoLQXM9Cqm1 first@example.com]
";
    type Change = SshChange;

    fn touches(&self) -> Touches {
        Touches::nothing().read(Thing::User(self.user.clone())).write_in_home(&self.user, ".ssh/authorized_keys")
    }

    fn problems(&self) -> Vec<String> {
        account_name_problem(&self.user).into_iter().collect()
    }

    fn check(&self, facts: &Facts) -> Result<Finding<SshChange>> {
        let mut finding = Finding::done();
        ssh_folder::check(facts, &self.user, &mut finding)?;
        let wish = self.wish(facts)?;
        facts.compare_into(&wish, &mut finding)?;
        finding.fingerprint = Some(wish.fingerprint());
        Ok(finding)
    }

    fn apply(&self, change: &SshChange, host: &Host) -> Result<()> {
        match change {
            SshChange::Folder(folder) => ssh_folder::close(host, folder, &self.user),
            SshChange::File(_) => host.write_file(&self.wish(host)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::error::Kind;
    use crate::host::fakes::Machine;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    /// A machine whose `ubuntu` is whoever runs the tests, so that files can be given to them.
    fn machine() -> Machine {
        let machine = Machine::new();
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let home = machine.path("home/ubuntu");
        machine.write("etc/passwd", &format!("ubuntu:x:{uid}:{gid}::{}:/bin/bash\n", home.display()));
        machine
    }

    fn step(keys: &str, rest: &str) -> AuthorizedKeys {
        serde_json::from_str(&format!(r#"{{"user": "ubuntu", "keys": {keys}{rest}}}"#)).unwrap()
    }

    fn settle(step: &AuthorizedKeys, machine: &Machine) -> usize {
        let found = step.check(&machine.facts()).unwrap();
        found.changes.iter().for_each(|planned| step.apply(&planned.change, &machine.host()).unwrap());
        assert!(step.check(&machine.facts()).unwrap().is_done());
        found.changes.len()
    }

    #[test]
    fn keys_get_their_closed_file_in_their_closed_folder() {
        let machine = machine();
        assert_eq!(settle(&step(&format!(r#"["{KEY} a"]"#), ""), &machine), 2);
        let file = machine.path("home/ubuntu/.ssh/authorized_keys");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        machine.write("home/ubuntu/.ssh/authorized_keys", &format!("# by hand\n{KEY} b\n"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(settle(&step(&format!(r#""{KEY} a\n""#), ""), &machine), 1);
        assert_eq!(machine.content("home/ubuntu/.ssh/authorized_keys"), format!("# by hand\n{KEY} a\n"));
    }

    #[test]
    fn a_missing_user_and_a_wrong_key_are_errors() {
        let machine = machine();
        assert_eq!(step(r#"["nonsense"]"#, "").check(&machine.facts()).unwrap_err().kind(), Kind::Playbook);
        let nobody: AuthorizedKeys = serde_json::from_str(r#"{"user": "ghost", "keys": []}"#).unwrap();
        assert_eq!(nobody.check(&machine.facts()).unwrap_err().kind(), Kind::Missing);
    }
}
