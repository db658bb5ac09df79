"""A full disk: a clear error, the old content whole, and a next run that finishes."""

import hashlib

OLD = "old\n" * 1024
NEW = "x" * 99 + "\n"
PLAYBOOK = f"""
version: 1
name: disk
steps:
  - file:
      path: /srv/small/config
      content: |
{"        " + ("        ".join([NEW] * 1000))}"""


def test_a_full_disk(agent):
    machine = agent.machine
    machine.exec(["mkdir", "/srv/small"])
    machine.exec(["mount", "-t", "tmpfs", "-o", "size=48k", "small", "/srv/small"])
    machine.exec(["tee", "/srv/small/config"], input=OLD)
    run = agent.run(PLAYBOOK)
    assert run.code == 1, run
    label = next(iter(run.endings))
    why = run.failure(label)
    assert "disk is full" in why and "`/srv/small/config" in why and "no space left" in why.lower(), run
    assert machine.read("/srv/small/config") == OLD
    assert machine.exec(["ls", "-A", "/srv/small"]).stdout == "config\n", "half a file was left behind"
    machine.exec(["mount", "-o", "remount,size=1m", "/srv/small"])
    run = agent.run(PLAYBOOK)
    assert run.code == 0 and run.endings == {label: "changed"}, run
    digest = machine.exec(["sha256sum", "/srv/small/config"]).stdout.split()[0]
    assert digest == hashlib.sha256((NEW * 1000).encode()).hexdigest()


def test_a_full_disk_for_the_agents_own_state(agent):
    """Where not even the run record fits, nothing is begun."""
    machine = agent.machine
    machine.exec(["mkdir", "/srv/state"])
    machine.exec(["mount", "-t", "tmpfs", "-o", "size=4k", "state", "/srv/state"])
    machine.exec(["sh", "-c", "yes > /srv/state/ballast || true"])
    playbook = "version: 1\nname: state\nsteps:\n  - file: { path: /srv/done, content: done }\n"
    run = agent.run(playbook, "--state-dir", "/srv/state")
    assert run.code == 1 and "disk is full" in run.said, run
    assert not agent.exists("/srv/done")
    machine.exec(["rm", "/srv/state/ballast"])
    assert agent.run(playbook, "--state-dir", "/var/lib/elsewhere").code == 0
