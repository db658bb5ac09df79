"""Warm pools: one pass to prepare, a rest, and a second pass into service."""

import os
import signal

import pytest
from instance.command import run
from scenario import answers, until, warm_up
from simulator import s1

PLAYBOOK = """
version: 1
name: warm
deadline: 2m
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
steps:
  - file: { path: /srv/warming, content: "{{ instance.lifecycle.warming }}\\n" }
"""
BOTH = ["CONTINUE by call"] * 2


@pytest.fixture
def warmed(aws, equip):
    """An instance after its first pass, asleep in a pool of the given kind."""

    def start(pool_state):
        instance = warm_up(aws, pool_state)
        agent = equip(instance=instance, role=s1.ROLE)
        done = agent.install(PLAYBOOK).wait()
        assert done.code == 0, done
        assert answers(aws, instance) == ["CONTINUE by call"], done
        assert aws.instance(instance)["lifecycle_state"] == f"Warmed:{pool_state}"
        assert agent.machine.read("/srv/warming").lower() == "true\n"
        return agent

    return start


def in_service(aws, agent):
    aws.wait_for(agent.machine.name, "InService", 60)
    assert answers(aws, agent.machine.name) == BOTH
    phases = [answer["phase"] for answer in aws.instance(agent.machine.name)["finished"]]
    assert phases == ["Warmed:Pending", "Pending"]
    # The second pass was a run of its own, not only a second answer.
    until(lambda: agent.machine.read("/srv/warming").lower() == "false\n", 10, "the second pass's own run")


def test_stopped_and_started_again(aws, warmed):
    agent = warmed("Stopped")
    agent.machine.poweroff()
    aws.to_service(agent.machine.name)
    agent.machine.boot().wait()
    in_service(aws, agent)


def test_kept_running(aws, warmed):
    agent = warmed("Running")
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]
    aws.to_service(agent.machine.name)
    in_service(aws, agent)


def test_hibernated_and_woken_up(aws, warmed, lab):
    agent = warmed("Hibernated")
    machine = agent.machine
    # Memory is kept and nothing runs: what hibernation looks like from the inside, but for the clock, which is the simulator's.
    space = lab.network.instance(machine.name)
    pids = [int(pid) for pid in run(["ip", "netns", "pids", space]).stdout.split()]
    assert len(pids) > 5
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        aws.advance(3600)
        aws.to_service(machine.name)
        assert aws.instance(machine.name)["lifecycle_state"] == "Pending:Wait"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    in_service(aws, agent)


def test_a_warming_pass_that_fails_is_abandoned(aws, equip):
    instance = warm_up(aws, "Stopped")
    aws.replacement(s1.GROUP, False)
    agent = equip(instance=instance, role=s1.ROLE)
    done = agent.install(PLAYBOOK + '  - command: { argv: ["false"], always: true }\n').wait()
    assert done.code == 1, done
    assert answers(aws, instance) == ["ABANDON by call"]
    assert aws.instance(instance)["lifecycle_state"] == "Warmed:Terminated"
