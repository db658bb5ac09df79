//! The tags of log groups that we make, within what the service takes.

use std::collections::BTreeMap;

use super::is_expression;

const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// What is wrong with them, one sentence each.
pub(super) fn problems(tags: &BTreeMap<String, String>) -> Vec<String> {
    let too_many = (tags.len() > MOST).then(|| format!("a log group has at most {MOST} tags, not {}", tags.len()));
    let keys = tags.keys().filter_map(|key| key_problem(key));
    too_many.into_iter().chain(keys).chain(tags.values().filter_map(|value| value_problem(value))).collect()
}

/// What is wrong with the key of a tag.
#[must_use]
pub fn key_problem(key: &str) -> Option<String> {
    let wrong = key.is_empty() || key.chars().count() > LONGEST_KEY || key.starts_with("aws:") || !key.chars().all(is_taken);
    wrong.then(|| {
        format!("`{key}` is not the key of a tag: at most {LONGEST_KEY} letters, digits, spaces and `_.:/=+-@`, not beginning with `aws:`")
    })
}

/// What is wrong with its value.
pub(super) fn value_problem(value: &str) -> Option<String> {
    let wrong = value.chars().count() > LONGEST_VALUE || !value.chars().all(is_taken);
    (wrong && !is_expression(value))
        .then(|| format!("`{value}` is not the value of a tag: at most {LONGEST_VALUE} letters, digits, spaces and `_.:/=+-@`"))
}

fn is_taken(letter: char) -> bool {
    letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_service_takes_is_a_tag() {
        let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(problems(&tags(&[("team", "a b"), ("cost/centre", ""), ("für", "{{ name | upper }}")])), Vec::<String>::new());
        for (key, value, word) in [
            ("", "x", "not the key"),
            ("aws:x", "x", "not the key"),
            ("a*", "x", "not the key"),
            (&"k".repeat(129), "x", "not the key"),
            ("k", "a\nb", "not the value"),
            ("k", &"v".repeat(257), "not the value"),
        ] {
            let found = problems(&tags(&[(key, value)]));
            assert!(found.len() == 1 && found[0].contains(word), "{key} {value}: {found:?}");
        }
        let many = (0..51).map(|number| (number.to_string(), String::new())).collect();
        assert!(problems(&many)[0].contains("at most 50"));
    }
}
