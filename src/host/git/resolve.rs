//! What a revision means on the server right now: a branch, a tag or a commit.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// A commit, and the name it was found under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The commit, all 40 digits.
    pub commit: String,
    /// `refs/heads/…` or `refs/tags/…`; nothing when the commit itself was asked for.
    pub reference: Option<String>,
}

impl Resolved {
    /// The branch that is followed, if it is one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.reference.as_deref()?.strip_prefix("refs/heads/")
    }
}

/// One line of what the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `HEAD`, `refs/heads/main`, `refs/tags/v1`, `refs/tags/v1^{}` (the commit below an annotated tag).
    pub name: String,
    /// Object id.
    pub id: String,
    /// For `HEAD`: the branch it stands for.
    pub target: Option<String>,
}

/// Whether this is a whole commit id, which means the same for ever.
#[must_use]
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The commit that this revision means; the server's default branch when none is given.
///
/// # Errors
/// `Missing` with names that are close.
pub fn resolve(offers: &[Offer], revision: Option<&str>) -> Result<Resolved> {
    let id_of = |name: &str| offers.iter().find(|offer| offer.name == name).map(|offer| offer.id.clone());
    let Some(revision) = revision else {
        let head = offers.iter().find(|offer| offer.name == "HEAD");
        let head = head.ok_or_else(|| {
            Error::new(Kind::Missing, "the server names no default branch").hint("say which one under `revision:`")
        })?;
        // Old servers do not say which branch `HEAD` is: it is one with the same commit.
        let same = || offers.iter().find(|offer| offer.name.starts_with("refs/heads/") && offer.id == head.id);
        let reference = head.target.clone().or_else(|| same().map(|offer| offer.name.clone()));
        return Ok(Resolved { commit: head.id.clone(), reference });
    };
    if is_commit(revision) {
        return Ok(Resolved { commit: revision.to_ascii_lowercase(), reference: None });
    }
    let names = match revision.strip_prefix("refs/") {
        Some(_) => vec![revision.to_owned()],
        None => vec![format!("refs/heads/{revision}"), format!("refs/tags/{revision}")],
    };
    for name in names {
        if let Some(commit) = id_of(&format!("{name}^{{}}")).or_else(|| id_of(&name)) {
            return Ok(Resolved { commit, reference: Some(name) });
        }
    }
    Err(missing(offers, revision))
}

fn missing(offers: &[Offer], revision: &str) -> Error {
    let known = offers.iter().filter(|offer| !offer.name.ends_with("^{}"));
    let known =
        known.filter_map(|offer| offer.name.strip_prefix("refs/heads/").or_else(|| offer.name.strip_prefix("refs/tags/")));
    let mut close: Vec<(f64, &str)> = known.map(|name| (strsim::jaro_winkler(name, revision), name)).collect();
    close.retain(|(likeness, _)| *likeness > 0.75);
    close.sort_by(|a, b| b.0.total_cmp(&a.0));
    close.dedup_by(|a, b| a.1 == b.1);
    let error = Error::new(Kind::Missing, format!("there is no branch or tag `{revision}`"));
    let names: Vec<String> = close.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    let is_short_commit = revision.len() >= 7 && revision.bytes().all(|digit| digit.is_ascii_hexdigit());
    match names.as_slice() {
        [] if is_short_commit => error.hint("a commit is named by all of its 40 digits"),
        [] if offers.is_empty() => error.hint("the repository is empty"),
        [] => error,
        _ => error.hint(format!("did you mean {}?", names.join(" or "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers() -> Vec<Offer> {
        let offer = |name: &str, digit: char, target: Option<&str>| Offer {
            name: name.into(),
            id: digit.to_string().repeat(40),
            target: target.map(Into::into),
        };
        vec![
            offer("HEAD", '1', Some("refs/heads/main")),
            offer("refs/heads/main", '1', None),
            offer("refs/heads/release", '2', None),
            offer("refs/tags/v1", '3', None),
            offer("refs/tags/v1^{}", '4', None),
            offer("refs/tags/release", '5', None),
        ]
    }

    #[test]
    fn branches_come_before_tags_and_tags_are_peeled() {
        let of = |revision: Option<&str>| {
            let found = resolve(&offers(), revision).unwrap();
            (found.commit.chars().next().unwrap(), found.reference.unwrap_or_default())
        };
        assert_eq!(of(None), ('1', "refs/heads/main".into()));
        assert_eq!(of(Some("release")), ('2', "refs/heads/release".into()));
        assert_eq!(of(Some("refs/tags/release")), ('5', "refs/tags/release".into()));
        assert_eq!(of(Some("v1")), ('4', "refs/tags/v1".into()));
        assert_eq!(of(Some(&"A".repeat(40))), ('a', String::new()));
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_its_neighbours() {
        let error = resolve(&offers(), Some("mian")).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing);
        assert_eq!(error.to_string(), "there is no branch or tag `mian`");
        assert_eq!(error.advice(), Some("did you mean `main`?"));
        assert!(resolve(&offers(), Some("1234567")).unwrap_err().advice().unwrap().contains("40 digits"));
        assert!(resolve(&[], None).is_err());
    }
}
