//! What the playbook needs of AWS, each by a cheap call: its secrets, the objects of its steps, its logs, its hook.

use std::collections::BTreeMap;

use super::finding::{Finding, State};
use super::hook;
use crate::error::Error;
use crate::host::aws::{Aws, Permission, Resource};
use crate::host::instance::Instance;
use crate::logs::settings::{LogSettings, days};
use crate::playbook::{Playbook, Scope, Wanted};

/// Everything the playbook needs, asked for side by side.
pub fn check(aws: &Aws, playbook: &Playbook, scope: &Scope, instance: Option<&Instance>) -> Vec<Finding> {
    std::thread::scope(|threads| {
        let mut under_way = vec![
            threads.spawn(|| secrets(aws, playbook, scope)),
            threads.spawn(|| steps(aws, playbook, scope)),
            threads.spawn(|| instance.map(|instance| logs(aws, playbook, scope, instance)).unwrap_or_default()),
        ];
        under_way.push(threads.spawn(|| match (instance, playbook.lifecycle(scope)) {
            (_, Err(error)) => vec![Finding::failed("hook", &error)],
            (Some(instance), Ok(wanted)) => hook::check(aws, instance, wanted.as_ref()),
            (None, Ok(_)) => Vec::new(),
        }));
        under_way.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

fn secrets(aws: &Aws, playbook: &Playbook, scope: &Scope) -> Vec<Finding> {
    let sources = match playbook.secret_sources(scope) {
        Ok(sources) if sources.is_empty() => return Vec::new(),
        Ok(sources) => sources,
        Err(error) => return vec![Finding::failed("secrets", &error)],
    };
    let lacking = aws.try_secrets(&sources);
    if lacking.is_empty() {
        return vec![Finding::ok("secrets", format!("all {} can be read", sources.len()))];
    }
    lacking.iter().map(|(source, error)| Finding::failed(&format!("secret {source}"), error)).collect()
}

fn steps(aws: &Aws, playbook: &Playbook, scope: &Scope) -> Vec<Finding> {
    let mut findings = Vec::new();
    for entry in &playbook.entries {
        if matches!(entry.is_wanted(scope), Ok(Wanted::No(_))) {
            continue;
        }
        // What depends on the run itself is for the run to find out.
        for permission in entry.permissions(scope).ok().flatten().unwrap_or_default() {
            let name = format!("step {}", entry.number);
            findings.push(match try_out(aws, &permission) {
                Some(Ok(())) => Finding::ok(&name, format!("{} on {}", permission.action, what(&permission.resource))),
                Some(Err(error)) => Finding::failed(&name, &error),
                None => {
                    Finding::new(&name, State::Warning, format!("{} was not tried: there is no harmless call", permission.action))
                }
            });
        }
    }
    findings
}

/// The cheap call for a permission, where there is one.
fn try_out(aws: &Aws, permission: &Permission) -> Option<Result<(), Error>> {
    match (permission.action, &permission.resource) {
        ("s3:GetObject", Resource::Object { bucket, key }) if !key.contains('*') => {
            Some(aws.object_facts(bucket, key).map(|_| ()))
        }
        ("s3:ListBucket", Resource::Listing { bucket, prefix }) => Some(aws.try_listing(bucket, prefix)),
        _ => None,
    }
}

fn what(resource: &Resource) -> String {
    match resource {
        Resource::Object { bucket, key } => format!("`s3://{bucket}/{key}`"),
        Resource::Listing { bucket, prefix } => format!("`s3://{bucket}/{prefix}`"),
        _ => "what it needs".to_owned(),
    }
}

fn logs(aws: &Aws, playbook: &Playbook, scope: &Scope, instance: &Instance) -> Vec<Finding> {
    let settings = match playbook.logs(scope) {
        Ok(Some(settings)) => settings,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Finding::failed("logs", &error)],
    };
    let stream = settings.stream.as_deref().unwrap_or(&instance.id);
    let tried = destinations(&settings, stream).into_iter().map(|((group, stream), days)| {
        let name = format!("logs {group}");
        match aws.try_logs(&group, &stream, days) {
            Ok(()) => Finding::ok(&name, format!("events can be written to `{stream}`")),
            Err(error) => Finding::failed(&name, &error),
        }
    });
    tried.collect()
}

/// Where events go, and how many days they are kept there.
fn destinations(settings: &LogSettings, stream: &str) -> BTreeMap<(String, String), Option<i32>> {
    let mut all = BTreeMap::from([((settings.group.clone(), stream.to_owned()), settings.retention.and_then(days))]);
    for source in &settings.sources {
        let group = source.group.as_ref().unwrap_or(&settings.group).clone();
        let stream = source.stream.as_deref().unwrap_or(stream).to_owned();
        all.insert((group, stream), source.retention.or(settings.retention).and_then(days));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_and_stream_is_tried_once() {
        let text = "group: /a\nretention: 7d\nsources:\n- file: /x\n- { unit: b, group: /b, stream: s }\n- { kernel: true, group: /b, stream: s, retention: 1d }\n";
        let settings: LogSettings = serde_yaml::from_str(text).unwrap();
        let all: Vec<_> = destinations(&settings, "i-1").into_iter().collect();
        let of = |group: &str, stream: &str, days| ((group.to_owned(), stream.to_owned()), Some(days));
        assert_eq!(all, [of("/a", "i-1", 7), of("/b", "s", 1)]);
    }
}
