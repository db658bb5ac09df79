"""What a folder cannot say: two runs at once, a run that is told to stop, a change between two runs, an installed playbook."""

import json
import signal
import subprocess
import time
from pathlib import Path

import cut
import laws
import pytest
from instance import processes

SLOW = """
name: slow
steps:
  - id: slow
    command: { script: "touch /srv/started; until test -e /srv/go; do sleep 0.05; done; touch /srv/made", creates: /srv/made }
  - directory: /srv/after
"""


def started(case, machine, *options):
    """A run that has come to its slow step."""
    running = subprocess.Popen(machine.command(case.agent(*options)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 30
    while not (machine.upper / "srv/started").exists():
        assert running.poll() is None and time.monotonic() < end, "the run did not start"
        time.sleep(0.02)
    return running


def test_one_run_at_a_time(write_case):
    case = write_case(SLOW)
    machine = case.fresh()
    running = started(case, machine)
    for trigger in ("manual", "timer"):
        second = machine.run(case.agent("--trigger", trigger), 30)
        assert second.returncode == 3, second.stdout + second.stderr
        assert "another run" in second.stderr, second.stderr
    # A dry-run takes no lock and waits for none.
    plan = machine.run(case.agent("--dry-run"), 30)
    assert plan.returncode == 10, plan.stdout + plan.stderr
    machine.run(["touch", "/srv/go"], 10)
    assert running.wait(30) == 0, running.stdout.read()
    laws.nothing_to_do(machine.run(case.agent(), 30))


def test_a_boot_run_waits_for_the_run_that_is_under_way(write_case):
    case = write_case(SLOW)
    machine = case.fresh()
    running = started(case, machine)
    boot = subprocess.Popen(machine.command(case.agent("--trigger", "boot")), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.5)
    assert boot.poll() is None, boot.stdout.read()
    machine.run(["touch", "/srv/go"], 10)
    assert running.wait(30) == 0
    said = boot.communicate(timeout=60)[0]
    assert boot.returncode == 0 and "waits" in said and "nothing to do" in said, said


def test_a_run_that_is_told_to_stop_ends_what_it_started_and_says_so(write_case):
    case = write_case(SLOW)
    machine = case.fresh()
    running = started(case, machine)
    for agent in processes.children(running.pid):
        processes.send(agent, signal.SIGTERM)
    said = running.communicate(timeout=30)[0]
    assert running.returncode == 1 and "SIGTERM" in said, said
    assert "until test" not in machine.run(["ps", "-eo", "args"], 10).stdout, "the step's program lives on"
    machine.run(["touch", "/srv/go"], 10)
    finished = machine.run(case.agent(), 30)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "was cut short" not in finished.stdout + finished.stderr, "it ended in order, it was not cut"


def test_a_run_that_was_killed_is_named_by_status_and_by_the_next_run(write_case):
    case = write_case(SLOW)
    machine = case.fresh()
    held = cut.Held(machine.command(case.agent("--json")))
    for line in held.lines():
        if '"event":"change"' in line:
            break
    held.kill()
    held.wait(30)
    status = machine.run(["agent", "status"], 30)
    assert "cut short" in status.stdout, status.stdout + status.stderr
    machine.run(["touch", "/srv/go"], 10)
    finished = machine.run(case.agent(), 30)
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0 and "was cut short in step 1 `slow`" in said and "killed" in said, said
    # Once: the run after that has nothing to report.
    third = machine.run(case.agent(), 30)
    assert "cut short" not in third.stdout + third.stderr


def test_drift_is_repaired_and_nothing_else(write_case):
    case = write_case("""
name: drift
steps:
  - directory: /srv/app
  - file: { path: /srv/app/settings, content: "a\\n" }
  - id: reload
    command: { script: "echo reloaded >> /srv/reloads", on_change: [settings] }
""".replace("  - file:", "  - id: settings\n    file:"))
    machine = case.fresh()
    assert machine.run(case.agent(), 30).returncode == 0
    after = machine.after([])
    machine.run(["sh", "-c", "echo b > /srv/app/settings; chmod 0600 /srv/app/settings"], 10)
    plan = machine.run(case.agent("--dry-run"), 30)
    assert plan.returncode == 10 and "2 settings" in plan.stdout, plan.stdout
    repaired = machine.run(case.agent(), 30)
    assert repaired.returncode == 0 and "1 of 3 steps changed" in repaired.stderr, repaired.stderr
    # The settings are again what the reload was last run with.
    assert machine.after([]) == after


def test_files_are_found_beside_a_playbook_that_is_named_by_a_relative_path(write_case):
    case = write_case("name: beside\nsteps:\n  - file: { path: /srv/copy, source: beside.txt }\n", beside_txt="beside\n")
    machine = case.fresh()
    for where, named in (("/.case", "playbook.yaml"), ("/", ".case"), ("/.case", ".")):
        plan = machine.run(["sh", "-c", f"cd {where} && exec agent run --dry-run {named}"], 30)
        assert plan.returncode == 10 and "create /srv/copy" in plan.stdout, plan.stdout + plan.stderr


def test_a_dry_run_of_a_machine_that_is_done_ends_with_0(write_case):
    case = write_case("name: done\nsteps:\n  - directory: /srv/app\n")
    machine = case.fresh()
    machine.run(case.agent(), 30)
    plan = machine.run(case.agent("--dry-run"), 30)
    assert plan.returncode == 0 and "nothing to do" in plan.stdout + plan.stderr, plan.stdout + plan.stderr


def test_events_are_the_same_in_every_form(write_case):
    """What a person reads, the JSON lines and the record tell of the same steps."""
    case = write_case("name: events\nsteps:\n  - directory: /srv/app\n  - directory: { path: /srv/other, mode: '0700' }\n")
    machine = case.fresh()
    done = machine.run(case.agent("--json"), 30)

    finished = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [event["label"] for event in finished if event["event"] == "step_finished"]
    assert steps == ["directory /srv/app", "directory /srv/other"]
    assert all(isinstance(event["at"], int) for event in finished)
    status = machine.run(["agent", "status", "--json"], 30)
    assert status.returncode == 0, status.stderr
    assert all(label in status.stdout for label in steps), status.stdout


def test_a_wrong_command_line_ends_with_2(write_case):
    case = write_case("name: usage\nsteps: []\n")
    machine = case.fresh()
    for argv in (["agent", "run", "--drry-run"], ["agent", "rum"], ["agent", "run", "/no/such/playbook.yaml"], ["agent", "check"],
                 ["agent", "run", "--set", "novalue", "/.case/playbook.yaml"], ["agent", "run", "ftp://example.com/x"]):
        done = machine.run(argv, 30)
        assert (done.returncode, done.stdout) == (2, ""), f"{argv}: {done.stdout}{done.stderr}"
        assert done.stderr
    laws.nothing_written(machine)


CONVERGING = """
name: converging
converge: MEANING
steps:
  - id: code
    git: { url: "file:///.case/repository.git", revision: main, path: /srv/app }
  - id: settings
    file: { path: /srv/settings, content: "as wished\\n" }
"""


@pytest.mark.parametrize("meaning, code, app, settings", [
    ("config", 0, "one", "as wished"),  # repaired, and stays on the revision that is deployed
    ("all", 0, "two", "as wished"),  # and moves to the new one
    ("report", 10, "one", "by hand"),  # neither, and says so
])
def test_what_a_timer_run_does_is_what_converge_says(write_case, meaning, code, app, settings):
    outside = (Path(__file__).parent / "git/outside.sh").read_text()
    outside += "git --git-dir=repository.git rev-parse v1^{commit} > one\ngit --git-dir=repository.git rev-parse main > two\n"
    case = write_case(CONVERGING.replace("MEANING", meaning), outside_sh=outside)
    machine = case.fresh()

    def pushed(commit):
        machine.run(["cp", f"/.case/{commit}", "/.case/repository.git/refs/heads/main"], 10)

    def found():
        return machine.run(["cat", "/srv/app/file", "/srv/settings"], 10).stdout.splitlines()

    pushed("one")
    first = machine.run(case.agent(), 30)
    assert (first.returncode, found()) == (0, ["one", "as wished"]), first.stdout + first.stderr
    pushed("two")
    machine.run(["sh", "-c", "echo by hand > /srv/settings"], 10)
    timer = machine.run(case.agent("--trigger", "timer"), 30)
    assert (timer.returncode, found()) == (code, [app, settings]), timer.stdout + timer.stderr
    told = timer.stdout + timer.stderr
    assert "update /srv/settings" in told and "move from `cc8aa76964` to `159582d5aa`" in told, told
    assert ("left as it is: move from" in told) == (meaning == "config"), told
    status = json.loads(machine.run(["agent", "status", "--json"], 30).stdout)
    assert status["outcome"]["is"] == ("drifted" if meaning == "report" else "converged")
    # What had drifted, and what became of it.
    repaired = {drift["label"]: drift["repaired"] for drift in status["drift"]}
    assert repaired == {"code": meaning == "all", "settings": meaning != "report"}, status["drift"]
    drawn = machine.run(["agent", "status"], 30).stdout
    assert f"drift: code ({'repaired' if meaning == 'all' else 'left as it is'}): move from" in drawn, drawn
    # Whoever asks for a run by hand gets all of it, whatever the timer may.
    assert machine.run(case.agent(), 30).returncode == 0
    assert found() == ["two", "as wished"]
    again = machine.run(case.agent("--trigger", "timer"), 30)
    laws.nothing_to_do(again)
    assert again.returncode == 0


PARTS = """
name: parts
lifecycle: { group: g, hook: h, timeout: 5m }
steps:
  - id: elsewhere
    directory: /srv/elsewhere
  - id: app
    directory: /srv/app
  - id: settings
    file: { path: /srv/app/settings, content: a }
"""


def test_a_part_of_a_playbook_is_recorded_as_one_and_gives_no_verdict(write_case):
    case = write_case(PARTS)
    machine = case.fresh()
    plan = machine.run(case.agent("--dry-run", "--only", "settings"), 30)
    assert plan.returncode == 10 and "only `settings`" in plan.stdout and "elsewhere" not in plan.stdout, plan.stdout + plan.stderr
    done = machine.run(case.agent("--only", "settings"), 30)
    assert done.returncode == 0 and "lifecycle" not in done.stderr, done.stderr
    assert (machine.upper / "srv/app/settings").exists() and not (machine.upper / "srv/elsewhere").exists()
    status = json.loads(machine.run(["agent", "status", "--json"], 30).stdout)
    assert status["only"] == ["settings"] and [step["step"] for step in status["steps"]] == [2, 3], status
    assert status["lifecycle"] == []
    assert "only `settings` of it" in machine.run(["agent", "status"], 30).stdout


def test_a_part_that_is_not_there_or_of_a_boot_run_is_refused(write_case):
    case = write_case(PARTS)
    machine = case.fresh()
    for options in (["--only", "setings"], ["--dry-run", "--only", "setings"]):
        refused = machine.run(case.agent(*options), 30)
        assert refused.returncode == 2 and "did you mean `settings`?" in refused.stderr, refused.stderr
    refused = machine.run(case.agent("--only", "settings", "--trigger", "boot"), 30)
    assert refused.returncode == 2 and "by hand only" in refused.stderr, refused.stderr
    assert not (machine.upper / "srv").exists() or not list((machine.upper / "srv").iterdir())


def test_a_run_is_explained_whatever_became_of_it(write_case):
    case = write_case(SLOW)
    machine = case.fresh()
    explain = ["agent", "explain"]
    nothing = machine.run(explain, 30)
    assert nothing.returncode == 1 and "no run is recorded" in nothing.stderr, nothing.stderr
    running = started(case, machine)
    under_way = machine.run(explain, 30)
    assert under_way.returncode == 0 and "under way" in under_way.stdout and "slow" in under_way.stdout, under_way.stdout
    for agent in processes.children(running.pid):
        processes.send(agent, signal.SIGKILL)
    running.wait(30)
    crashed = machine.run(explain, 30)
    assert crashed.returncode == 0 and "cut short" in crashed.stdout and "did not end" in crashed.stdout, crashed.stdout
    machine.run(["touch", "/srv/go"], 10)
    assert machine.run(case.agent(), 60).returncode == 0
    done = json.loads(machine.run([*explain, "--json"], 30).stdout)
    assert done["outcome"]["is"] == "converged" and [lane["step"] for lane in done["timeline"]] == [1, 2], done
    assert done["critical_path"]["steps"] == [1, 2] and done["moved"]["received"] >= 0
    assert all(lane["ready"] <= lane["began"] <= lane["ended"] <= done["end"] for lane in done["timeline"]), done["timeline"]
    listed = machine.run([*explain, "--list"], 30).stdout.splitlines()
    assert len(listed) == 2 and "cut short" in listed[0] and "converged" in listed[1], listed
    first = listed[0].split()[0]
    assert "cut short" in machine.run([*explain, first], 30).stdout
    both = machine.run([*explain, "20"], 30)
    assert both.returncode == 2 and first in both.stderr, both.stderr
    page = machine.run([*explain, "--html", "/srv/run.html"], 30)
    assert page.returncode == 0 and (machine.upper / "srv/run.html").stat().st_mode & 0o777 == 0o600
    # A dry-run leaves no record; what it prints is explained all the same, by anybody.
    script = "agent run --dry-run --json /.case/playbook.yaml > /tmp/plan; agent explain --events /tmp/plan"
    plan = machine.run(["sh", "-c", script], 30)
    assert plan.returncode == 0 and "nothing was written" in plan.stdout, plan.stdout + plan.stderr


def test_a_run_that_was_refused_is_explained(write_case):
    case = write_case("steps: []\nstpes: []\n")
    machine = case.fresh()
    assert machine.run(case.agent("--trigger", "timer"), 30).returncode == 2
    refused = machine.run(["agent", "explain"], 30)
    assert refused.returncode == 0 and "stpes" in refused.stdout, refused.stdout + refused.stderr
    page = machine.run(["agent", "explain", "--html", "-"], 30).stdout
    assert "stpes" in page and "data-step" not in page
