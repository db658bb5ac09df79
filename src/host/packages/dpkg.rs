//! What dpkg knows: installed packages, what a package file says of itself, whether it was stopped in the middle.

use std::path::Path;

use super::{Manager, PackageFacts, Packages, Version, apt, archive, failure};
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::Facts;
use crate::host::programs::Invocation;

/// What is asked of `dpkg-query` about every package, one line each; made for parsing.
const FORMAT: &str = "${Package}\\t${Architecture}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\t${Provides}\\n";

fn parse(text: &str) -> Packages {
    let mut all = Packages::default();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (name, architecture, version, want, status, provides) = (next(), next(), next(), next(), next(), next());
        let package = PackageFacts {
            architecture: architecture.to_owned(),
            version: Version::debian(version),
            held: want == "hold",
            status: status.to_owned(),
        };
        all.add(name, package, provides.split(',').filter_map(|entry| entry.split_whitespace().next()));
    }
    all
}

impl Facts {
    /// Everything dpkg knows.
    pub(super) fn ask_dpkg(&self) -> Result<Packages> {
        let asked = Invocation::new("dpkg-query", &["--show", "--showformat", FORMAT]);
        let output = self.ask(&asked).map_err(|error| match error.kind() {
            Kind::Missing => Manager::Apt.absent(),
            _ => error,
        })?;
        // dpkg-query ends with 1 when nothing at all is installed, and says nothing then.
        if !output.success() && !output.stderr.is_empty() {
            return Err(failure::of("asking dpkg what is installed", &output, &self.world.options.redactor));
        }
        Ok(parse(&output.text()))
    }

    /// Name and version of a `.deb` file.
    pub(super) fn deb_file(&self, path: &Path) -> Result<(String, String)> {
        let shown = path.display().to_string();
        let asked = Invocation::new("dpkg-deb", &["--ctrl-tarfile", &shown]);
        let output = self.ask(&asked).map_err(|error| match error.kind() {
            Kind::Missing => Manager::Apt.absent(),
            _ => error,
        })?;
        let field = |name| archive::control_field(&output.stdout, name);
        match (field("Package"), field("Version")) {
            (Some(name), Some(version)) if output.success() => Ok((name, version)),
            _ => Err(Error::new(Kind::Failed, format!("`{shown}` is not a Debian package"))),
        }
        .doing(|| format!("reading `{shown}`"))
    }

    /// Whether dpkg was stopped before it had written its journal down.
    pub(super) fn dpkg_was_interrupted(&self) -> Result<bool> {
        Ok(!self.packages()?.interrupted().is_empty() || apt::has_journal(Path::new("/var/lib/dpkg/updates")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "nginx\tamd64\t1.22.1-9\thold\tinstalled\thttpd, httpd-cgi (= 1)\n\
        mawk\tamd64\t1.3.4\tinstall\tinstalled\tawk\n\
        gone\tamd64\t2\tdeinstall\tconfig-files\tghost\n\
        broken\tamd64\t1\tinstall\thalf-configured\t\n\
        libc6\tamd64\t2.36\tinstall\tinstalled\t\n\
        libc6\ti386\t2.35\tinstall\tinstalled\t\n";

    #[test]
    fn dpkg_lines_become_facts() {
        let all = parse(SEEN);
        let nginx = all.find("nginx").unwrap();
        assert!(nginx.held && nginx.is_installed());
        assert_eq!(nginx.version.to_string(), "1.22.1-9");
        assert_eq!(all.find("libc6:i386").unwrap().version.to_string(), "2.35");
        assert!(all.find("libc6:arm64").is_none());
        assert!(all.find("gone").is_none(), "configuration files left behind are not a package");
        assert_eq!(all.interrupted(), ["broken"]);
        assert_eq!(all.provider("httpd-cgi"), Some("nginx"));
        assert_eq!(all.provider("ghost"), None);
    }
}
