//! Which hook waits for us. What the playbook says is believed; only what it leaves out is asked for.

use std::time::{Duration, Instant};

use super::Line;
use crate::error::{Error, Kind, Result};
use crate::host::retry::jitter;
use crate::playbook::Lifecycle;

/// A fleet that boots at once must not ask at once.
const SPREAD: Duration = Duration::from_secs(3);
/// A named hook that is not there yet may be made with any timeout; the service allows none below 30 s.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The hook that waits for our answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The Auto Scaling group.
    pub group: String,
    /// The hook.
    pub name: String,
    /// How long it waits after the last sign of life.
    pub timeout: Duration,
}

/// Whether anybody waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This hook does, or will.
    Hook(Hook),
    /// Nobody, for this reason.
    Nobody(String),
}

/// Finds the hook. With group, hook and timeout given, nobody is asked.
///
/// # Errors
/// `Playbook` when there are several and none is named; whatever keeps Auto Scaling from answering.
pub fn find(line: &Line, wanted: &Lifecycle, deadline: Instant) -> Result<Found> {
    if let Lifecycle { group: Some(group), hook: Some(name), timeout: Some(timeout) } = wanted {
        return Ok(Found::Hook(Hook { group: group.clone(), name: name.clone(), timeout: timeout.0 }));
    }
    line.retry.clock().sleep(jitter(SPREAD));
    look(line, wanted, deadline)
}

/// The same at the end of a run, where the runs of a fleet have spread by themselves.
pub(super) fn look(line: &Line, wanted: &Lifecycle, deadline: Instant) -> Result<Found> {
    let group = match &wanted.group {
        Some(group) => group.clone(),
        None => match line.retry.run(deadline, || line.service.membership(&line.instance))? {
            Some(membership) => membership.group,
            None => return Ok(Found::Nobody("this instance belongs to no Auto Scaling group".to_owned())),
        },
    };
    if let (Some(name), Some(timeout)) = (&wanted.hook, wanted.timeout) {
        return Ok(Found::Hook(Hook { group, name: name.clone(), timeout: timeout.0 }));
    }
    let hooks = line.retry.run(deadline, || line.service.launch_hooks(&group))?;
    let (name, timeout) = match (&wanted.hook, hooks.as_slice()) {
        (Some(name), hooks) => {
            let known = hooks.iter().find(|hook| hook.name == *name);
            (name.clone(), known.map_or(SHORTEST_TIMEOUT, |hook| hook.timeout))
        }
        (None, []) => return Ok(Found::Nobody(format!("group `{group}` has no hook on launching"))),
        (None, [only]) => (only.name.clone(), only.timeout),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|hook| format!("`{}`", hook.name)).collect();
            return Err(Error::new(
                Kind::Playbook,
                format!("group `{group}` has {} hooks on launching: {}", several.len(), names.join(", ")),
            )
            .doing("looking for the lifecycle hook")
            .hint("name the one that waits for this agent: `lifecycle: { hook: … }`"));
        }
    };
    Ok(Found::Hook(Hook { group, name, timeout: wanted.timeout.map_or(timeout, |timeout| timeout.0) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::scripted::Scripted;
    use crate::step::fields::Span;

    fn wanted(group: Option<&str>, hook: Option<&str>, timeout: Option<u64>) -> Lifecycle {
        Lifecycle {
            group: group.map(str::to_owned),
            hook: hook.map(str::to_owned),
            timeout: timeout.map(|seconds| Span(Duration::from_secs(seconds))),
        }
    }

    fn ask(scripted: &Scripted, wanted: &Lifecycle) -> Result<Found> {
        let line = scripted.line();
        let deadline = line.now() + Duration::from_mins(5);
        find(&line, wanted, deadline)
    }

    #[test]
    fn with_all_three_given_nobody_is_asked() {
        let scripted = Scripted::new();
        let Found::Hook(hook) = ask(&scripted, &wanted(Some("g"), Some("h"), Some(450))).unwrap() else { panic!("nobody") };
        assert_eq!((hook.group.as_str(), hook.name.as_str(), hook.timeout.as_secs()), ("g", "h", 450));
        assert!(scripted.calls().is_empty());
    }

    #[test]
    fn what_is_left_out_is_asked_for_once() {
        let scripted = Scripted::new().member("g", "Pending:Wait").hook("h", 300);
        let Found::Hook(hook) = ask(&scripted, &wanted(None, None, None)).unwrap() else { panic!("nobody") };
        assert_eq!((hook.name.as_str(), hook.timeout.as_secs()), ("h", 300));
        assert_eq!(scripted.calls(), ["membership", "hooks g"]);
        let scripted = Scripted::new().hook("h", 300);
        ask(&scripted, &wanted(Some("g"), Some("h"), None)).unwrap();
        assert_eq!(scripted.calls(), ["hooks g"]);
    }

    #[test]
    fn several_hooks_are_an_error_that_lists_them() {
        let scripted = Scripted::new().member("g", "Pending:Wait").hook("ours", 300).hook("other", 60);
        let error = ask(&scripted, &wanted(None, None, None)).unwrap_err();
        assert_eq!(error.kind(), Kind::Playbook);
        assert!(error.to_string().contains("`ours`, `other`"), "{error}");
        let Found::Hook(hook) = ask(&scripted, &wanted(None, Some("other"), None)).unwrap() else { panic!("nobody") };
        assert_eq!(hook.timeout.as_secs(), 60);
    }

    #[test]
    fn without_group_or_hook_there_is_nobody_to_tell() {
        let found = ask(&Scripted::new(), &wanted(None, None, None)).unwrap();
        assert!(matches!(found, Found::Nobody(why) if why.contains("no Auto Scaling group")));
        let found = ask(&Scripted::new().member("g", "InService"), &wanted(None, None, None)).unwrap();
        assert!(matches!(found, Found::Nobody(why) if why.contains("no hook")));
    }

    #[test]
    fn throttling_is_waited_out() {
        let scripted = Scripted::new().member("g", "Pending:Wait").hook("h", 300).throttled_for(Duration::from_mins(1));
        assert!(matches!(ask(&scripted, &wanted(None, None, None)).unwrap(), Found::Hook(_)));
    }
}
