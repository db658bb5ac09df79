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
