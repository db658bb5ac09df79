"""Units that crash, and health that never comes: what is said, how soon, and where it can still be read afterwards."""

from scenario import answers
from simulator import s1

CRASHING = """
version: 1
name: crashing
deadline: 5m
steps:
  - systemd_unit:
      name: crashing.service
      Unit: { Description: Ends at once }
      Service: { ExecStart: "/bin/sh -c 'echo the database refuses us >&2; exit 3'", Restart: RESTART, RestartSec: 200ms }
  - health: { tcp: "localhost:8000", unit: crashing.service, ready_within: 3m }
"""
NEVER_HEALTHY = """
version: 1
name: never-healthy
deadline: 12s
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
logs: { group: /aws/ec2/never-healthy, retention: 7d }
steps:
  - systemd_unit:
      name: deaf.service
      Unit: { Description: Listens to nobody }
      Service: { ExecStart: "/bin/sh -c 'echo warming up; exec sleep infinity'" }
  - id: answers
    health: { http: "http://localhost:8000/healthcheck", unit: deaf.service, ready_within: 3m }
"""


def crash(agent, restart):
    run = agent.run(CRASHING.replace("RESTART", restart))
    assert run.code == 1, run
    failed = [label for label, ending in run.endings.items() if ending == "failed"]
    assert failed, run
    assert "the database refuses us" in run.failure(failed[0]), run
    assert "`crashing.service`" in run.failure(failed[0]), run
    assert run.seconds < 90, "the health's time was waited for"


def test_a_unit_that_ends_at_start_shows_its_journal(agent):
    crash(agent, "no")


def test_a_unit_that_restarts_in_a_loop_fails_at_once(agent):
    crash(agent, "always")
    # The same unit with a program that stays is fine: it was the crash that failed it.
    mended = CRASHING.replace("exit 3", "exec sleep infinity").replace("RESTART", "always").partition("  - health")[0]
    assert agent.run(mended).code == 0


RELOADED = """
version: 1
name: reloaded
vars: { word: one }
steps:
  - id: settings
    file: { path: /etc/reader.conf, content: "{{ word }}\\n" }
  - systemd_unit:
      name: reader.service
      Unit: { Description: Reads its configuration again when told }
      Service:
        ExecStart: "/bin/sh -c 'cat /etc/reader.conf >> /srv/started; exec sleep infinity'"
        ExecReload: "/bin/sh -c 'cat /etc/reader.conf >> /srv/reloaded'"
      reload_on: [settings]
"""


def test_a_unit_is_reloaded_and_not_restarted_where_that_is_enough(agent):
    assert agent.run(RELOADED).code == 0
    assert agent.run(RELOADED).endings == {"settings": "unchanged", "systemd_unit reader.service": "unchanged"}
    assert not agent.exists("/srv/reloaded"), "a unit that has just started has read what there is"
    changed = agent.run(RELOADED, "--set", "word=two")
    assert set(changed.endings.values()) == {"changed"}, changed
    assert (agent.machine.read("/srv/started"), agent.machine.read("/srv/reloaded")) == ("one\n", "two\n")
    again = agent.run(RELOADED, "--set", "word=two")
    assert set(again.endings.values()) == {"unchanged"}, again


def test_health_that_never_comes_is_abandoned_with_evidence(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    aws.replacement(s1.GROUP, False)
    instance = agent.machine.name
    run = agent.run(NEVER_HEALTHY, trigger="boot")
    assert run.code == 1, run
    assert run.endings["answers"] == "failed", run
    why = run.failure("answers")
    assert "refused" in why.lower() and "warming up" in why, run
    # The deadline is the run's only clock: ready_within is cut to what is left, and it is said who used it up.
    assert 10 < run.seconds < 90, "deadline and flush, not `ready_within`"
    assert "deadline" in run.said and "12" in why, run
    assert answers(aws, instance) == ["ABANDON by call"]
    assert aws.instance(instance)["lifecycle_state"] == "Terminated"

    # Cutting its power would lose what is on its way to the console.
    agent.machine.poweroff()
    console = aws.console(instance)
    assert "answers" in console and "warming up" in console, console[-3000:]
    group = aws.log_groups()["/aws/ec2/never-healthy"]
    assert group == {"retention": 7, "streams": [instance]}
    stream = aws.logs("/aws/ec2/never-healthy", instance)
    evidence = [event for event in stream if "answers" in event["message"] and "warming up" in event["message"]]
    (answer,) = aws.instance(instance)["finished"]
    assert evidence and evidence[0]["ingestion"] <= answer["time"] * 1000, (answer, stream)
