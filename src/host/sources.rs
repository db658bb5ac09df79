//! Bytes that steps take from S3, fetched once per run: what a re-check compares with is what was written.

use std::path::Path;

use super::documents::{Beside, archive};
use super::{Answer, Facts};
use crate::error::{Error, Kind, Result};
use crate::secret::{Secret, Sensitive};

impl Facts {
    /// The content of the object; unknown where AWS may not be asked.
    ///
    /// # Errors
    /// `Missing` or `Denied` with its name; whatever the service says.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Answer<Secret>> {
        let name = format!("s3://{bucket}/{key}");
        if !self.world.options.online {
            return Ok(Answer::Unknown(format!("cannot tell what `{name}` holds without asking AWS (`--online`)")));
        }
        let fetch = || Ok(Secret::new(self.world.aws.until(self.deadline()).object(bucket, key)?.bytes));
        let bytes = self.world.resolved.get(&name, fetch)?;
        Ok(Answer::Known((*bytes).clone()))
    }

    /// What a file beside the playbook holds.
    ///
    /// # Errors
    /// `Playbook` when there is none.
    pub fn read_beside(&self, path: &Path) -> Result<Vec<u8>> {
        let Beside::Folder(folder) = self.beside() else { return self.beside().read(path, archive::LARGEST) };
        // The folder may be a user's, in which root does not work.
        let path = folder.join(path);
        self.read(&path)?.ok_or_else(|| Error::new(Kind::Playbook, format!("there is no file `{}`", path.display())))
    }

    /// The sha256 of these bytes, in hexadecimal.
    #[must_use]
    pub fn digest(&self, bytes: &Sensitive) -> String {
        use sha2::Digest as _;
        use std::fmt::Write as _;
        sha2::Sha256::digest(bytes.expose()).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn offline_nobody_is_asked() {
        let mut machine = Machine::new();
        machine.online = false;
        let Answer::Unknown(why) = machine.facts().object("bucket", "key").unwrap() else { panic!("asked") };
        assert!(why.contains("s3://bucket/key"));
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(machine.facts().digest(&"test".into()), digest);
    }
}
