//! One boot after the other, told by the record.

use super::*;
use crate::host::fakes::Machine;

const ENABLED: &str = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n";

fn machine() -> Machine {
    Machine::new().program("systemctl", ENABLED)
}

/// What was asked for in this boot was asked for in the one before.
fn reboot(machine: &Machine) {
    let text = machine.content("state/reboots.json").replace(&boot_id().unwrap(), "the boot before");
    machine.write("state/reboots.json", &text);
}

#[test]
fn it_is_not_done_twice_for_the_same_reason() {
    let machine = machine();
    let host = machine.host();
    host.may_reboot_for("kernel").unwrap();
    host.reboot_for("kernel", "for linux-image").unwrap();
    assert_eq!(host.world.reboot_due().as_deref(), Some("for linux-image"));
    assert!(host.world.keep_reboots().unwrap().is_empty());
    // It did not come to it: the same boot may try again.
    machine.facts().may_reboot_for("kernel").unwrap();
    reboot(&machine);
    let facts = machine.facts();
    assert_eq!(facts.may_reboot_for("kernel").unwrap_err().kind(), Kind::NotConverged);
    facts.may_reboot_for("other").unwrap();
    // A run that ended without looking for the reason does not make it a new one.
    facts.world.keep_reboots().unwrap();
    assert!(machine.facts().may_reboot_for("kernel").is_err());
}

#[test]
fn a_reason_that_was_gone_is_a_new_one_when_it_comes_again() {
    let machine = machine();
    machine.host().reboot_for("kernel", "why").unwrap();
    reboot(&machine);
    assert!(spent_before(&machine.path("state")).is_some());
    let facts = machine.facts();
    facts.no_reason_to_reboot("kernel");
    facts.may_reboot_for("kernel").unwrap();
    facts.world.keep_reboots().unwrap();
    machine.facts().may_reboot_for("kernel").unwrap();
    assert!(spent_before(&machine.path("state")).is_none(), "the next run begins anew");
}

#[test]
fn going_round_in_circles_has_a_bound() {
    let machine = machine();
    for round in 0..MOST {
        let host = machine.host();
        // Each time one reason is gone and another one has come.
        host.may_reboot_for(&format!("reason {round}")).unwrap();
        host.reboot_for(&format!("reason {round}"), "why").unwrap();
        host.world.keep_reboots().unwrap();
        reboot(&machine);
    }
    let error = machine.facts().may_reboot_for("reason 3").unwrap_err();
    assert!(error.to_string().contains("3 times in a row"), "{error}");
    machine.facts().world.keep_reboots().unwrap();
    machine.facts().may_reboot_for("reason 3").unwrap();
}

#[test]
fn without_the_boot_service_nobody_would_go_on() {
    let disabled = Machine::new().program("systemctl", "LoadState=loaded\nUnitFileState=disabled\n");
    let error = disabled.host().reboot_for("kernel", "why").unwrap_err();
    assert!(error.to_string().contains("nobody would go on"), "{error}");
    assert!(!disabled.path("state/reboots.json").exists());
}

#[test]
fn the_system_says_why_it_wants_to_be_rebooted() {
    let machine = machine();
    assert_eq!(machine.facts().reboot_required().unwrap(), None);
    machine.write("run/reboot-required", "*** System restart required ***\n");
    assert!(machine.facts().reboot_required().unwrap().unwrap().ends_with("reboot-required` is there"));
    machine.write("run/reboot-required.pkgs", "linux-image-6\nlibc6\nlinux-image-6\n");
    assert_eq!(machine.facts().reboot_required().unwrap().as_deref(), Some("for libc6, linux-image-6"));

    let amazon = |seconds: u64| {
        let said = format!("package kernel-rt is not installed\nkernel\t{seconds}\nglibc\t1000\n");
        let machine = Machine::new().program_ends("rpm", 1, &said, "");
        machine.write("etc/os-release", "ID=amzn\n");
        machine.facts().reboot_required().unwrap()
    };
    assert_eq!(amazon(2000), None);
    assert_eq!(amazon(32_000_000_000).as_deref(), Some("for kernel"));
}
