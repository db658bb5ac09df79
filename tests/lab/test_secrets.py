"""Secrets come before any change, or nothing happens at all."""

from scenario import answers, calls, hits
from simulator import s1

PLAYBOOK = """
version: 1
name: secrets
secrets:
  open: ssm:/open/one
  first: ssm:/team/first
  second: ssm:/team/second
steps:
  - file: { path: /srv/plain, content: plain }
  - env_file: { path: /srv/settings, values: { OPEN: "{{ secrets.open }}", FIRST: "{{ secrets.first }}" } }
"""
PRESENT = {"/open/one": "value-of-open-one", "/team/first": "value-of-first", "/team/second": "value-of-second"}


def member(aws, equip, parameters, **attachment):
    s1.create(aws, parameters=parameters, desired=0, hooks=())
    return equip(group=s1.GROUP, role=s1.ROLE, **attachment)


def test_all_missing_names_are_listed_before_anything_changes(aws, equip):
    agent = member(aws, equip, {"/open/one": PRESENT["/open/one"]})
    run = agent.run(PLAYBOOK)
    assert run.code == 1, run
    assert "/team/first" in run.said and "/team/second" in run.said and "/open/one" not in run.said, run
    assert not agent.exists("/srv/plain")
    assert run.of("change") == [] and run.of("step_started") == []
    asked = calls(aws, "GetParameters")
    assert [sorted(call["names"]) for call in asked] == [sorted(PRESENT)], "one request for all names"
    # With the names there it goes through: it was the missing names that stopped it.
    s1.put_parameters(aws, PRESENT)
    run = agent.run(PLAYBOOK)
    assert run.code == 0 and PRESENT["/open/one"] in agent.machine.read("/srv/settings"), run
    assert not [value for value in PRESENT.values() if value in run.said]


def test_missing_names_are_the_reason_a_boot_is_abandoned_for(aws, equip):
    s1.create(aws, parameters={"/open/one": PRESENT["/open/one"]}, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    aws.replacement(s1.GROUP, False)
    run = agent.run(PLAYBOOK, trigger="boot")
    assert run.code == 1 and answers(aws, agent.machine.name) == ["ABANDON by call"], run
    assert not agent.exists("/srv/plain")
    agent.machine.poweroff()
    console = aws.console(agent.machine.name)
    assert "/team/first" in console and "/team/second" in console and PRESENT["/open/one"] not in console, console[-3000:]


def test_a_denied_name_is_named_with_the_action(aws, equip):
    agent = member(aws, equip, PRESENT)
    rule = aws.fault("access_denied", service="ssm", action="GetParameter*", name="/team/second")
    run = agent.run(PLAYBOOK)
    assert run.code == 1 and hits(aws, rule) > 0, run
    assert "/team/second" in run.said and "ssm:GetParameters" in run.said, run
    assert "`/team/first`" not in run.said and "`/open/one`" not in run.said, run
    assert not agent.exists("/srv/plain")
    aws.clear_faults()
    assert agent.run(PLAYBOOK).code == 0


def test_every_denied_name_of_a_batch_is_named(aws, equip):
    agent = member(aws, equip, PRESENT)
    rule = aws.fault("access_denied", service="ssm", action="GetParameter*", name="/team/*")
    run = agent.run(PLAYBOOK)
    assert run.code == 1 and hits(aws, rule) > 1, run
    assert "/team/first" in run.said and "/team/second" in run.said and "`/open/one`" not in run.said, run
    assert not agent.exists("/srv/plain")


def test_throttling_is_waited_out(aws, equip):
    agent = member(aws, equip, PRESENT)
    rule = aws.fault("throttle", service="ssm", count=3)
    run = agent.run(PLAYBOOK)
    assert run.code == 0 and hits(aws, rule) == 3, run
    assert len(calls(aws, "GetParameters")) == 4


def test_role_credentials_that_appear_after_10_s(aws, equip):
    agent = member(aws, equip, PRESENT)
    instance = agent.machine.name
    # Counted from now, however long the machine took to boot.
    aws.attach(instance, credentials_after=10)
    run = agent.run(PLAYBOOK)
    assert run.code == 0, run
    roles = aws.journal(service="imds", instance=instance, name="*/iam/security-credentials*")
    assert [call["status"] for call in roles].count(404) > 0, "the credentials were there from the start"
    assert roles[-1]["status"] == 200 and calls(aws, "GetParameters")[0]["access_key"].startswith("ASIA")
    assert agent.exists("/srv/settings")
