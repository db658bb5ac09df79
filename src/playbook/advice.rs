//! What is no error and will still disappoint: mistakes that only a boot would show.

use std::time::Duration;

use super::node::Node;
use super::{Playbook, Problem};
use crate::step::fields::Span;

/// Everything worth a warning, in the order of the file.
pub fn about(playbook: &Playbook) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for entry in &playbook.entries {
        let source = entry.source();
        if let Some(after) = waits_for_cloud_init(entry.field("Unit"), entry.field("Install")) {
            let message = "cloud-final.service itself waits for multi-user.target, so this unit would never be started at boot";
            let hint = "wait for `network-online.target`; the agent starts the unit when everything it needs is there";
            warnings.push(source.problem(after.mark, message).hint(hint));
        }
        for field in ["ready_within", "healthy_for"] {
            if let Some((node, span)) = entry.field(field).and_then(literal_span).filter(|(_, span)| *span > playbook.deadline.0)
            {
                let message = format!("`{field}` is {}, and the whole run has {}", Span(span), playbook.deadline);
                warnings.push(
                    source.problem(node.mark, message).hint("the run's deadline ends the wait; raise `deadline` or lower this"),
                );
            }
        }
        if let Some(timeout) = entry.timeout.filter(|timeout| *timeout > playbook.deadline) {
            let message = format!("the step's `timeout` is {timeout}, and the whole run has {}", playbook.deadline);
            warnings.push(
                source.problem(entry.mark(), message).hint("the run's deadline ends the step; raise `deadline` or lower this"),
            );
        }
    }
    warnings
}

/// The `After=` that orders a unit of multi-user.target behind cloud-final.service: a cycle that systemd breaks by leaving one out.
fn waits_for_cloud_init<'n>(unit: Option<&'n Node>, install: Option<&Node>) -> Option<&'n Node> {
    let after = unit?.member("After")?;
    let wanted_by = install.and_then(|install| install.member("WantedBy"));
    let at_boot = wanted_by.is_none_or(|wanted_by| mentions(wanted_by, "multi-user.target"));
    (at_boot && mentions(after, "cloud-final.service")).then_some(after)
}

fn mentions(node: &Node, unit: &str) -> bool {
    let mut found = false;
    node.each_scalar(&mut |text, _| found |= text.split_whitespace().any(|word| word == unit));
    found
}

fn literal_span(node: &Node) -> Option<(&Node, Duration)> {
    Some((node, node.text()?.parse::<Span>().ok()?.0))
}
