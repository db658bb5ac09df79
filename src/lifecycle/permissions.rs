//! What the hook takes of a role.

use crate::host::aws::{Permission, Resource};
use crate::playbook::Lifecycle;

/// For keeping the hook of this group waiting, and answering it.
#[must_use]
pub fn to_answer(wanted: &Lifecycle) -> Vec<Permission> {
    ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        .map(|action| Permission::new(action, Resource::Group(wanted.group.clone())))
        .to_vec()
}

/// For finding out who waits, and why nobody does.
#[must_use]
pub fn to_find() -> Vec<Permission> {
    ["autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"]
        .map(|action| Permission::new(action, Resource::Any))
        .to_vec()
}
