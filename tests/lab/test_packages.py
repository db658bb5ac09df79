"""Packages: what does not exist, and a package manager that somebody else is using."""

from scenario import until

MISSING = """
version: 1
name: packages
steps:
  - packages: [no-such-package-anywhere]
  - file: { path: /srv/after, content: after }
"""
PRESENT = """
version: 1
name: packages
steps:
  - packages: [tree]
"""
# What unattended-upgrades does at boot: dpkg's own lock, by its own means, held for a while.
HOLDER = """
import fcntl, os, sys, time
with open('/var/lib/dpkg/lock-frontend', 'w') as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    open('/run/held', 'w').close()
    time.sleep(20)
"""


def test_a_package_that_does_not_exist_is_named(agent):
    run = agent.run(MISSING, seconds=180)
    assert run.code == 1, run
    assert list(run.endings.values()) == ["failed", "not_started"], run
    label = next(iter(run.endings))
    assert "`no-such-package-anywhere`" in run.failure(label), run
    assert not agent.exists("/srv/after")


def test_a_lock_held_for_20_s_is_waited_for_and_its_holder_named(agent):
    machine = agent.machine
    machine.exec(["apt-get", "-q", "update"], timeout=300)
    machine.exec(["systemd-run", "--unit=holder", "python3", "-c", HOLDER])
    until(lambda: agent.exists("/run/held"), 30, "the holder")
    pid = machine.exec(["systemctl", "show", "--property=MainPID", "--value", "holder"]).stdout.strip()
    run = agent.run(PRESENT, seconds=180)
    assert run.code == 0, run
    waiting = " ".join(event["reason"] for event in run.of("step_waiting"))
    assert "python3" in waiting and pid in waiting, run
    assert run.seconds > 12, "the lock was not in the way"
    assert "ok installed" in machine.exec(["dpkg-query", "--status", "tree"]).stdout
    assert list(agent.run(PRESENT).endings.values()) == ["unchanged"]
