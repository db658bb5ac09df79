"""Convergence: what has drifted is repaired or reported, as `converge:` says, with exactly the restarts it needs."""

import json

import pytest
from simulator import s1

GROUP = "/aws/ec2/drift"
CODE = "/srv/app/word"
CONVERGE = "bootstrap-agent-converge.service"
PLAYBOOK = """
version: 1
name: drift
converge: MEANING
logs: { group: /aws/ec2/drift, retention: 7d }
secrets:
  key: ssm:/deploy-key
steps:
  - packages: [tree]
  - id: code
    git:
      url: git@bitbucket.org:team/drifting.git
      revision: main
      path: /srv/app
      ssh_key: "{{ secrets.key }}"
  - id: settings
    file: { path: /etc/reader.conf, content: "as wished\\n" }
  - id: reader
    systemd_unit:
      name: reader.service
      Unit: { Description: Reads its settings at its start }
      Service: { ExecStart: "/bin/sh -c 'cat /etc/reader.conf /srv/app/word >> /srv/read; exec sleep infinity'" }
      restart_on: [settings, code]
  - id: every_time
    command: { script: "date >> /srv/runs", always: true }
  - id: bystander
    systemd_unit:
      name: bystander.service
      Unit: { Description: Reads nothing }
      Service: { ExecStart: "/bin/sleep infinity" }
"""


@pytest.fixture
def word(lab, tmp_path):
    """Commits a word to the branch."""
    def commit(text):
        fresh = not (tmp_path / "word").exists()
        (tmp_path / "word").write_text(text + "\n")
        if fresh:
            lab.bitbucket.repository("team/drifting.git", tmp_path)
        else:
            lab.bitbucket.push("team/drifting.git", tmp_path, f"the {text} word")

    return commit


@pytest.fixture
def drifting(aws, equip, lab, word):
    """An instance that was bootstrapped, on which everything that can drift has drifted since."""
    s1.create(aws, parameters={"/deploy-key": lab.bitbucket.deploy_key}, desired=0, hooks=())
    agent = equip(group=s1.GROUP, role=s1.ROLE)

    def start(meaning):
        word("first")
        installed = agent.install(PLAYBOOK.replace("MEANING", meaning)).wait(300)
        assert installed.code == 0, installed
        assert agent.machine.read("/srv/read") == "as wished\nfirst\n"
        agent.machine.exec(["systemctl", "stop", "reader.service"])
        agent.machine.exec(["apt-get", "-q", "-y", "remove", "tree"], timeout=120)
        agent.machine.exec(["sh", "-c", "echo edited by hand > /etc/reader.conf; rm /srv/read"])
        word("second")
        return agent

    return start


def converge(agent):
    """A run as the timer starts it; returns its record and what `agent status` says of it."""
    agent.machine.exec(["systemctl", "start", CONVERGE], check=False, timeout=300)
    status = agent.status()
    assert status["trigger"] == "timer", status
    return status, agent.machine.exec(agent.command(["status"]), check=False).stdout


def bystander(agent):
    """When the unit that nothing concerns was started."""
    return agent.machine.exec(["systemctl", "show", "--property=MainPID,ExecMainStartTimestampMonotonic", "bystander.service"]).stdout


def is_installed(agent):
    return "ok installed" in agent.machine.exec(["dpkg-query", "--status", "tree"], check=False).stdout


def drifts(aws):
    """What the metric of each timer run says, in order."""
    lines = [json.loads(event["message"]) for event in aws.logs(GROUP) if '"Drift"' in event["message"]]
    return [line["Drift"] for line in lines]


@pytest.mark.full
def test_the_configuration_is_repaired_and_the_revision_stays(aws, drifting):
    agent = drifting("config")
    before = bystander(agent)
    status, _ = converge(agent)
    assert status["outcome"] == {"is": "converged"}, status
    assert is_installed(agent) and agent.machine.read("/etc/reader.conf") == "as wished\n"
    # One start, with the settings as wished and the revision that was deployed.
    assert agent.machine.read("/srv/read") == "as wished\nfirst\n" and agent.machine.read(CODE) == "first\n"
    assert bystander(agent) == before
    assert converge(agent)[0]["outcome"] == {"is": "converged"} and agent.machine.read("/srv/read") == "as wished\nfirst\n"
    # What is not deployed has drifted too, again and again.
    assert drifts(aws) == [4, 1]


@pytest.mark.full
def test_with_all_the_new_revision_is_deployed_too(aws, drifting):
    agent = drifting("all")
    before = bystander(agent)
    assert converge(agent)[0]["outcome"] == {"is": "converged"}
    assert is_installed(agent) and agent.machine.read("/srv/read") == "as wished\nsecond\n" and agent.machine.read(CODE) == "second\n"
    assert bystander(agent) == before and drifts(aws) == [4]


@pytest.mark.full
def test_a_report_repairs_nothing_and_says_what_has_drifted(aws, drifting):
    agent = drifting("report")
    before = bystander(agent)
    status, said = converge(agent)
    assert status["outcome"]["is"] == "drifted", status
    for word in ("packages tree", "settings", "reader", "code"):
        assert word in said, said
    assert not is_installed(agent) and agent.machine.read("/etc/reader.conf") == "edited by hand\n"
    assert agent.machine.read(CODE) == "first\n" and not agent.exists("/srv/read")
    # Whoever only looks cannot tell what a unit will need once the package and the settings are back: only what is seen is drift.
    assert bystander(agent) == before and drifts(aws) == [3], said
