"""`agent wrap`: a script that somebody already has, with heartbeats, the right verdict, its output shipped and evidence of its failure."""

import pytest
from instance.agent import Running
from scenario import answers, calls, until
from simulator import s1

pytestmark = pytest.mark.full

GROUP = "/aws/ec2/wrapped"


@pytest.fixture
def wrap(aws, equip):
    """Runs a script under `agent wrap` on an instance that waits for its hook."""

    def start(script: str, *options: str, heartbeat: int = s1.HEARTBEAT):
        s1.create(aws, desired=0, heartbeat=heartbeat)
        agent = equip(group=s1.GROUP, role=s1.ROLE)
        aws.replacement(s1.GROUP, False)
        agent.machine.exec(["tee", "/root/bootstrap.sh"], input=f"#!/bin/sh\n{script}\n")
        agent.machine.exec(["chmod", "+x", "/root/bootstrap.sh"])
        words = ["wrap", "--json", "--logs", GROUP, *options, "--", "/root/bootstrap.sh", "one two", "{{ three }}"]
        return agent, Running(agent.machine.inside(agent.command(words, {"MINE": "it's {{ mine }}"})))

    return start


def test_a_script_that_works_goes_into_service(aws, wrap):
    agent, running = wrap('printf "%s|" "$@" "$MINE" "$PWD" > /srv/given; echo the work is done')
    done = running.wait(120)
    assert done.code == 0 and answers(aws, agent.machine.name) == ["CONTINUE by call"], done
    assert agent.machine.read("/srv/given") == "one two|{{ three }}|it's {{ mine }}|/|"
    shipped = [event["message"] for event in aws.logs(GROUP, agent.machine.name)]
    assert any("the work is done" in line for line in shipped), shipped


def test_a_script_that_fails_leaves_evidence(aws, wrap):
    agent, running = wrap("echo no such broker >&2; exit 3")
    done = running.wait(120)
    assert done.code == 1 and answers(aws, agent.machine.name) == ["ABANDON by call"], done
    agent.machine.poweroff()
    assert "no such broker" in aws.console(agent.machine.name)


def test_a_script_that_takes_long_keeps_the_hook_waiting(aws, wrap):
    agent, running = wrap("while [ ! -e /srv/go ]; do sleep 0.2; done", "--deadline", "10m", heartbeat=30)
    until(lambda: len(calls(aws, "RecordLifecycleActionHeartbeat")) >= 3 or not running.alive(), 120, "heartbeats")
    agent.machine.exec(["touch", "/srv/go"])
    done = running.wait(120)
    assert done.code == 0 and answers(aws, agent.machine.name) == ["CONTINUE by call"], done
