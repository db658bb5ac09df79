"""A run that reboots its machine: it goes on after it, the verdict comes then, and nothing goes round in circles."""

import pytest
from instance.agent import STATE
from scenario import answers, until
from simulator import s1

pytestmark = pytest.mark.full

BOOT = "bootstrap-agent.service"
# As a new kernel's package does it; the mark is on tmpfs, and gone with the boot.
PLAYBOOK = """
version: 1
name: reboot
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
deadline: 10m
steps:
  - id: kernel
    command: { script: "touch /run/reboot-required; echo linux-image > /run/reboot-required.pkgs; touch /srv/kernel", creates: /srv/kernel }
  - id: settle
    reboot: { when_required: true }
  - id: after
    needs: []
    file: { path: /srv/after, content: "after\\n" }
"""
# A reason that no reboot takes away.
STUBBORN = PLAYBOOK.replace("reboot: { when_required: true }", "reboot: { only_if: [test, -e, /srv/kernel] }")


@pytest.fixture
def member(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    aws.replacement(s1.GROUP, False)
    return agent


def boot_id(agent):
    return agent.machine.read("/proc/sys/kernel/random/boot_id").strip()


def installed(agent, playbook):
    """Installs it and returns when the machine has rebooted and its boot run is over."""
    before = agent.machine.leader()
    agent.put(playbook)
    agent.machine.exec(agent.command(["install", "--playbook", "/root/playbook.yaml", "--no-timer", "--no-follow"]))
    until(lambda: agent.machine.leader() not in (None, before), 300, "a reboot asked for from inside")
    agent.machine.wait()
    until(lambda: boot_run_is_over(agent), 300, "the boot run after the reboot")


def boot_run_is_over(agent):
    return agent.machine.exec(["systemctl", "is-active", BOOT], check=False).stdout.strip() in ("inactive", "failed")


def records(agent):
    """The records of all runs, oldest first."""
    names = sorted(agent.machine.exec(["ls", f"{STATE}/runs"]).stdout.split())
    return [agent.machine.read(f"{STATE}/runs/{name}") for name in names]


def test_a_boot_run_reboots_goes_on_and_gives_its_verdict(aws, member):
    planned = member.run(PLAYBOOK, "--dry-run")
    assert planned.code == 10 and not member.exists("/srv/kernel"), planned
    installed(member, PLAYBOOK)
    first, second = records(member)
    assert '"interrupted":"its own reboot"' in first and "the boot run after" in first, first
    assert "/srv/after" not in first, "what stands below waits for the reboot, whatever its `needs` say"
    assert "goes on after a reboot" in second and '"converged":true' in second, second
    assert member.machine.read("/srv/after") == "after\n"
    assert answers(aws, member.machine.name) == ["CONTINUE by call"]

    # Nothing is left to be done, and no reboot either: by hand, and at the next boot.
    again = member.run(PLAYBOOK)
    assert again.code == 0 and set(again.endings.values()) == {"unchanged"}, again
    member.machine.reboot()
    member.machine.wait()
    until(lambda: boot_run_is_over(member) and len(records(member)) == 4, 300, "the next boot run")
    assert '"converged":true' in records(member)[-1] and "goes on after a reboot" not in records(member)[-1]

    # A new reason later is a reason again: the timer says so and leaves it, a person's run does it.
    member.machine.exec(["touch", "/run/reboot-required"])
    timer = member.run(PLAYBOOK, trigger="timer")
    assert timer.code == 0 and any("reboot" in event["text"] for event in timer.of("notice")), timer
    before = member.machine.leader()
    # As a unit of the instance's own: what is entered from outside is stopped by the shutdown with its parent, which nobody wakes.
    member.machine.exec(["systemd-run", "--unit=by-hand", *member.command(["run", member.put(PLAYBOOK)])])
    until(lambda: member.machine.leader() not in (None, before), 300, "the reboot by hand")
    member.machine.wait()


def test_a_reason_that_a_reboot_does_not_take_away_is_an_error(aws, member):
    installed(member, STUBBORN)
    first, second = records(member)
    assert '"interrupted":"its own reboot"' in first
    assert "the reason is still there" in second and '"converged":false' in second, second
    assert answers(aws, member.machine.name) == ["ABANDON by call"]
    assert not member.exists("/srv/after")
    # Nor does any later run reboot for it.
    here = boot_id(member)
    assert member.run(STUBBORN).code == 1 and boot_id(member) == here
