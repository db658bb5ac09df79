"""The metadata service: slow, absent, silent, and in version 2 only."""

import pytest
from scenario import answers, hits
from simulator import s1

FACTS = """
version: 1
name: facts
steps:
  - file: { path: /srv/facts, content: "{{ instance.id }} {{ instance.region }}\\n" }
"""
PLAIN = """
version: 1
name: plain
steps:
  - file: { path: /srv/plain, content: plain }
"""
SECRET = """
version: 1
name: secret
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
secrets: { word: "ssm:/word" }
steps:
  - file: { path: /srv/word, content: "{{ secrets.word }} of {{ instance.id }}", mode: "0600" }
"""


def member(aws, equip):
    s1.create(aws, parameters={"/word": "a-word-nobody-knows"}, desired=0)
    return equip(group=s1.GROUP, role=s1.ROLE)


def test_slow_answers_are_waited_for(aws, equip):
    agent = member(aws, equip)
    rule = aws.fault("latency", service="imds", instance=agent.machine.name, seconds=1.5)
    run = agent.run(SECRET, trigger="boot")
    assert run.code == 0 and hits(aws, rule) > 2, run
    assert agent.machine.read("/srv/word") == f"a-word-nobody-knows of {agent.machine.name}"
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]


def test_a_dry_run_asks_once_and_not_for_long(aws, equip):
    agent = member(aws, equip)
    rule = aws.fault("latency", service="imds", instance=agent.machine.name, seconds=10)
    run = agent.run(FACTS, "--dry-run")
    assert run.code == 10 and list(run.endings.values()) == ["unknown"], run
    assert run.seconds < 5 and hits(aws, rule) == 1, run
    aws.clear_faults()
    # On EC2 somebody is there to answer, though not within a blink: three answers come before the facts are known.
    rule = aws.fault("latency", service="imds", instance=agent.machine.name, seconds=0.1)
    run = agent.run(FACTS, "--dry-run")
    assert list(run.endings.values()) == ["would_change"] and hits(aws, rule) > 1, run


@pytest.fixture
def stranger(equip):
    """A machine that nothing says is EC2's, in a network without the metadata address."""
    agent = equip(boot=False)
    agent.machine.write("/etc/machine-uuid", "7b5c0b5e-9e0f-4d67-8a4f-0a3c1f6f0d11\n")
    agent.machine.boot().wait()
    agent.machine.exec(["ip", "route", "add", "unreachable", "169.254.169.254"])
    return agent


def test_where_there_is_no_metadata_there_is_nobody_to_tell(aws, stranger):
    run = stranger.run(PLAIN, trigger="boot")
    assert run.code == 0 and stranger.exists("/srv/plain") and run.seconds < 30, run
    assert any("nobody" in text for text in run.verdicts), run
    assert aws.journal(instance=stranger.machine.name) == []


def test_a_step_that_needs_it_says_so(stranger):
    run = stranger.run(FACTS)
    assert run.code == 1 and "`instance" in run.said and not stranger.exists("/srv/facts"), run


@pytest.mark.parametrize("how", [pytest.param(how, marks=pytest.mark.full) for how in ("drop", "hang")])
def test_an_instance_whose_metadata_never_answers_is_not_touched(aws, agent, how):
    """It looks like EC2 and must not be taken for a stranger: its verdict would be lost without a word."""
    rule = aws.fault(how, service="imds", instance=agent.machine.name)
    run = agent.run(PLAIN, trigger="boot")
    assert run.code == 1 and "metadata service" in run.said and "hint: " in run.said, run
    assert hits(aws, rule) > 0 and run.seconds < 90, run
    assert not agent.exists("/srv/plain")


def test_version_1_is_never_asked(aws, equip):
    agent = member(aws, equip)
    machine = agent.machine
    # The lab's service answers version 2 only: a request without a token would be a 401 in the journal.
    machine.exec(["curl", "--silent", "http://169.254.169.254/latest/meta-data/"])
    # Only this machine's own: programs of the host that look for credentials find the same address.
    assert [call["status"] for call in aws.journal(service="imds", instance=machine.name)] == [401]
    aws.clear_journal()
    assert agent.run(SECRET, trigger="boot").code == 0
    asked = aws.journal(service="imds", instance=machine.name)
    assert asked and asked[0]["action"] == "PutToken"
    assert {call["status"] for call in asked} <= {200, 404}

    # Nor when tokens are refused: then it is an error, not a reason to go back.
    aws.clear_journal()
    rule = aws.fault("error", service="imds", instance=machine.name, action="PutToken", status=403, code="Forbidden")
    run = agent.run(FACTS)
    assert run.code == 1 and hits(aws, rule) > 0, run
    assert aws.journal(service="imds", instance=machine.name, action="Get") == []


def test_no_proxy_is_asked_for_metadata(aws, agent, lab):
    proxy = f"http://{lab.network.aws}:9"
    run = agent.run(FACTS, environment={"http_proxy": proxy, "HTTP_PROXY": proxy, "no_proxy": "", "NO_PROXY": ""})
    assert run.code == 0, run
    assert agent.machine.read("/srv/facts") == f"{agent.machine.name} us-east-1\n"
