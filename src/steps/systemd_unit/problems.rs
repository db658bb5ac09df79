//! What is wrong with a unit before systemd has seen it: names, keys that cannot be written, and an order that never boots.

use super::SystemdUnit;
use crate::host::systemd::Running;

/// Kinds of units that a file describes.
const SUFFIXES: [&str; 9] = ["service", "timer", "socket", "path", "mount", "automount", "swap", "slice", "target"];

/// What runs our first run: whoever comes after it is waited for by it, and waits for it.
const CLOUD_INIT: [&str; 2] = ["cloud-final.service", "cloud-init.target"];

/// Every problem in one sentence.
pub fn of(unit: &SystemdUnit) -> Vec<String> {
    let mut problems = Vec::new();
    let plain = |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || b":-_.\\@".contains(&c));
    if !SUFFIXES.contains(&unit.suffix()) || !plain(&unit.name) || unit.name.starts_with(['-', '.']) {
        problems.push(format!("`{}` is not the name of a unit with its suffix, such as `app.service`", unit.name));
    }
    if let Some(dropin) = &unit.dropin
        && (dropin.is_empty() || !plain(dropin) || dropin.starts_with(['-', '.']))
    {
        problems.push(format!("`{dropin}` is not a name for a drop-in, such as `limits`"));
    }
    if unit.is_template() && (unit.running() == Running::Started || unit.is_enabled() == Some(true)) {
        problems.push(format!("`{}` is a template; an instance of it is started and enabled with a `service` step", unit.name));
    }
    of_sections(unit, &mut problems);
    of_order(unit, &mut problems);
    problems
}

fn of_sections(unit: &SystemdUnit, problems: &mut Vec<String>) {
    let mut any = false;
    for (name, section) in unit.sections().0 {
        any |= !section.is_empty();
        let belongs = ["Unit", "Install"].contains(&name) || name.to_ascii_lowercase() == unit.suffix();
        if !section.is_empty() && !belongs {
            problems.push(format!("`{name}` does not belong into a unit of the kind `{}`", unit.suffix()));
        }
        for (key, value) in section.pairs() {
            if key.is_empty() || !key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
                problems.push(format!("`{key}` is not a key of a unit file"));
            }
            if value.contains(['\n', '\r', '\0']) || value.ends_with('\\') {
                problems.push(format!("`{key}` must be one line; write a list to repeat the key"));
            }
        }
    }
    if !any {
        problems.push("the unit has no section".into());
    }
    if unit.suffix() == "service" && unit.dropin.is_none() && !unit.service.has("ExecStart") {
        let oneshot = unit.service.is("Type", "oneshot") && unit.service.has("ExecStop");
        if !oneshot {
            problems.push("a service needs `ExecStart` in `Service`".into());
        }
    }
}

/// `multi-user.target` waits for what it wants, cloud-init's last stage waits for `multi-user.target`: a unit that waits for
/// cloud-init closes the circle, and systemd breaks it by dropping one of them without a word.
fn of_order(unit: &SystemdUnit, problems: &mut Vec<String>) {
    let words = |section: &super::Section, key: &str| -> Vec<String> {
        section.all(key).flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    let after = words(&unit.unit, "After");
    let wanted_by = words(&unit.install, "WantedBy");
    let at_boot = unit.default_target() == Some("multi-user.target") || wanted_by.iter().any(|name| name == "multi-user.target");
    let circle = at_boot && !after.iter().any(|name| name == "multi-user.target");
    for stage in CLOUD_INIT.iter().filter(|stage| after.iter().any(|name| name == *stage)) {
        if circle {
            problems.push(format!(
                "`After={stage}` with `WantedBy=multi-user.target` is an ordering cycle, because `{stage}` itself comes after \
                 `multi-user.target`; systemd would drop one of them from the boot"
            ));
        } else if unit.running() == Running::Started {
            problems.push(format!(
                "`After={stage}` would wait for ever for the user-data that starts it; leave it out, or write `state: unchanged`"
            ));
        }
    }
}
