"""Drives the real binary through every case folder, and holds each of them to the laws."""

import shutil
import subprocess
from pathlib import Path

import case as cases
import laws
import pytest
import yaml

HERE = Path(__file__).parent


def folders(wanted):
    """The case folders whose settings are wanted."""
    found = []
    for playbook in sorted(HERE.glob("*/playbook.yaml")):
        settings = playbook.parent / "case.yaml"
        said = (yaml.safe_load(settings.read_text()) or {}) if settings.exists() else {}
        if wanted(said):
            found.append(playbook.parent)
    assert found, "no case found"
    return found


def each(wanted):
    """Parametrises a test with the case folders whose settings are wanted."""
    return pytest.mark.parametrize("case", folders(wanted), indirect=True, ids=lambda folder: folder.name)


def accepted(settings):
    """Whether the playbook is one that can be run."""
    return not settings.get("refused")


def with_secrets(settings):
    """Whether there is a secret that could leak."""
    return accepted(settings) and "secrets" in settings


def done_in_the_end(settings):
    """Whether the run ends well; what fails uncut proves nothing cut."""
    return accepted(settings) and not settings.get("run_exit")


@each(accepted)
def test_case(case):
    # `agent check` has nothing to say.
    machine = case.fresh()
    checked = machine.run(case.agent(command="check"), case.timeout)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert machine.written() == [], "`agent check` wrote"

    # Law 1: a dry-run leaves the tree byte-identical, and says what it should.
    plan = machine.run(case.agent("--dry-run", "--diff"), case.timeout)
    laws.nothing_written(machine)
    assert plan.returncode == case.settings.get("plan_exit", 10), plan.stdout + plan.stderr
    differences = {"plan.txt": case.expect("plan.txt", cases.steady(plan.stdout + plan.stderr))}

    # The same as an account that owns nothing: it may know less, never more, and writes nothing either.
    other = machine.run([*cases.NOBODY, *case.agent("--dry-run", "--diff")], case.timeout)
    laws.nothing_written(machine)
    assert other.returncode in (10, plan.returncode) and (other.returncode or not plan.returncode), other.stdout + other.stderr

    # Law 2: a run gives `after.txt`, and says what it should.
    first = machine.run(case.agent(), case.timeout)
    assert first.returncode == case.settings.get("run_exit", 0), first.stdout + first.stderr
    after = machine.after(case.values())
    differences["run.txt"] = case.expect("run.txt", case.in_order(cases.steady(first.stdout + first.stderr)))
    differences["after.txt"] = case.expect("after.txt", after)
    case.script(machine, "check.sh")

    # Law 3: a second run has nothing to do (a case says why if it has), and changes nothing.
    case.script(machine, "between.sh")
    second = machine.run(case.agent(), case.timeout)
    if first.returncode == 0:
        assert second.returncode == 0, second.stdout + second.stderr
        if not case.settings.get("always"):
            laws.nothing_to_do(second)
        assert machine.after(case.values()) == after, "the second run changed something"

    # Law 5: no secret value in any output or record.
    laws.no_secret(case, machine, [checked, plan, other, first, second])

    laws.as_expected(differences)


@each(done_in_the_end)
def test_a_run_cut_short_is_finished_by_the_next(case):
    """Law 4: kill -9 after any change in turn; the next run ends as the uncut one does."""
    if case.settings.get("uncut"):
        pytest.skip(case.settings["uncut"])
    whole = case.fresh()
    done = whole.run(case.agent(), case.timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = whole.after(case.values())
    case.gone(whole)
    cut = 0
    while True:
        machine = case.fresh()
        if not case.cut_after(machine, cut + 1):
            break
        cut += 1
        finished = machine.run(case.agent(), case.timeout)
        laws.finished_after_a_cut(case, machine, finished, expected, cut)
        case.gone(machine)
    assert cut > 0, "the run was never cut short"


@each(with_secrets)
def test_no_secret_in_any_argv(case):
    """Law 5, the other half: what every process of the run was started with, seen by strace."""
    if not shutil.which("strace"):
        pytest.fail("strace is not installed; tests/lab/test installs it")
    machine = case.fresh()
    log = Path(machine.upper).parent / "execve.log"
    argv = ["strace", "-f", "-qq", "-e", "trace=execve", "-v", "-s", "100000", "-o", str(log), *machine.command(case.agent())]
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=case.timeout * 3)
    laws.no_secret_started(case, log.read_text(errors="replace"))


@each(lambda settings: not accepted(settings))
def test_refused(case):
    """A playbook that is wrong: all of it is said at once, by every command, and the machine is untouched."""
    machine = case.fresh()
    checked = machine.run(case.agent(command="check"), case.timeout)
    assert checked.returncode == 2, checked.stdout + checked.stderr
    assert checked.stdout == "", "problems belong on standard error"
    problems = checked.stderr.rpartition("\n\n")[0]
    assert problems
    for command in (case.agent(), case.agent("--dry-run")):
        done = machine.run(command, case.timeout)
        assert done.returncode == 2 and done.stderr.startswith(problems), done.stdout + done.stderr
    laws.nothing_written(machine)
    laws.no_secret(case, machine, [checked])
    assert case.expect("check.txt", checked.stderr) is None
