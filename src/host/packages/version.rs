//! A version in every form in which a playbook may ask for it.

use std::fmt;

use super::NamedPackage;

/// A version; the first form is the whole one, which is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Vec<String>);

impl Version {
    /// As dpkg writes it.
    pub fn debian(text: &str) -> Self {
        Self(vec![text.to_owned()])
    }

    /// As rpm keeps it. Nobody writes an epoch of 0, and hardly anybody a release.
    pub fn rpm(epoch: &str, version: &str, release: &str) -> Self {
        let whole = format!("{version}-{release}");
        Self(match epoch {
            "" | "0" | "(none)" => vec![whole, version.to_owned()],
            epoch => vec![format!("{epoch}:{whole}"), whole, format!("{epoch}:{version}"), version.to_owned()],
        })
    }

    /// Whether it is one that was asked for.
    pub fn is_wanted_by(&self, package: &NamedPackage) -> bool {
        self.0.iter().any(|form| package.accepts(form))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpm_may_be_asked_for_without_epoch_and_release() {
        let fits = |version: &Version, asked: &str| version.is_wanted_by(&asked.parse().unwrap());
        let plain = Version::rpm("0", "1.24.0", "1.amzn2023");
        assert_eq!(plain.to_string(), "1.24.0-1.amzn2023");
        for asked in ["nginx", "nginx=1.24.0", "nginx=1.24.*", "nginx=1.24.0-1.amzn2023", "nginx=1.24.0-1*"] {
            assert!(fits(&plain, asked), "{asked}");
        }
        assert!(!fits(&plain, "nginx=1.24") && !fits(&plain, "nginx=1.24.0-2*"));
        let epoch = Version::rpm("1", "3.0.8", "1");
        assert_eq!(epoch.to_string(), "1:3.0.8-1");
        assert!(["a1=1:3.0.8-1", "a1=3.0.8-1", "a1=1:3.0.*", "a1=3.0.8"].iter().all(|asked| fits(&epoch, asked)));
        assert!(!fits(&Version::debian("1:2.0-1"), "a1=2.0*"), "apt wants the epoch");
    }
}
