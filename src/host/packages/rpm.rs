//! What rpm knows: installed packages, and what a package file says of itself.

use std::path::Path;

use super::{Manager, PackageFacts, Packages, Version, failure, versionlock};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::Facts;
use crate::host::programs::{Invocation, Output};

/// What is asked about every package, one line each; made for parsing.
const FORMAT: &str = "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t[%{PROVIDENAME},]\\n";

fn parse(text: &str, locks: &[String]) -> Packages {
    let mut all = Packages::default();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (name, architecture, epoch, version, release, provides) = (next(), next(), next(), next(), next(), next());
        let package = PackageFacts {
            architecture: architecture.to_owned(),
            version: Version::rpm(epoch, version, release),
            held: versionlock::names(locks).any(|locked| locked == name),
            status: "installed".to_owned(),
        };
        all.add(name, package, provides.split(',').filter(|provided| !provided.is_empty() && *provided != name));
    }
    all
}

impl Facts {
    /// Everything rpm knows, and what is locked at its version.
    pub(super) fn ask_rpm(&self) -> Result<Packages> {
        let output = self.rpm(&["--query", "--all", "--queryformat", FORMAT])?;
        if !output.success() {
            return Err(failure::of("asking rpm what is installed", &output, &self.world.options.redactor));
        }
        Ok(parse(&output.text(), &self.version_locks()?.unwrap_or_default()))
    }

    /// Name and version of an `.rpm` file. Whether it is signed is not asked here: its digest is pinned, or it is the user's own.
    pub(super) fn rpm_file(&self, path: &Path) -> Result<(String, String)> {
        let shown = path.display().to_string();
        let format = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}";
        let asked = ["--query", "--nosignature", "--nodigest", "--queryformat", format, "--package", &shown];
        let output = self.rpm(&asked)?;
        let text = output.text();
        match text.split('\t').collect::<Vec<_>>().as_slice() {
            [name, epoch, version, release] if output.success() => {
                Ok(((*name).to_owned(), Version::rpm(epoch, version, release).to_string()))
            }
            _ => Err(Error::new(Kind::Failed, format!("`{shown}` is not an RPM package"))),
        }
        .doing(|| format!("reading `{shown}`"))
    }

    fn rpm(&self, arguments: &[&str]) -> Result<Output> {
        self.ask(&Invocation::new("rpm", arguments)).map_err(|error| match error.kind() {
            Kind::Missing => Manager::Dnf.absent(),
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpm_lines_become_facts() {
        let seen = "bash\tx86_64\t0\t5.2.15\t1.amzn2023\tbash,config(bash),/bin/sh,\n\
            openssl-libs\tx86_64\t1\t3.0.8\t1\topenssl-libs,libssl.so.3()(64bit),\n\
            gpg-pubkey\t(none)\t0\tabc\tdef\tgpg(x),\n";
        let all = parse(seen, &["openssl-libs-1:3.0.8-1.*".to_owned()]);
        assert_eq!(all.find("bash").unwrap().version.to_string(), "5.2.15-1.amzn2023");
        assert!(!all.find("bash").unwrap().held && all.find("openssl-libs").unwrap().held);
        assert_eq!(all.provider("/bin/sh"), Some("bash"));
        assert!(all.find("bash:x86_64").is_some() && all.find("bash:aarch64").is_none());
        assert!(all.interrupted().is_empty());
    }
}
