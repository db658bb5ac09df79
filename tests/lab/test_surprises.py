"""What nobody foresaw: a defect of our own in the middle of a run, and a clock that is set while we look at it."""

import subprocess
import time

import pytest
from instance import paths
from scenario import answers, calls, until

PANICKING = """
version: 1
name: panicking
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
steps:
  - id: first
    needs: []
    command: { script: "until test -e /srv/go; do sleep 0.05; done", creates: /srv/go }
  - id: beside
    needs: []
    command: { script: "until test -e /srv/end; do sleep 0.05; done; touch /srv/beside", creates: /srv/beside }
  - id: panics
    needs: [first]
    file: { path: /srv/file, content: written }
  - id: after
    needs: [panics]
    file: { path: /srv/after, content: after }
"""


def ended(step):
    """Whether a step is over."""
    return lambda events: any(event["event"] == "step_finished" and event["label"] == step for event in events)


def test_a_panic_in_a_step_is_that_steps_failure_and_the_verdict_goes_out(aws, member):
    """The kernel gives no random numbers to the thread that asks next: a library under the step panics at that."""
    it = member()
    running = it.start(PANICKING, trigger="boot")
    running.until(lambda events: sum(event["event"] == "change" for event in events) == 2)
    agent = running.agent
    strace = subprocess.Popen(
        ["strace", "--quiet=all", "-f", "-p", str(agent), "-e", "trace=getrandom", "-e", "inject=getrandom:error=EIO"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    try:
        until(lambda: "TracerPid:\t0" not in open(f"/proc/{agent}/status").read(), 10, "strace")
        it.machine.exec(["touch", "/srv/go"])
        running.until(ended("panics"))
    finally:
        strace.terminate()
        said = strace.communicate()[1]
    assert "(INJECTED)" in said, said
    it.machine.exec(["touch", "/srv/end"])
    run = running.wait(60)
    assert run.code == 1, run
    assert run.endings == {"first": "changed", "beside": "changed", "panics": "failed", "after": "not_started"}, run
    why = run.failure("panics")
    assert "the agent itself failed" in why and "please report it" in why, run
    assert answers(aws, it.machine.name) == ["ABANDON by call"]
    # The next run finds nothing in its way.
    assert it.run(PANICKING).endings == {"first": "unchanged", "beside": "unchanged", "panics": "changed", "after": "changed"}
    it.machine.poweroff()
    assert "the agent itself failed" in aws.console(it.machine.name)


WAITING = """
version: 1
name: waiting
deadline: 40s
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 9s }
steps:
  - id: slow
    command: { script: "until test -e /srv/go; do sleep 0.05; done", creates: /srv/go }
  - id: answers
    health: { command: [test, -e, /srv/healthy], ready_within: 20s }
"""
JUMP = 3 * 3600


@pytest.mark.parametrize("jump", [JUMP, -JUMP], ids=["forward", "back"])
def test_a_clock_that_is_set_meanwhile_moves_nothing(aws, member, jump):
    """What a time service does to a machine that booted with a wrong clock: deadlines, heartbeats and spans go by another one."""
    it = member(heartbeat=9)
    tool = paths.GUEST / "clock"
    it.machine.exec(["tee", "/root/clock"], input=tool.read_text())

    def set_clock(seconds):
        it.machine.exec(["sh", "-c", f"echo {seconds} > /root/off.new; mv /root/off.new /root/off"])

    set_clock(0)
    began = time.monotonic()
    running = it.start(WAITING, trigger="boot", under=["python3", "/root/clock", "/root/off"])
    running.until(lambda events: any(event["event"] == "change" for event in events))
    set_clock(jump)
    before = len(calls(aws, "RecordLifecycleActionHeartbeat"))
    until(lambda: len(calls(aws, "RecordLifecycleActionHeartbeat")) >= before + 2 or not running.alive(), 20, "heartbeats")
    it.machine.exec(["touch", "/srv/go"])
    running.until(lambda events: any(event["event"] == "step_waiting" for event in events))
    set_clock(0)
    time.sleep(1)
    it.machine.exec(["touch", "/srv/healthy"])
    run = running.wait(60)
    spent = time.monotonic() - began
    assert run.code == 0 and run.endings == {"slow": "changed", "answers": "changed"}, run
    assert answers(aws, it.machine.name) == ["CONTINUE by call"]
    # The clock that was read did jump, there and back, and nothing was measured with it.
    seen = [event["at"] / 1000 for event in run.events]
    assert abs(max(seen) - min(seen) - JUMP) < 60 and abs(seen[-1] - time.time()) < 60, run
    assert all(0 <= event["milliseconds"] / 1000 <= spent for event in [*run.of("step_finished"), *run.of("run_finished")]), run


def test_runs_are_known_in_their_order_though_the_clock_was_set_back(aws, agent):
    playbook = "version: 1\nname: NAME\nsteps: [ { file: { path: /srv/done, content: done } } ]"
    agent.machine.exec(["tee", "/root/clock"], input=(paths.GUEST / "clock").read_text())
    agent.machine.exec(["tee", "/root/off"], input=f"{JUMP}\n")
    ahead = agent.start(playbook.replace("NAME", "ahead"), under=["python3", "/root/clock", "/root/off"]).wait(60)
    assert ahead.code == 0 and ahead.of("run_started")[0]["at"] / 1000 > time.time() + JUMP / 2, ahead
    assert agent.run(playbook.replace("NAME", "right")).code == 0
    assert agent.status()["playbook"] == "right", agent.status()
