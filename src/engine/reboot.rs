//! A run that reboots its machine, from both sides: its last act, and the boot run that goes on within the same deadline.

use std::time::{Duration, Instant};

use super::duty::Duty;
use super::event::{Event, Failure, Teller};
use super::owner;
use super::shipping::Shipping;
use super::stop::Stop;
use crate::error::Result;
use crate::host::World;
use crate::host::instance::Instance;
use crate::host::reboots;
use crate::host::state::StateFolder;
use crate::host::systemd::reboot_machine;
use crate::lifecycle::LogFlush as _;
use crate::step::fields::Span;

/// What ended such a run, as its record says.
pub const OWN_REBOOT: &str = "its own reboot";
/// How long the last lines may take to be shipped.
const LAST_LINES: Duration = Duration::from_secs(5);
/// Until systemd ends us with everybody else.
const UNTIL_THE_END: Duration = Duration::from_mins(2);

/// What is left of the deadline to a boot run that goes on after a reboot; `None` for one that begins anew.
#[must_use]
pub fn left_of(deadline: Duration, state: &StateFolder, instance: Option<&Instance>) -> Option<Duration> {
    // Off EC2, or while the metadata service is silent, the state is still this machine's.
    let ours = instance.is_none_or(|instance| owner::is_ours(state, Some(&instance.id)));
    let spent = reboots::spent_before(state.path()).filter(|_| ours)?;
    Some(deadline.saturating_sub(spent))
}

/// How a run says that it goes on.
#[must_use]
pub fn goes_on(left: Duration) -> String {
    format!("this run goes on after a reboot, with {} left of the `deadline:`", Span(Duration::from_secs(left.as_secs())))
}

/// Records what became of the reasons to reboot, says which were left to another run, and whether this one ends with a reboot.
#[must_use]
pub fn is_due(world: &World, teller: &Teller) -> bool {
    match world.keep_reboots() {
        Ok(left) => left.iter().for_each(|why| {
            teller
                .notice(format!("the machine is to be rebooted ({why}); a run of the timer does it only with `on_timer: true`"));
        }),
        Err(error) => teller.notice(format!("what became of a reboot is not recorded: {error}")),
    }
    world.reboot_due().is_some()
}

/// Reboots the machine: the hook has all of its time once more, the logs are out, and whoever follows this run sees it end with
/// the machine, not before.
///
/// # Errors
/// When systemd does not reboot; the run has then failed.
pub fn last_act(duty: Option<&Duty>, shipping: &Shipping, stop: &Stop, teller: &Teller) -> Result<()> {
    let text = if duty.is_some() { "nothing was decided: the boot run after the reboot will" } else { "the machine reboots" };
    teller.tell(Event::Lifecycle { text: text.to_owned() });
    if let Some(duty) = duty {
        duty.hand_over();
    }
    shipping.flush(LAST_LINES);
    reboot_machine().inspect_err(|error| teller.tell(Event::RunFailed { reason: Failure::of(error, None) }))?;
    // The signal that ends the wait is the machine's.
    let _ = stop.wait_until(Instant::now() + UNTIL_THE_END);
    Ok(())
}
