//! The `logs:` block as a playbook writes it.

mod mask;
mod source;
mod tags;

pub use mask::Mask;
pub use source::{KINDS, Multiline, ONE_KIND, Priority, Source, Timestamp};
pub use tags::key_problem as tag_key_problem;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::aws::{Permission, Resource};
use crate::secret::pattern_problem;
use crate::step::fields::Span;

/// How many days the service can keep events.
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const SECONDS_OF_A_DAY: u64 = 86_400;
/// Names of groups and streams are no longer than this.
const LONGEST_NAME: usize = 512;

/// What is shipped, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The log group; a source may name its own.
    pub group: String,
    /// The log stream; the instance id unless told. A source may name its own.
    #[serde(default)]
    pub stream: Option<String>,
    /// How long the service keeps events; one of the values the service accepts.
    #[serde(default)]
    pub retention: Option<Span>,
    /// The tags of log groups that are made; those of groups that are there stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What is masked besides the secrets of the playbook.
    #[serde(default)]
    pub mask: Mask,
    /// Files and journals.
    #[serde(default)]
    pub sources: Vec<Source>,
}

impl LogSettings {
    /// What is wrong with the values, one sentence each. Values that are still expressions are for the rendered settings.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(group_problem(&self.group));
        problems.extend(self.stream.as_deref().and_then(stream_problem));
        problems.extend(self.retention.and_then(retention_problem));
        problems.extend(tags::problems(&self.tags));
        problems.extend(self.mask.problems());
        for source in &self.sources {
            problems.extend(source.problems());
        }
        problems
    }
}

impl LogSettings {
    /// What shipping takes of the role.
    #[must_use]
    pub fn permissions_to_write(&self) -> Vec<Permission> {
        let of = |group: &str| {
            ["logs:CreateLogStream", "logs:PutLogEvents"]
                .map(|action| Permission::new(action, Resource::LogGroup(group.to_owned())))
        };
        self.groups().into_keys().flat_map(of).collect()
    }

    /// What it takes where groups are not there yet.
    #[must_use]
    pub fn permissions_to_make_groups(&self) -> Vec<Permission> {
        let of = |group: &str| Permission::new("logs:CreateLogGroup", Resource::LogGroup(group.to_owned()));
        self.groups().into_keys().map(of).collect()
    }

    /// What it takes to have them kept as long as is said, and no longer.
    #[must_use]
    pub fn permissions_to_keep(&self) -> Vec<Permission> {
        let of = |group: &str| Permission::new("logs:PutRetentionPolicy", Resource::LogGroup(group.to_owned()));
        self.groups().into_iter().filter(|(_, kept)| *kept).map(|(group, _)| of(group)).collect()
    }

    /// All groups, and whether something says how long they keep events.
    fn groups(&self) -> BTreeMap<&str, bool> {
        let mut groups = BTreeMap::from([(self.group.as_str(), self.retention.is_some())]);
        for source in &self.sources {
            let kept = groups.entry(source.group.as_deref().unwrap_or(&self.group)).or_default();
            *kept |= source.retention.or(self.retention).is_some();
        }
        groups
    }
}

/// What is wrong with one value of the block, of a source or of a list, under its key. Text that is no span is the type's own complaint.
#[must_use]
pub fn value_problem(key: &str, text: &str) -> Option<String> {
    match key {
        "group" => group_problem(text),
        "stream" => stream_problem(text),
        "patterns" => pattern_problem(text),
        "tags" => tags::value_problem(text),
        "retention" => text.parse().ok().and_then(retention_problem),
        _ if is_expression(text) => None,
        _ => source::problem(key, text),
    }
}

/// The days of a retention, if the service accepts it.
#[must_use]
pub fn days(retention: Span) -> Option<i32> {
    let seconds = retention.0.as_secs();
    let days = i32::try_from(seconds / SECONDS_OF_A_DAY).ok()?;
    (seconds.is_multiple_of(SECONDS_OF_A_DAY) && RETENTIONS.contains(&days)).then_some(days)
}

fn retention_problem(retention: Span) -> Option<String> {
    if days(retention).is_some() {
        return None;
    }
    let known: Vec<String> = RETENTIONS.iter().map(|days| format!("{days}d")).collect();
    Some(format!("the service cannot keep logs for `{retention}`; it can for {}", known.join(", ")))
}

fn is_expression(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn group_problem(name: &str) -> Option<String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    let wrong = name.is_empty() || name.len() > LONGEST_NAME || name.starts_with("aws/") || !name.bytes().all(valid);
    (wrong && !is_expression(name))
        .then(|| format!("`{name}` is not the name of a log group: letters, digits and `._-/#`, not beginning with `aws/`"))
}

fn stream_problem(name: &str) -> Option<String> {
    let wrong = name.is_empty() || name.len() > LONGEST_NAME || name.contains([':', '*']);
    (wrong && !is_expression(name)).then(|| format!("`{name}` is not the name of a log stream: anything but `:` and `*`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(yaml: &str) -> LogSettings {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn good_settings_have_no_problems() {
        let good =
            "group: /aws/ec2/{{ name }}\nretention: 7d\nsources:\n- file: /var/log/*.log\n- unit: app.service\n  group: other\n";
        assert_eq!(settings(good).problems(), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_told() {
        let bad = "group: aws/x\nstream: 'a:b'\nretention: 8d\nmask: { patterns: ['('] }\nsources:\n- file: var/log\n- {}\n- { file: /a, unit: b }\n- unit: ''\n- file: '/a[z-'\n";
        let problems = settings(bad).problems();
        assert_eq!(problems.len(), 9, "{problems:#?}");
        assert!(problems.iter().any(|problem| problem.contains("`8d`") && problem.contains("7d, 14d")));
    }

    #[test]
    fn only_what_the_service_knows_is_a_retention() {
        assert_eq!(days("7d".parse().unwrap()), Some(7));
        assert_eq!(days("36h".parse().unwrap()), None);
        assert_eq!(days("24h".parse().unwrap()), Some(1));
    }
}
