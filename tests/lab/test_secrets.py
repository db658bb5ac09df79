"""Secrets come before any change, or nothing happens at all."""

import re

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


def test_a_dry_run_with_online_says_which_are_there_and_reads_none(aws, equip):
    agent = member(aws, equip, {"/open/one": PRESENT["/open/one"]})
    run = agent.run(PLAYBOOK, "--dry-run", "--online")
    (said,) = [event["text"] for event in run.of("notice") if "before its first change" in event["text"]]
    assert run.code == 10 and "/team/first" in said and "/team/second" in said and "/open/one" not in said, run
    s1.put_parameters(aws, PRESENT)
    run = agent.run(PLAYBOOK, "--dry-run", "--online")
    (said,) = [event["text"] for event in run.of("notice")]
    assert run.code == 10 and said == "secrets in AWS: `open` (version 2), `first` (version 1), `second` (version 1)", run
    asked = calls(aws, "GetParameter*")
    assert len(asked) == 2 and not any(call["params"].get("WithDecryption") for call in asked), "no value is to be deciphered"
    assert not [value for value in PRESENT.values() if value in run.said], run
    assert agent.run(PLAYBOOK, "--dry-run").of("notice") == [] and not agent.exists("/srv/plain")


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


def test_what_a_file_does_not_hold_is_asked_of_aws(aws, equip):
    agent = member(aws, equip, {"/team/second": PRESENT["/team/second"]})
    agent.machine.exec(["tee", "/root/secrets.yaml"], input="open: given-by-the-file\n")
    run = agent.run(PLAYBOOK, "--secrets-from", "/root/secrets.yaml")
    assert run.code == 1 and "/team/first" in run.said and "/open/one" not in run.said, run
    assert "does not hold: `first`, `second`" in run.said, run
    assert not agent.exists("/srv/plain")
    s1.put_parameters(aws, {"/team/first": PRESENT["/team/first"]})
    run = agent.run(PLAYBOOK, "--secrets-from", "/root/secrets.yaml")
    assert run.code == 0, run
    settings = agent.machine.read("/srv/settings")
    assert "given-by-the-file" in settings and PRESENT["/team/first"] in settings
    # A dry-run asks nobody, and says once what it goes without.
    aws.clear_journal()
    agent.machine.exec(["rm", "/srv/settings"])
    plan = agent.run(PLAYBOOK, "--dry-run", "--secrets-from", "/root/secrets.yaml")
    assert plan.code == 10 and calls(aws, "GetParameters") == [], plan
    assert [event["text"] for event in plan.of("notice")] == [
        "the file of `--secrets-from` does not hold `first`, `second`; what needs them cannot be told"
    ]
    assert "unknown" in plan.endings.values() and "unchanged" in plan.endings.values(), plan


def test_role_credentials_that_never_come_are_no_denial(aws, equip):
    agent = equip()
    run = agent.run(PLAYBOOK.replace("name: secrets", "name: secrets\ndeadline: 8s"))
    assert run.code == 1, run
    (failed,) = run.of("run_failed")
    assert re.fullmatch(r"no role credentials appeared within \d s", failed["reason"]["because"][0]), run
    assert "attach an instance profile" in failed["reason"]["hint"], run
    assert "denied" not in run.said and "/team/first" not in run.said, run
    assert run.seconds < 15, "each name waited for them anew"
    assert calls(aws, "GetParameters") == [] and not agent.exists("/srv/plain")


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
