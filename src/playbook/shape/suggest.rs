//! "did you mean".

use serde_json::Value as Json;

use super::Complaint;
use crate::playbook::source::Mark;

/// The candidate that is most like this word, if one is like it at all.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(word.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for a word that is not among the candidates; lists them when there are few and none is close.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(candidate) = closest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    match candidates.as_slice() {
        [] => None,
        few => Some(format!("known here: {}", listed(few))),
    }
}

/// The words a schema allows, when it allows only certain ones.
pub fn allowed(schema: &Json) -> Vec<&str> {
    let several = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    several.chain(schema.get("const")).filter_map(Json::as_str).collect()
}

/// The complaint about a word that is not allowed.
pub fn not_one_of(mark: Mark, text: &str, words: &[&str]) -> Complaint {
    let hint = closest(text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
    Complaint::new(mark, format!("`{text}` is not one of {}", listed(words))).hint(hint)
}

/// Words in backticks, with commas.
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let known = ["revision", "path", "owner"];
        assert_eq!(closest("reviison", known), Some("revision"));
        assert_eq!(closest("Path", known), Some("path"));
        assert_eq!(closest("colour", known), None);
        assert_eq!(did_you_mean("x", known).as_deref(), Some("known here: `revision`, `path`, `owner`"));
        assert_eq!(did_you_mean("x", []), None);
    }
}
