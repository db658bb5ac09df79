"""The lifecycle action: found, decided, reported, and never reported wrong."""

import re
import time

import pytest
from instance.agent import STATE
from scenario import answers, calls, hits, until
from simulator import s1

GIVEN = "lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }"
GOOD = "file: { path: /srv/done, content: done }"
BAD = 'command: { argv: ["sh", "-c", "echo the reason >&2; exit 7"], always: true }'


def playbook(step=GOOD, lifecycle=GIVEN, more=""):
    """One step and what is said about the hook."""
    return f"version: 1\nname: verdict\n{lifecycle}\n{more}\nsteps:\n  - id: only\n    {step}\n"


def completed(aws):
    """Every result that was tried to be reported."""
    return [call["params"]["LifecycleActionResult"] for call in calls(aws, "CompleteLifecycleAction")]


def kept(agent):
    """The records on the instance's disk."""
    return agent.machine.exec(["sh", "-c", f"find {STATE} -type f -size -100k | sort | xargs tail -n +1"]).stdout


def test_a_hook_that_is_given_is_not_looked_up(aws, member):
    agent = member()
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]
    assert calls(aws, "Describe*", service="autoscaling", instance=agent.machine.name) == []
    assert any("CONTINUE" in text for text in run.verdicts), run


def test_a_hook_that_is_not_given_is_found_with_one_look(aws, member):
    agent = member()
    run = agent.run(playbook(lifecycle=""), trigger="boot")
    assert run.code == 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]
    asked = calls(aws, "Describe*", service="autoscaling", instance=agent.machine.name)
    assert sorted(call["action"] for call in asked) == ["DescribeAutoScalingInstances", "DescribeLifecycleHooks"]


@pytest.mark.parametrize("trigger", ["manual", "timer"])
def test_only_a_boot_run_decides(aws, member, trigger):
    agent = member()
    assert agent.run(playbook(), trigger=trigger).code == 0
    assert agent.run(playbook(BAD), trigger=trigger).code == 1
    assert answers(aws, agent.machine.name) == [] and completed(aws) == []


def test_a_failed_step_abandons_after_the_evidence(aws, member):
    agent = member()
    run = agent.run(playbook(BAD), trigger="boot")
    assert run.code == 1 and "the reason" in run.failure("only"), run
    assert answers(aws, agent.machine.name) == ["ABANDON by call"]
    # EC2 keeps what the machine wrote; the lab's hypervisor hands it over every 0.3 s, and when the machine is off.
    agent.machine.poweroff()
    assert "the reason" in aws.console(agent.machine.name)


def test_a_playbook_that_cannot_be_read_is_abandoned_and_shown_by_status(aws, member):
    agent = member()
    assert agent.run(playbook(), trigger="manual").code == 0
    run = agent.run(playbook(step="fille: { path: /srv/done }"), trigger="boot")
    assert run.code == 2, run
    assert answers(aws, agent.machine.name) == ["ABANDON by call"]
    shown = agent.machine.exec(agent.command(["status"]), check=False)
    assert shown.returncode == 1 and shown.stdout.startswith("boot run of"), shown
    assert "`fille`" in shown.stdout and "ABANDON" in shown.stdout, shown


def test_on_failure_continue(aws, member):
    agent = member()
    run = agent.run(playbook(BAD, more="on_failure: continue"), trigger="boot")
    assert run.code == 1, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]


def test_a_hook_that_is_not_there_yet_is_waited_for(aws, member):
    aws.pending_for(300)
    agent = member()
    running = agent.start(playbook(), trigger="boot")
    until(lambda: len(calls(aws, "CompleteLifecycleAction")) >= 2 or not running.alive(), 60, "two attempts that come too early")
    assert aws.instance(agent.machine.name)["lifecycle_state"] == "Pending"
    aws.advance(300)
    run = running.wait()
    assert run.code == 0, run
    refused = [call["error"] for call in calls(aws, "CompleteLifecycleAction")]
    assert 2 <= len(refused) < 20 and refused[-1] == "" and set(refused[:-1]) == {"ValidationError"}, refused
    assert set(completed(aws)) == {"CONTINUE"} and answers(aws, agent.machine.name) == ["CONTINUE by call"]
    assert len(calls(aws, "DescribeAutoScalingInstances")) >= 1, "one Describe tells too early from too late"


def test_a_hook_that_never_comes_is_given_up(aws, equip):
    """The playbook names a hook, and the group has none: a warning, not a wait without end."""
    s1.create(aws, desired=0, hooks=())
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0 and run.seconds < 90, run
    assert 1 <= len(completed(aws)) < 20
    assert any("lifecycle-hook" in text for text in [*run.verdicts, *(event["text"] for event in run.of("notice"))]), run


def test_an_expired_hook_is_over_and_said_to_be(aws, member):
    agent = member(default_result="CONTINUE")
    aws.advance(451)
    assert answers(aws, agent.machine.name) == ["CONTINUE by timeout"]
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0 and run.seconds < 60, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by timeout"]
    assert any(re.search("expired|answered", text) for text in run.verdicts), run
    assert 1 <= len(completed(aws)) < 5
    # Nothing is left over to be sent by a later run.
    count = len(completed(aws))
    assert agent.run(playbook()).code == 0 and len(completed(aws)) == count


def test_several_hooks_are_listed_and_none_is_guessed(aws, member):
    agent = member(hooks=("lifecycle-hook", "somebody-elses-hook"))
    run = agent.run(playbook(lifecycle="lifecycle: { group: IaC-Prod }"), trigger="boot")
    assert run.code == 1 and "`lifecycle-hook`" in run.said and "`somebody-elses-hook`" in run.said, run
    assert completed(aws) == [] and calls(aws, "RecordLifecycleActionHeartbeat") == []
    assert aws.instance(agent.machine.name)["lifecycle_state"] == "Pending:Wait"
    # The one that is named is answered, and only that one.
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0, run
    assert [one["hook"] for one in aws.instance(agent.machine.name)["finished"]] == ["lifecycle-hook"]
    assert [one["hook"] for one in aws.instance(agent.machine.name)["actions"]] == ["somebody-elses-hook"]


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.full)])
def test_a_throttled_lifecycle_api(aws, member, seconds):
    agent = member()
    over = aws.now() + seconds
    rule = aws.fault("throttle", service="autoscaling", until=seconds)
    run = agent.run(playbook(), trigger="boot", seconds=240)
    assert run.code == 0 and hits(aws, rule) > 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]
    assert aws.instance(agent.machine.name)["finished"][0]["time"] >= over
    assert set(completed(aws)) == {"CONTINUE"} and len(completed(aws)) < 3 + seconds, "it hammered"


def test_a_verdict_that_was_not_sent_is_sent_by_the_next_run(aws, member):
    agent = member()
    rule = aws.fault("error503", service="autoscaling", action="CompleteLifecycleAction")
    running = agent.start(playbook(), trigger="boot")
    until(lambda: hits(aws, rule) or not running.alive(), 30, "an attempt to report")
    running.kill()
    assert "CONTINUE" in kept(agent), "the verdict is on disk before it is reported"
    aws.clear_faults()
    assert answers(aws, agent.machine.name) == []
    run = agent.run(playbook(), trigger="timer")
    assert run.code == 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]
    count = len(completed(aws))
    assert agent.run(playbook()).code == 0 and len(completed(aws)) == count, "it was sent twice"


def test_a_newer_boot_run_decides_anew(aws, member):
    agent = member()
    rule = aws.fault("error503", service="autoscaling", action="CompleteLifecycleAction")
    running = agent.start(playbook(BAD), trigger="boot")
    until(lambda: hits(aws, rule) or not running.alive(), 60, "an attempt to report")
    running.kill()
    assert set(completed(aws)) == {"ABANDON"}
    aws.clear_faults()
    aws.clear_journal()
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"] and completed(aws) == ["CONTINUE"]


@pytest.mark.parametrize("kind", ["error500", "access_denied", "drop"])
def test_an_error_while_reporting_continue_never_becomes_abandon(aws, member, kind):
    agent = member()
    rule = aws.fault(kind, service="autoscaling", action="CompleteLifecycleAction")
    running = agent.start(playbook(more="deadline: 20s"), trigger="boot")
    until(lambda: hits(aws, rule) >= 3 or not running.alive(), 60, "attempts to report")
    aws.clear_faults()
    running.wait(60)
    assert set(completed(aws)) == {"CONTINUE"}
    # By this run or, at the latest, by the next one.
    run = agent.run(playbook(), trigger="timer")
    assert run.code == 0 and set(completed(aws)) == {"CONTINUE"}, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]


def test_a_lost_answer_is_not_taken_for_a_failure(aws, member):
    """The service did its work and only the answer was lost: the second try finds nothing to answer, which is fine."""
    agent = member()
    rule = aws.fault("drop", service="autoscaling", action="CompleteLifecycleAction", when="after", count=1)
    run = agent.run(playbook(), trigger="boot")
    assert run.code == 0 and hits(aws, rule) == 1, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"]


def test_heartbeats_keep_a_slow_launch_alive(aws, member):
    agent = member(heartbeat=9)
    slow = 'command: { argv: ["sleep", "14"], always: true }'
    run = agent.run(playbook(slow, lifecycle=GIVEN.replace("450s", "9s"), more="deadline: 1m"), trigger="boot")
    assert run.code == 0, run
    assert answers(aws, agent.machine.name) == ["CONTINUE by call"], "the hook ran out meanwhile"
    beats = len(calls(aws, "RecordLifecycleActionHeartbeat"))
    assert 3 <= beats <= 12, "a third of the timeout"


def test_no_heartbeat_after_the_deadline(aws, member):
    agent = member(heartbeat=9)
    stuck = 'command: { argv: ["sleep", "60"], always: true }'
    run = agent.run(playbook(stuck, lifecycle=GIVEN.replace("450s", "9s"), more="deadline: 8s"), trigger="boot")
    assert run.code == 1 and run.seconds < 60, run
    assert answers(aws, agent.machine.name) == ["ABANDON by call"], run
    assert "deadline" in run.said and "only" in run.said, run
    (answer,) = aws.instance(agent.machine.name)["finished"]
    assert all(call["time"] <= answer["time"] for call in calls(aws, "RecordLifecycleActionHeartbeat"))


NOBODY_STOPS = """
version: 1
name: nobody-stops
deadline: 5m
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 36s }
logs: { group: /aws/ec2/nobody-stops }
steps:
  - id: polite
    needs: []
    command: { script: "trap 'echo asked to stop; touch /srv/asked; exit 0' TERM; while :; do sleep 0.1; done", always: true }
  - id: deaf
    needs: []
    command: { script: "trap '' TERM; echo deaf as a post; while :; do sleep 0.1; done", always: true }
"""


def test_without_heartbeats_programs_are_stopped_and_the_verdict_comes_before_the_hook_ends(aws, member):
    """A role that may complete an action and not keep it alive: the hook's time is all there is, whatever the deadline says."""
    agent = member(heartbeat=36)
    rule = aws.fault("access_denied", service="autoscaling", action="RecordLifecycleActionHeartbeat")
    run = agent.run(NOBODY_STOPS, trigger="boot")
    assert run.code == 1 and hits(aws, rule) > 0, run
    assert answers(aws, agent.machine.name) == ["ABANDON by call"], run
    # First asked, and with time to say something; whoever does not listen is killed, and nobody is left behind.
    assert run.endings == {"polite": "failed", "deaf": "failed"} and agent.exists("/srv/asked"), run
    assert "asked to stop" in run.failure("polite") and "deaf as a post" in run.failure("deaf"), run
    assert "left behind" not in run.said and "lifecycle hook" in run.failure("deaf"), run
    assert agent.machine.exec(["pgrep", "-f", "trap"], check=False).stdout == ""
    stream = [event["message"] for event in aws.logs("/aws/ec2/nobody-stops", agent.machine.name)]
    assert any('"event":"failure"' in line and "asked to stop" in line for line in stream), stream
    agent.machine.poweroff()
    assert "asked to stop" in aws.console(agent.machine.name)


def test_a_failed_instance_is_held_for_a_while(aws, member):
    agent = member(heartbeat=9)
    began = time.time()
    held = playbook(BAD, lifecycle=GIVEN.replace("450s", "9s"), more="deadline: 1m\nhold_for: 20s")
    running = agent.start(held, trigger="boot")
    running.until(lambda events: any(event["event"] == "step_finished" for event in events))
    until(lambda: len(calls(aws, "RecordLifecycleActionHeartbeat")) >= 2, 30, "heartbeats")
    assert running.alive() and answers(aws, agent.machine.name) == []
    # It holds no lock meanwhile: whoever debugs may run the agent.
    other = agent.run(playbook(), path="/root/other.yaml")
    assert other.code == 0, other
    run = running.wait(60)
    assert run.code == 1, run
    (answer,) = aws.instance(agent.machine.name)["finished"]
    assert (answer["result"], answer["by"]) == ("ABANDON", "call")
    assert answer["time"] - began >= 20
