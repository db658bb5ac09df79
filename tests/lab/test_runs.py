"""Runs that meet, die, lose their power, or find what another instance left behind."""

import shutil
import time

import pytest
from instance.agent import PROGRAM, STATE
from scenario import answers, calls, until
from simulator import s1

SLOW = """
version: 1
name: slow
deadline: 1m
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 9s }
steps:
  - id: slow
    command: { script: "until test -e /srv/go; do sleep 0.05; done; touch /srv/slow", creates: /srv/slow }
  - file: { path: /srv/after, content: after }
"""
# Small, but with every kind of change that a machine knows: accounts, files, code, units.
MIXED = """
version: 1
name: mixed
steps:
  - group: { name: crew }
  - user: { name: worker, groups: [crew] }
  - directory: { path: /srv/app, owner: worker, mode: "0750" }
  - file: { path: /srv/app/config, owner: worker, mode: "0640", content: "one\\ntwo\\n" }
  - env_file: { path: /srv/app/.env, owner: worker, mode: "0600", values: { WORD: "value" } }
  - line: { path: /etc/hosts, line: "192.0.2.7 partner" }
  - link: { path: /srv/current, target: /srv/app }
  - id: code
    git: { url: /srv/origin.git, revision: main, path: /srv/app/code, owner: worker }
  - command: { argv: ["sh", "-c", "echo made > /srv/made"], creates: /srv/made }
  - systemd_unit:
      name: mixed.service
      Unit: { Description: Mixed }
      Service: { User: worker, ExecStart: /bin/sleep infinity }
      restart_on: [code]
  - health: { command: [systemctl, is-active, --quiet, mixed.service], ready_within: 10s }
"""
UNDO = (
    "systemctl disable --now mixed.service 2>/dev/null; rm -rf /etc/systemd/system/mixed.service* /srv/app /srv/current /srv/made"
    f" {STATE}; sed -i /partner/d /etc/hosts; systemctl daemon-reload; userdel -rf worker 2>/dev/null; groupdel crew 2>/dev/null; true"
)
RESULT = (
    "find /srv/app /srv/current /srv/made /etc/systemd/system -name .git -prune -o -printf '%p %y %m %u:%g %l\\n' | sort;"
    " cat /srv/app/config /srv/app/.env /srv/made /etc/hosts /srv/app/code/* /etc/systemd/system/mixed.service;"
    " id worker; systemctl is-active mixed.service; systemctl is-enabled mixed.service"
)


@pytest.fixture
def member(aws, equip):
    s1.create(aws, desired=0, heartbeat=9)
    return equip(group=s1.GROUP, role=s1.ROLE)


def test_a_boot_run_waits_for_a_timer_run_and_a_timer_run_for_nobody(aws, member):
    timer = member.start(SLOW, trigger="timer")
    timer.until(lambda events: any(event["event"] == "step_started" for event in events))
    boot = member.start(SLOW, trigger="boot", path="/root/boot.yaml")
    for trigger in ("timer", "manual"):
        turned_away = member.run(SLOW, trigger=trigger, path="/root/other.yaml")
        assert turned_away.code == 3 and "another run is under way" in turned_away.said, turned_away
    until(lambda: calls(aws, "RecordLifecycleActionHeartbeat") or not boot.alive(), 30, "a heartbeat while it waits")
    assert timer.alive() and boot.alive()
    member.machine.exec(["touch", "/srv/go"])
    assert timer.wait().code == 0
    run = boot.wait()
    assert run.code == 0 and run.endings["slow"] == "unchanged", run
    assert answers(aws, member.machine.name) == ["CONTINUE by call"]


def test_a_boot_run_that_waits_for_another_until_its_deadline_abandons(aws, member):
    stuck = member.start(SLOW.replace("1m", "5m"), trigger="timer")
    stuck.until(lambda events: any(event["event"] == "step_started" for event in events))
    run = member.run(SLOW.replace("1m", "12s"), trigger="boot", path="/root/boot.yaml")
    assert run.code == 1 and "another run is under way" in run.err and "deadline" in run.err, run
    assert answers(aws, member.machine.name) == ["ABANDON by call"]
    assert stuck.alive()
    stuck.kill()


def test_an_image_with_another_instances_state(aws, equip):
    s1.create(aws, desired=0)
    first = equip(group=s1.GROUP, role=s1.ROLE)
    # What the first one leaves behind is as bad as can be: a verdict that was never sent.
    aws.fault("error503", service="autoscaling", action="CompleteLifecycleAction")
    playbook = SLOW.replace("until", "exit 1; until").replace("9s", "450s")
    running = first.start(playbook, trigger="boot")
    until(lambda: calls(aws, "CompleteLifecycleAction") or not running.alive(), 60, "an attempt to report")
    running.kill()
    aws.clear_faults()
    aws.clear_journal()
    first.machine.poweroff()

    second = equip(group=s1.GROUP, role=s1.ROLE, image=first.machine)
    run = second.run("version: 1\nname: fine\nsteps: [ { file: { path: /srv/fine, content: fine } } ]", trigger="boot")
    assert run.code == 0, run
    notices = " ".join(event["text"] for event in run.of("notice"))
    assert first.machine.name in notices, run
    assert answers(aws, second.machine.name) == ["CONTINUE by call"]
    sent = [call["params"]["LifecycleActionResult"] for call in calls(aws, "CompleteLifecycleAction")]
    assert sent == ["CONTINUE"], "the other instance's verdict was used"
    assert second.status()["outcome"] == {"is": "converged"}


@pytest.fixture
def mixed(equip, lab):
    """An instance with a repository on its own disk."""
    agent = equip(boot=False)
    shutil.copytree(lab.bitbucket.home / "team/project_name-api.git", agent.machine.upper / "srv/origin.git")
    agent.machine.boot().wait()
    return agent


def result(agent):
    return agent.machine.exec(["sh", "-c", RESULT], check=False).stdout


def progress(events):
    """The instants a run can be cut at: a change is about to be made, or a step is over."""
    return sum(1 for event in events if event["event"] == "step_finished" or event["event"] == "change" and event["applying"])


def test_killed_after_each_change_in_turn(mixed):
    whole = mixed.run(MIXED)
    assert whole.code == 0, whole
    wanted = result(mixed)
    assert "active" in wanted and "uid=" in wanted and "WORD" in wanted
    again = mixed.run(MIXED)
    assert again.code == 0 and set(again.endings.values()) == {"unchanged"}, again
    cuts = progress(whole.events)
    assert cuts >= 20
    interrupted = 0
    for cut in range(1, cuts):
        mixed.machine.exec(["sh", "-c", UNDO])
        running = mixed.start(MIXED)
        running.until(lambda events: progress(events) >= cut or events[-1:] and events[-1]["event"] == "run_finished")
        if running.alive():
            running.kill()
            interrupted += 1
        else:
            running.wait()
        run = mixed.run(MIXED)
        assert run.code == 0, (cut, run)
        assert result(mixed) == wanted, (cut, run)
        final = mixed.run(MIXED)
        assert final.code == 0 and set(final.endings.values()) == {"unchanged"}, (cut, final)
    assert interrupted > cuts // 2, "most runs were over before they could be killed"


def test_a_killed_run_is_reported_as_such(agent):
    running = agent.start(SLOW)
    running.until(lambda events: any(event["event"] == "change" for event in events))
    running.kill()
    agent.machine.exec(["touch", "/srv/go"])
    run = agent.run(SLOW)
    assert run.code == 0, run
    notices = " ".join(event["text"] for event in run.of("notice"))
    assert "cut short" in notices and "slow" in notices, run


def test_a_power_cut_in_the_middle_is_finished_by_the_next_boot(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(group=s1.GROUP, role=s1.ROLE)
    machine = agent.machine
    playbook = SLOW.replace("9s", "450s").replace("until test -e /srv/go; do sleep 0.05; done", "test -e /srv/again || sleep 600")
    installing = agent.install(playbook)
    until(lambda: machine.exec(["pgrep", "-x", "sleep"], check=False).stdout, 60, "the slow step")
    machine.exec(["touch", "/srv/again"])
    machine.exec(["sync"])
    machine.crash()
    assert installing.wait(20).code != 0
    assert answers(aws, machine.name) == []
    machine.boot().wait()
    until(lambda: answers(aws, machine.name), 60, "a verdict after the power cut")
    assert answers(aws, machine.name) == ["CONTINUE by call"]
    assert agent.exists("/srv/after")
    status = agent.status()
    assert status["trigger"] == "boot" and status["outcome"] == {"is": "converged"}, status
    journal = machine.exec(["journalctl", "--boot", "--unit=bootstrap-agent.service", "--output=cat"]).stdout
    assert "cut short" in journal, journal


def test_the_state_is_roots_alone(agent):
    assert agent.run("version: 1\nname: s\nsteps: [ { file: { path: /srv/x, content: x } } ]").code == 0
    assert agent.machine.exec(["stat", "-c", "%a %U", STATE]).stdout in ("700 root\n", "750 root\n")
    assert agent.machine.exec([PROGRAM, "status"], user="ubuntu", check=False).returncode != 0
    assert time.time() - agent.status()["started"] / 1000 < 60
