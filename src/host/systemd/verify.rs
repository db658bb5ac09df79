//! Tries a unit file out before it goes live: `systemd-analyze verify` on a copy. What systemd would only warn about (an unknown
//! key, which is then ignored) is an error here, because nobody reads those warnings.

use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::host::programs::Invocation;

/// A folder of our own below `/run`, `/tmp` or wherever temporary files go, removed again when we are done with it.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = format!("bootstrap-agent-verify-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        // Fails when somebody else made it first.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Host {
    /// Whether systemd accepts this text as this unit, or as a drop-in for it. Where there is no `systemd-analyze`, it is not asked.
    ///
    /// # Errors
    /// `Failed`, with what systemd says about the file.
    pub fn verify_unit(&self, unit: &str, text: &str, is_dropin: bool) -> Result<()> {
        if self.program("systemd-analyze").is_none() {
            return Ok(());
        }
        let scratch = Scratch::new()?;
        let path = scratch.0.join(unit);
        std::fs::write(&path, text)?;
        let shown = path.display().to_string();
        // Only this file: what is wrong with units it depends on is not this step's business, nor are manual pages.
        let asked = Invocation::new("systemd-analyze", &["verify", "--man=no", &shown]);
        let output = self.ask(&asked)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let complaints = complaints(&said, &scratch.0, unit, is_dropin);
        if complaints.is_empty() {
            return Ok(());
        }
        let why = format!("systemd does not accept `{unit}`: {}", complaints.join("; "));
        Err(Error::new(Kind::Failed, self.world.options.redactor.clean(&why).into_owned()))
    }
}

/// The lines that are about this file: `/tmp/x/a.service:3: Unknown key …`, `a.service: Service has no ExecStart=…`. The latter
/// kind is about a unit as a whole, which a drop-in alone is not.
fn complaints(said: &str, folder: &Path, unit: &str, is_dropin: bool) -> Vec<String> {
    let place = format!("{}/", folder.display());
    said.lines()
        .filter_map(|line| {
            let line = line.replace(&place, "");
            let about_it = line.strip_prefix(unit)?.strip_prefix(':')?.trim().to_owned();
            // The program may be brought by a later package, or by this very run: starting it will tell.
            let later = about_it.contains("is not executable") || about_it.contains("not found") && about_it.contains("Command");
            if later || about_it.is_empty() {
                return None;
            }
            match about_it.split_once(": ") {
                Some((line, what)) if line.parse::<u32>().is_ok() => Some(format!("line {line}: {what}")),
                _ => (!is_dropin).then_some(about_it),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complaints_about_the_file_count() {
        let said = "/tmp/v/app.service:5: Unknown key name 'Restrat' in section 'Service', ignoring.\n\
            app.service: Command /opt/app/run is not executable: No such file or directory\n\
            other.service:1: Unknown key name 'x', ignoring.\n";
        let found = complaints(said, Path::new("/tmp/v"), "app.service", false);
        assert_eq!(found, ["line 5: Unknown key name 'Restrat' in section 'Service', ignoring."]);
        let alone = "app.service: Service has no ExecStart= setting. Refusing.\n";
        assert_eq!(complaints(alone, Path::new("/tmp/v"), "app.service", false).len(), 1);
        assert!(complaints(alone, Path::new("/tmp/v"), "app.service", true).is_empty());
    }
}
