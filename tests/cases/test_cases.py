"""Drives the real binary through every case folder, and holds each of them to the laws."""

import shutil
import subprocess
from pathlib import Path

import case as cases
import pytest
import tree
from instance import root

FOLDERS = sorted(folder.parent for folder in Path(__file__).parent.glob("*/playbook.yaml"))
assert FOLDERS, "no case found"


@pytest.fixture(scope="session")
def base():
    """The prepared Debian that every case stands on."""
    return root.prepared()


@pytest.fixture
def case(request, base, binary):
    work = cases.workspace()
    made = []
    it = cases.Case(request.param, binary, base, work)
    fresh = it.fresh

    def tracked():
        machine = fresh()
        made.append(machine)
        return machine

    it.fresh = tracked
    yield it
    for machine in made:
        machine.close()
    shutil.rmtree(work, ignore_errors=True)


@pytest.mark.parametrize("case", FOLDERS, indirect=True, ids=lambda folder: folder.name)
def test_case(case):
    # Law 1: a dry-run leaves the tree byte-identical, and says what it should.
    machine = case.fresh()
    plan = machine.run(case.agent("--dry-run", "--diff"), case.timeout)
    assert list(machine.upper.rglob("*")) == [], "the dry-run wrote"
    assert plan.returncode == case.settings.get("plan_exit", 10), plan.stdout + plan.stderr
    differences = [case.expect("plan.txt", cases.steady(plan.stdout + plan.stderr))]

    # Law 2: a run gives `after.txt`, and says what it should.
    first = machine.run(case.agent(), case.timeout)
    assert first.returncode == case.settings.get("run_exit", 0), first.stdout + first.stderr
    after = case.after(machine)
    differences += [case.expect("run.txt", cases.steady(first.stdout + first.stderr)), case.expect("after.txt", after)]
    if (case.folder / "check.sh").exists():
        checked = machine.run(["sh", "-eu", "/.case/check.sh"], case.timeout)
        assert checked.returncode == 0, f"check.sh: {checked.stdout}{checked.stderr}"

    # Law 3: a second run has nothing to do (a case says why if it has), and changes nothing.
    second = machine.run(case.agent(), case.timeout)
    if first.returncode == 0:
        assert second.returncode == 0, second.stdout + second.stderr
        if not case.settings.get("always"):
            assert "nothing to do" in second.stdout + second.stderr, second.stdout + second.stderr
        assert case.after(machine) == after, "the second run changed something"

    # Law 5: no secret value in any output or record.
    values = [value.encode() for value in case.values()]
    for done in (plan, first, second):
        assert not any(value in (done.stdout + done.stderr).encode() for value in values), "a secret is in the output"
    assert tree.holds(machine.upper / cases.STATE, values) == [], "a secret is in the records"

    assert [difference for difference in differences if difference] == []


@pytest.mark.parametrize("case", FOLDERS, indirect=True, ids=lambda folder: folder.name)
def test_a_run_cut_short_is_finished_by_the_next(case):
    """Law 4: kill -9 after any change in turn; the next run ends as the uncut one does."""
    if case.settings.get("uncut"):
        pytest.skip(case.settings["uncut"])
    whole = case.fresh()
    done = whole.run(case.agent(), case.timeout)
    if done.returncode != 0:
        return  # what fails uncut proves nothing cut; test_case looks at it
    expected = case.after(whole)
    cut = 0
    for nth in range(1, 40):
        machine = case.fresh()
        if not case.cut_after(machine, nth):
            break
        cut += 1
        finished = machine.run(case.agent(), case.timeout)
        assert finished.returncode == 0, f"after a cut at {nth}: {finished.stdout}{finished.stderr}"
        assert case.after(machine) == expected, f"after a cut at {nth}"
        machine.close()
    assert cut > 0, "the run was never cut short"


@pytest.mark.parametrize("case", FOLDERS, indirect=True, ids=lambda folder: folder.name)
def test_no_secret_in_any_argv(case):
    """Law 5, the other half: what every process of the run was started with, seen by strace."""
    if not case.values():
        pytest.skip("the case has no secrets")
    if not shutil.which("strace"):
        pytest.fail("strace is not installed; tests/lab/test installs it")
    machine = case.fresh()
    log = machine.root.parent / "execve.log"
    argv = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "100000", "-o", str(log), *machine.command(case.agent())]
    subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=case.timeout * 3)
    seen = log.read_text(errors="replace")
    assert "execve(" in seen
    assert not any(value in seen for value in case.values()), "a secret is in an argv or an environment"


def test_the_laws_can_fail(base, binary, tmp_path):
    """A law that is switched off must be noticed: what the laws look with is tried on a machine that breaks them."""
    folder = tmp_path / "breaks"
    folder.mkdir()
    (folder / "playbook.yaml").write_text("version: 1\nname: breaks\nsteps:\n  - directory: /srv/made\n")
    (folder / "case.yaml").write_text("secrets: { token: a-secret-of-the-test }\n")
    work = cases.workspace()
    it = cases.Case(folder, binary, base, work)
    machine = it.fresh()
    try:
        # A dry-run that wrote would be seen, a different tree too, a leak too.
        machine.run(["mkdir", "-p", "/srv/made", f"/{cases.STATE}"], 10)
        assert list(machine.upper.rglob("*")) != []
        assert "directory 0755 root:root /srv/made" in it.after(machine)
        machine.run(["sh", "-c", f"echo a-secret-of-the-test > /{cases.STATE}/record"], 10)
        assert tree.holds(machine.upper / cases.STATE, [b"a-secret-of-the-test"]) == ["record"]
        # A run that had everything to do does not say "nothing to do".
        fresh = it.fresh()
        assert "nothing to do" not in fresh.run(it.agent(), 60).stdout
        fresh.close()
    finally:
        machine.close()
        shutil.rmtree(work, ignore_errors=True)


