"""System S1, from cloud-init's user-data to the completed lifecycle action, and what is true afterwards."""

import base64
import json
import shlex
import time
from pathlib import Path

import pytest
from instance import bootstrap, paths
from scenario import answers, calls, until
from systems import gallery, laws
from systems.booted import Booted, boot_run
from systems.system import System

PLAYBOOK = paths.REPOSITORY / "playbooks" / "background-removal.yaml"
UNIT = "background-removal.service"
SHIPPER = "bootstrap-agent-logs.service"
GROUP = "/aws/ec2/background-removal"
AGAIN = f"agent run s3://{bootstrap.BUCKET}/playbooks/{PLAYBOOK.name} {shlex.join(bootstrap.OPTIONS)}"


@pytest.fixture(scope="module")
def machine(lab, binary):
    """An instance that bootstrapped itself; the tests of this file look at it, in order."""
    aws = lab.aws.control()
    aws.clear_faults()
    aws.reset()
    began = time.time()
    it = bootstrap.launch(lab, binary, PLAYBOOK)
    try:
        # User-data follows the run, so it is over when there is a verdict, or when there will never be one.
        it.wait_for_cloud_init(seconds=420)
        assert answers(aws, it.name), f"{it.read('/var/log/cloud-init-output.log')[-4000:]}\n{it.why()}"
        run = boot_run(it)
        gallery.record(PLAYBOOK.name, healthy=run[-1]["at"] / 1000 - began)
        yield it
    finally:
        it.destroy()


@pytest.fixture
def control(lab):
    """The simulator's client, on the account as it is: emptying it would end the instance."""
    return lab.aws.control()


def as_service(machine, command):
    """Runs a command with the environment that systemd gives to services, and returns it with its exit code."""
    return machine.exec(["systemd-run", "--quiet", "--pipe", "--wait", "--setenv=HOME=/root", "sh", "-c", command], check=False)


def occurrences(directory: Path, needles):
    """Files below a directory that hold one of these byte strings."""
    found = []
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [str(path) for needle in needles if needle in content]
    return found


def lines_of(key):
    """The lines that only this key has, as bytes; the header and the first line are every key's."""
    return [line.encode() for line in key.splitlines()[2:-1] if len(line) >= 16]


def test_it_is_in_service(machine, control):
    assert control.instance(machine.name)["lifecycle_state"] == "InService", machine.why()
    assert answers(control, machine.name) == ["CONTINUE by call"]
    # Group, hook and timeout are given: nothing has to be looked up.
    assert calls(control, "Describe*", service="autoscaling", instance=machine.name) == []


def test_user_data_followed_the_run_to_its_verdict(machine):
    assert "status: done" in machine.wait_for_cloud_init()
    said = machine.read("/var/log/cloud-init-output.log")
    assert "CONTINUE" in said, said[-2000:]


def test_the_application_answers_and_belongs_to_ubuntu(machine):
    answer = machine.exec(["curl", "--silent", "--fail", "http://localhost:8000/healthcheck"]).stdout
    assert json.loads(answer) == {"status": "ok"}
    pid = machine.exec(["systemctl", "show", "--property=MainPID", "--value", UNIT]).stdout.strip()
    user, command = machine.exec(["ps", "-o", "user=,args=", "-p", pid]).stdout.split(maxsplit=1)
    assert user == "ubuntu" and "uvicorn" in command
    owner = machine.exec(["stat", "-c", "%U:%G", "/home/ubuntu/tcc", "/home/ubuntu/tcc/main.py"]).stdout.split()
    assert owner == ["ubuntu:ubuntu"] * 2


def test_the_deploy_key_is_on_no_disk(machine, lab):
    needles = lines_of(lab.bitbucket.deploy_key)
    needles += [base64.b64encode(needle) for needle in needles]
    assert len(needles) >= 4
    assert occurrences(machine.upper, needles) == []
    # The search finds what is there.
    machine.exec(["tee", "/var/tmp/planted"], input=lab.bitbucket.deploy_key)
    assert occurrences(machine.upper, needles)
    machine.exec(["rm", "/var/tmp/planted"])


def test_the_settings_are_the_users_alone(machine):
    path = "/home/ubuntu/tcc/.env"
    assert machine.exec(["stat", "-c", "%a %U:%G", path]).stdout == "600 ubuntu:ubuntu\n"
    assert bootstrap.SECRET in machine.read(path)


def test_secrets_are_only_where_the_playbook_put_them(machine, lab):
    wanted = [bootstrap.SECRET.encode(), *lines_of(lab.bitbucket.deploy_key)]
    elsewhere = [path for path in occurrences(machine.upper, wanted) if not path.endswith("/home/ubuntu/tcc/.env")]
    # The application prints its secret, as careless ones do; the journal is the machine's own and root's.
    assert [path for path in elsewhere if "/var/log/journal/" not in path] == []
    units = machine.exec(["journalctl", "--unit=bootstrap-agent*", "--output=cat"]).stdout
    assert units and bootstrap.SECRET not in units


def test_the_log_sources_were_shipped_and_masked(machine, control, lab):
    text = until(lambda: "Uvicorn running" in shipped(control) and shipped(control), 30, "the unit's journal")
    assert control.log_groups()[GROUP] == {"retention": 7, "streams": [machine.name]}
    assert "Cloud-init v." in text, "cloud-init's output is missing"
    assert "starting with APP_SECRET=" in text and bootstrap.SECRET not in text
    assert base64.b64encode(bootstrap.SECRET.encode()).decode() not in text
    assert [line for line in lines_of(lab.bitbucket.deploy_key) if line.decode() in text] == []


def test_a_service_ships_from_the_first_second_of_the_run_on(machine, control):
    shown = machine.exec(["systemctl", "show", "--property=ActiveState,NRestarts,UnitFileState", SHIPPER]).stdout
    said = machine.exec(["journalctl", f"--unit={SHIPPER}", "--output=cat"]).stdout
    assert set(shown.split()) == {"ActiveState=active", "NRestarts=0", "UnitFileState=enabled"}, (shown, said)
    notes = machine.exec(["sh", "-c", "cat /var/lib/bootstrap-agent/runs/*"]).stdout
    assert "this run ships its logs by itself" not in notes and "no logs are shipped" not in notes, notes
    first = next(event for event in control.logs(GROUP) if '"event":"run_started"' in event["message"])
    began = json.loads(first["message"])["at"] / 1000
    sent = calls(control, "PutLogEvents", service="logs", instance=machine.name)[0]["time"]
    decided = calls(control, "CompleteLifecycleAction", instance=machine.name)[0]["time"]
    # Long before the run was over: one that hangs is seen.
    assert sent - began < (decided - began) / 3, (began, sent, decided)
    # What the run said of itself has arrived, so that it is on the disk no longer.
    until(lambda: not list((machine.upper / "var/lib/bootstrap-agent/logs/events").iterdir()), 90, "the end of the run's own file")


def test_the_shipper_has_the_secrets_in_memory_only(machine):
    held = machine.exec(["stat", "--file-system", "--format=%T", "/run/bootstrap-agent/log-secrets"]).stdout
    modes = machine.exec(["stat", "--format=%a %U", "/run/bootstrap-agent", "/run/bootstrap-agent/log-secrets",
                          "/run/bootstrap-agent/logs.sock"]).stdout
    assert (held, modes) == ("tmpfs\n", "700 root\n600 root\n600 root\n")


def test_no_ordering_cycle(machine):
    units = machine.exec(["sh", "-c", f"ls /etc/systemd/system/bootstrap-agent* /etc/systemd/system/{UNIT}"]).stdout.split()
    units = [unit for unit in units if unit.endswith((".service", ".timer"))]
    assert len(units) >= 3, units
    verified = machine.exec(["systemd-analyze", "verify", *units], check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    journal = machine.exec(["journalctl", "--boot", "--output=cat"]).stdout
    assert "Reached target" in journal and "ordering cycle" not in journal


def test_the_second_run_has_nothing_to_do(machine, control):
    before = machine.exec(["systemctl", "show", "--property=MainPID,ExecMainStartTimestamp", UNIT]).stdout
    again = as_service(machine, AGAIN)
    assert again.returncode == 0 and "nothing to do" in again.stdout + again.stderr, again
    assert machine.exec(["systemctl", "show", "--property=MainPID,ExecMainStartTimestamp", UNIT]).stdout == before
    status = json.loads(as_service(machine, "agent status --json").stdout)
    assert status["trigger"] == "manual" and status["outcome"] == {"is": "converged"}, status
    gallery.record(PLAYBOOK.name, again=status["milliseconds"] / 1000)


def test_the_policy_is_what_it_needs(machine, lab, binary):
    laws.the_policy_is_what_it_needs(Booted(System(PLAYBOOK.name, bootstrap.OPTIONS), lab, machine, plan=None, began=0, binary=binary))


def test_after_a_reboot_the_boot_run_converges_and_answers_nobody_twice(machine, control):
    started = shipped(control).count("starting with APP_SECRET=")
    machine.reboot()
    machine.wait()

    def settled():
        status = json.loads(as_service(machine, "agent status --json").stdout or "{}")
        return status.get("trigger") == "boot" and status["outcome"]["is"] != "cut_short" and status

    status = until(settled, 60, "a boot run after the reboot")
    assert status["outcome"] == {"is": "converged"}, status
    machine.exec(["curl", "--silent", "--fail", "--retry", "10", "--retry-connrefused", "http://localhost:8000/healthcheck"])
    # The application printed its secret again; nobody shipped it before it was known again.
    until(lambda: shipped(control).count("starting with APP_SECRET=") > started, 90, "the journal after the reboot")
    assert bootstrap.SECRET not in shipped(control)
    assert answers(control, machine.name) == ["CONTINUE by call"]
    accepted = [call for call in calls(control, "CompleteLifecycleAction") if call["status"] == 200]
    assert len(accepted) == 1
    journal = machine.exec(["journalctl", "--boot", "--output=cat"]).stdout
    assert "Reached target" in journal and "ordering cycle" not in journal


def shipped(control):
    """Everything in the group, as one text."""
    return "\n".join(event["message"] for event in control.logs(GROUP))
