//! `reboot`: the machine is rebooted when there is a reason, once, and the boot run after it goes on.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::guard::{Guard, UserProgram};
use crate::host::{Answer, Facts, Host};
use crate::step::fields::Program;
use crate::step::{Finding, Step, Thing, Touches};

/// Reboots the machine when there is a reason: exactly one of `when_required`, `only_if` and `unless` says so.
///
/// Everything above is done first, and nothing below begins. The run ends there; the boot service begins its own at the next boot,
/// finds done what is done, goes on below this step, and gives the verdict, within what is left of the `deadline:`. The machine is
/// never rebooted twice for the same reason: one that is still there afterwards is an error. A dry-run asks guards only with
/// `--run-guards`.
///
/// ```yaml
/// - packages: [linux-image-cloud-amd64]
/// - reboot: { when_required: true }
/// ```
///
/// Outputs: `required` (whether there is a reason).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    /// When the system says so: `/run/reboot-required` on Debian and Ubuntu; with dnf, when kernel, libc or systemd are newer than the
    /// boot, as `needs-restarting` judges it.
    #[serde(default)]
    when_required: bool,
    /// When this says yes (0); afterwards it must say no (1). A list is a program, a text a shell script.
    only_if: Option<Program>,
    /// When this says no (1); afterwards it must say yes (0). A list is a program, a text a shell script.
    unless: Option<Program>,
    /// A run of the timer may reboot too; else it only says that there is a reason.
    #[serde(default)]
    on_timer: bool,
}

/// The one change there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    why: String,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reboot the machine ({}); the boot run after it goes on", self.why)
    }
}

impl Reboot {
    /// What tells one reason from another.
    fn reason(&self) -> String {
        match (&self.only_if, &self.unless) {
            (Some(guard), _) => format!("only_if {}", guard.argv().join(" ")),
            (_, Some(guard)) => format!("unless {}", guard.argv().join(" ")),
            _ => "required".to_owned(),
        }
    }

    /// Why the machine is to be rebooted now.
    fn why(&self, facts: &Facts) -> Result<Answer<Option<String>>> {
        let ask = |guard: &Program| {
            facts.guard_holds(&Guard::new(UserProgram { argv: guard.argv(), shown: true, ..UserProgram::default() }))
        };
        let told = |answer, reboots_on: bool, word: &str| match answer {
            Answer::Known(said) => Answer::Known((said == reboots_on).then(|| word.to_owned())),
            Answer::Unknown(why) => Answer::Unknown(why),
        };
        Ok(match (&self.only_if, &self.unless) {
            (Some(guard), _) => told(ask(guard)?, true, "`only_if` says yes"),
            (_, Some(guard)) => told(ask(guard)?, false, "`unless` says no"),
            _ => Answer::Known(facts.reboot_required()?),
        })
    }
}

impl Step for Reboot {
    const KIND: &'static str = "reboot";
    const EXAMPLE: &'static str = "steps:
  - reboot: { when_required: true }
";
    const OUTPUTS: &'static [(&'static str, &'static str)] = &[("required", "Whether the machine waits for a reboot.")];
    type Change = Restart;

    fn touches(&self) -> Touches {
        Touches::nothing().read(Thing::Programs).alone()
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let reasons = [self.when_required, self.only_if.is_some(), self.unless.is_some()];
        if reasons.iter().filter(|given| **given).count() != 1 {
            problems.push("exactly one of `when_required: true`, `only_if` and `unless` says when".into());
        }
        if [&self.only_if, &self.unless].into_iter().flatten().any(|guard| guard.argv().first().is_none_or(String::is_empty)) {
            problems.push("the guard names no program".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<Restart>> {
        let reason = self.reason();
        let why = match self.why(facts)? {
            Answer::Unknown(why) => return Ok(Finding::unknown(why)),
            Answer::Known(None) => {
                facts.no_reason_to_reboot(&reason);
                return Ok(Finding::done().with_output("required", serde_json::Value::Bool(false)));
            }
            Answer::Known(Some(why)) => why,
        };
        let mut finding = Finding::done().with_output("required", serde_json::Value::Bool(true));
        if facts.is_by_timer() && !self.on_timer {
            facts.leave_reboot(&why);
            return Ok(finding);
        }
        facts.may_reboot_for(&reason)?;
        finding.change(Restart { why });
        Ok(finding)
    }

    fn apply(&self, change: &Restart, host: &Host) -> Result<()> {
        host.reboot_for(&self.reason(), &change.why)
    }

    /// Only the boot run after it can tell.
    fn is_rechecked(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::host::fakes::Machine;

    fn step(yaml: &str) -> Reboot {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn machine() -> Machine {
        Machine::new().program("systemctl", "LoadState=loaded\nUnitFileState=enabled\n")
    }

    fn plan(step: &Reboot, machine: &Machine) -> Vec<String> {
        step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
    }

    #[test]
    fn it_is_done_when_the_system_asks_and_only_asked_for() {
        let machine = machine();
        let step = step("when_required: true");
        assert!(plan(&step, &machine).is_empty());
        machine.write("run/reboot-required", "");
        let found = step.check(&machine.facts()).unwrap();
        let [planned] = &found.changes[..] else { panic!() };
        assert!(planned.change.to_string().starts_with("reboot the machine (`"), "{}", planned.change);
        let host = machine.host();
        step.apply(&planned.change, &host).unwrap();
        assert!(machine.calls().iter().all(|call| !call.contains(" reboot")), "that is the run's last act, not the step's");
    }

    #[test]
    fn guards_say_when() {
        for (yaml, code, reboots) in
            [("only_if: [ask]", 0, true), ("only_if: [ask]", 1, false), ("unless: [ask]", 0, false), ("unless: [ask]", 1, true)]
        {
            let machine = machine().program_ends("ask", code, "", "");
            assert_eq!(plan(&step(yaml), &machine).len(), usize::from(reboots), "{yaml} {code}");
        }
        let mut plans = machine();
        plans.guards = false;
        assert!(step("only_if: [ask]").check(&plans.facts()).unwrap().unknown.is_some());
        assert_eq!(
            step("only_if: [ask]").check(&machine().program_ends("ask", 2, "", "").facts()).unwrap_err().kind(),
            Kind::Failed
        );
    }

    #[test]
    fn the_timer_only_says_so_unless_told() {
        let mut machine = machine();
        machine.by_timer = true;
        machine.write("run/reboot-required", "");
        assert!(plan(&step("when_required: true"), &machine).is_empty());
        assert_eq!(plan(&step("{ when_required: true, on_timer: true }"), &machine).len(), 1);
    }

    #[test]
    fn there_is_exactly_one_reason() {
        assert!(step("when_required: true").problems().is_empty());
        for wrong in ["{}", "when_required: false", "{ when_required: true, unless: [a] }", "only_if: []"] {
            assert_eq!(step(wrong).problems().len(), 1, "{wrong}");
        }
    }
}
