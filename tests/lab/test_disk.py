"""A full disk: a clear error, the old content whole, and a next run that finishes."""

import hashlib

from instance.agent import STATE
from scenario import answers
from simulator import s1

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


def test_a_disk_too_full_for_the_records_keeps_no_verdict_back(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    aws.replacement(s1.GROUP, False)
    agent.machine.exec(["mkdir", "-m", "0700", STATE])
    agent.machine.exec(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "full", STATE])
    agent.machine.exec(["dd", "if=/dev/zero", f"of={STATE}/filler", "bs=4k"], check=False)
    run = agent.run("version: 1\nname: full\nsteps: [ { file: { path: /srv/done, content: done } } ]", trigger="boot")
    assert run.code == 1 and "the disk is full" in run.err and not agent.exists("/srv/done"), run
    assert answers(aws, agent.machine.name) == ["ABANDON by call"]
