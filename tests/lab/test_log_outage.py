"""A day on which the log service takes nothing: its clock moves, credentials expire, logrotate rotates, and nothing is lost."""

import json
import time

import pytest
from scenario import until
from simulator import s1

pytestmark = pytest.mark.full
GROUP = "/aws/ec2/outage"
STATUS = "/var/lib/bootstrap-agent/logs/status.json"
PLAYBOOK = """
version: 1
name: outage
logs:
  group: /aws/ec2/outage
  stream: file
  retention: 7d
  tags: { team: lab, of: "{{ name }}" }
  sources:
    - file: /var/log/app.log
    - { unit: talker.service, stream: journal }
steps:
  - packages: [logrotate]
  - file:
      path: /etc/logrotate.d/app
      content: |
        /var/log/app.log {
          rotate 7
          compress
          delaycompress
          create
          nodateext
        }
  - file:
      path: /usr/local/bin/talker
      mode: "0755"
      content: |
        #!/bin/sh
        n=0
        while :; do echo "entry $n"; n=$((n + 1)); sleep 0.2; done
  - systemd_unit:
      name: talker.service
      Unit: { Description: Counts }
      Service: { ExecStart: /usr/local/bin/talker }
"""
HOURS = 8


def test_a_day_without_the_service_loses_nothing(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    machine = agent.machine
    assert agent.install(PLAYBOOK).wait(300).code == 0
    written = 0

    def write(count):
        nonlocal written
        text = "".join(f"line {number}\n" for number in range(written, written + count))
        machine.exec(["tee", "--append", "/var/log/app.log"], input=text)
        written += count

    def came(stream, word):
        if stream not in aws.log_groups().get(GROUP, {"streams": []})["streams"]:
            return []
        return [event["message"] for event in aws.logs(GROUP, stream) if event["message"].startswith(word)]

    write(1000)
    until(lambda: len(came("file", "line ")) == written, 60, "the lines before the outage")
    until(lambda: came("journal", "entry "), 60, "the journal before the outage")
    assert aws.log_groups()[GROUP]["retention"] == 7

    outage = aws.fault("drop", service="logs")
    for _ in range(24 // HOURS):
        write(5000)
        machine.exec(["logrotate", "--force", "/etc/logrotate.d/app"])
        aws.advance(HOURS * 3600)
        time.sleep(6)
    write(1000)
    # It knows, and says so.
    until(lambda: json.loads(machine.read(STATUS))["trouble"], 60, "the trouble in the status")
    assert len(came("file", "line ")) == 1000
    assert machine.exec(["sh", "-c", "ls /var/log/app.log*"]).stdout.split() == [
        f"/var/log/app.log{suffix}" for suffix in ("", ".1", ".2.gz", ".3.gz")
    ]
    aws.clear_faults(outage)

    until(lambda: len(came("file", "line ")) >= written, 120, "the lines of a day")
    newest = int(machine.exec(["sh", "-c", "journalctl --unit=talker.service --output=cat --lines=1"]).stdout.split()[1])
    until(lambda: len(came("journal", "entry ")) > newest, 60, "the journal of a day")
    time.sleep(12)
    assert sorted(came("file", "line "), key=lambda line: int(line.split()[1])) == [f"line {number}" for number in range(written)]
    entries = came("journal", "entry ")
    assert entries == [f"entry {number}" for number in range(len(entries))] and len(entries) > newest
    status = json.loads(machine.read(STATUS))
    assert status["trouble"] is None and status["figures"]["retries"] > 0
    assert [name for name, count in status["figures"].items() if name.startswith("dropped") and count] == []
