//! Which of the packages that were asked for do not exist, said in words that help: one misspelt name fails the whole list, and
//! what the package manager says then is prose.

use std::collections::HashSet;

use super::{NamedPackage, Version};
use crate::error::{Error, Kind, Result};

/// Names less alike than this are no help.
const ALIKE: f64 = 0.85;

/// What the repositories of this machine have.
pub(super) trait Offer {
    /// The names of all packages.
    fn names(&self) -> HashSet<&str>;

    /// Whether some package provides this name, which is none's own.
    fn provides(&self, name: &str) -> Result<bool>;

    /// The versions of this package.
    fn versions(&self, name: &str) -> Result<Vec<Version>>;

    /// Where repositories are configured.
    fn place(&self) -> &'static str;
}

/// The names that no repository knows, or have no such version, as an error; `None` when all of them exist.
pub(super) fn among(names: &[NamedPackage], offer: &dyn Offer) -> Result<Option<Error>> {
    let all = offer.names();
    let (mut unknown, mut hint) = (Vec::new(), None);
    for package in names {
        let wanted = package.name.split(':').next().unwrap_or_default();
        if !all.contains(wanted) {
            if offer.provides(wanted)? {
                continue;
            }
            let near = all.iter().map(|known| (strsim::jaro_winkler(known, wanted), *known)).max_by(|a, b| a.0.total_cmp(&b.0));
            if let (None, Some((likeness, near))) = (&hint, near) {
                hint = (likeness > ALIKE).then(|| format!("did you mean `{near}`?"));
            }
            unknown.push(format!("`{wanted}`"));
        } else if let Some(version) = &package.version {
            let versions = offer.versions(wanted)?;
            if !versions.iter().any(|version| version.is_wanted_by(package)) {
                unknown.push(format!("`{wanted}` in version `{version}`"));
                hint.get_or_insert(match versions.as_slice() {
                    [] => format!("`{wanted}` is named by others only; no repository has it"),
                    some => format!("there is {}", some.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")),
                });
            }
        }
    }
    if unknown.is_empty() {
        return Ok(None);
    }
    let noun = if unknown.len() == 1 { "package" } else { "packages" };
    let error = Error::new(Kind::Missing, format!("no repository of this machine has {noun} {}", unknown.join(", ")));
    Ok(Some(error.hint(hint.unwrap_or_else(|| format!("is its repository configured (`{}`)?", offer.place())))))
}
