//! The lifecycle hook: is there one, does it wait for this instance, for how much longer, and may the role answer it?

use std::time::Duration;

use super::finding::{Finding, State};
use crate::error::Result;
use crate::host::aws::{AutoScaling as _, Aws, LaunchHook, Membership};
use crate::host::instance::Instance;
use crate::playbook::Lifecycle;

/// A boot needs at least so much of the hook's time.
const SHORT: Duration = Duration::from_mins(1);

/// Everything about the hook.
pub fn check(aws: &Aws, instance: &Instance, wanted: Option<&Lifecycle>) -> Vec<Finding> {
    let wanted = wanted.cloned().unwrap_or_default();
    let membership = match aws.membership(&instance.id) {
        Ok(membership) => membership,
        Err(error) => return vec![Finding::failed("hook", &error)],
    };
    let Some(membership) = membership else {
        return vec![match &wanted.group {
            Some(group) => Finding::problem(
                "hook",
                format!("the playbook answers group `{group}`, and this instance belongs to none"),
                "launch it by its group, or leave `lifecycle:` out of the playbook",
            ),
            None => Finding::ok("hook", "the instance belongs to no group: there is nobody to answer"),
        }];
    };
    let hooks = aws.launch_hooks(&membership.group);
    let mut findings = vec![named(&membership, hooks, &wanted, instance)];
    let group = wanted.group.as_ref().unwrap_or(&membership.group);
    findings.push(match aws.try_hook(group, &instance.id) {
        Ok(()) => Finding::ok("answering the hook", format!("the role may keep the hooks of `{group}` waiting, and answer them")),
        Err(error) => Finding::failed("answering the hook", &error),
    });
    findings
}

/// The hook by its name, and its time.
fn named(membership: &Membership, hooks: Result<Vec<LaunchHook>>, wanted: &Lifecycle, instance: &Instance) -> Finding {
    let group = &membership.group;
    if let Some(other) = wanted.group.as_ref().filter(|wanted| *wanted != group) {
        return Finding::problem(
            "hook",
            format!("the playbook answers group `{other}`, and this instance belongs to `{group}`"),
            "correct `lifecycle: { group: … }` in the playbook or in its vars",
        );
    }
    let hooks = match hooks {
        Ok(hooks) => hooks,
        Err(error) => return Finding::failed("hook", &error),
    };
    let names = || hooks.iter().map(|hook| format!("`{}`", hook.name)).collect::<Vec<_>>().join(", ");
    let hook = match (&wanted.hook, hooks.as_slice()) {
        (Some(name), _) => match hooks.iter().find(|hook| hook.name == *name) {
            Some(hook) => hook,
            None if hooks.is_empty() => {
                let hint = "make the launch hook before the group launches instances, or leave `lifecycle:` out";
                return Finding::problem(
                    "hook",
                    format!("group `{group}` has no launch hook, and the playbook answers `{name}`"),
                    hint,
                );
            }
            None => {
                let found = format!("group `{group}` has no launch hook `{name}`; it has {}", names());
                return Finding::problem("hook", found, "correct `lifecycle: { hook: … }` in the playbook");
            }
        },
        (None, []) => return Finding::ok("hook", format!("group `{group}` has no launch hook: there is nobody to answer")),
        (None, [only]) => only,
        (None, _) => {
            let found = format!("group `{group}` has several launch hooks: {}", names());
            return Finding::problem("hook", found, "name the one that waits for this agent: `lifecycle: { hook: … }`");
        }
    };
    if let Some(told) = wanted.timeout.filter(|told| told.0 > hook.timeout) {
        let found = format!("`{}` waits {} s, and the playbook says {told}", hook.name, hook.timeout.as_secs());
        return Finding::problem("hook", found, "correct `lifecycle: { timeout: … }`: heartbeats would come too late");
    }
    time_of(hook, membership, instance)
}

/// How much longer it waits; what heartbeats have added is known to nobody.
fn time_of(hook: &LaunchHook, membership: &Membership, instance: &Instance) -> Finding {
    let state = &membership.state;
    if !state.ends_with(":Wait") {
        return Finding::ok(
            "hook",
            format!("`{}` of `{}`; the instance is {state}, so it does not wait now", hook.name, membership.group),
        );
    }
    let left = hook.timeout.checked_sub(instance.started().elapsed());
    let hint = "send heartbeats until the run begins (`aws autoscaling record-lifecycle-action-heartbeat`), or give the hook a longer timeout";
    match left {
        None => Finding::problem(
            "hook",
            format!("the {} s of `{}` are over, unless heartbeats were sent", hook.timeout.as_secs(), hook.name),
            hint,
        ),
        Some(left) if left < SHORT => Finding::new(
            "hook",
            State::Warning,
            format!("`{}` waits for {} s more, unless heartbeats were sent", hook.name, left.as_secs()),
        )
        .with_hint(hint),
        Some(left) => {
            Finding::ok("hook", format!("`{}` of `{}` waits for {} s more", hook.name, membership.group, left.as_secs()))
        }
    }
}
