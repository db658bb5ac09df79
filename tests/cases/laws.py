"""What holds for every case. Each law is one function, so that `test_laws.py` can show that it notices its breach.

Which laws a test owes to a case is said here once more (`due`), and whoever left one out has failed: a law that is switched off
must not look like one that holds.
"""

import functools

import case as cases
import pytest
import tree

# The laws that held since this was cleared.
held = set()


def law(function):
    """Remembers that it held."""

    @functools.wraps(function)
    def hold(*arguments):
        function(*arguments)
        held.add(function.__name__)

    return hold


def due(test, settings):
    """The laws that a test must have held a case to, by what its `case.yaml` says."""
    ends_well = not settings.get("run_exit")
    return {
        "test_case": {"nothing_written", "as_expected", "no_secret"} | ({"nothing_to_do"} if ends_well and not settings.get("always") else set()),
        "test_a_run_cut_short_is_finished_by_the_next": set() if settings.get("uncut") else {"finished_after_a_cut"},
        "test_no_secret_in_any_argv": {"no_secret_started"},
        "test_refused": {"nothing_written", "no_secret"},
    }[test]


@law
def nothing_written(machine):
    """A dry-run, a check and a refused playbook leave the tree byte-identical."""
    written = machine.written()
    assert written == [], f"it wrote {written}"


@law
def as_expected(differences):
    """The plan, what the run said and the tree that it gave are the folder's."""
    assert set(differences) == {"plan.txt", "run.txt", "after.txt"}
    found = [difference for difference in differences.values() if difference]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@law
def nothing_to_do(done):
    """A run on a machine that is as the playbook wishes says so."""
    assert "nothing to do" in done.stdout + done.stderr, done.stdout + done.stderr


@law
def finished_after_a_cut(case, machine, finished, expected, cut):
    """The run after one that was killed ends as an uncut one does, and says that there was one."""
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, f"after a cut at {cut}: {said}"
    assert "was cut short" in said, f"after a cut at {cut} it was not reported: {said}"
    after = machine.after(case.values())
    assert after == expected, cases.different(f"the tree after a cut at {cut}", expected, after)


@law
def no_secret(case, machine, outputs):
    """No secret value is in any output or record."""
    values = [value.encode() for value in case.values()]
    for done in outputs:
        assert not any(value in (done.stdout + done.stderr).encode() for value in values), "a secret is in the output"
    assert tree.holds(machine.upper / cases.STATE, values) == [], "a secret is in the records"


@law
def no_secret_started(case, seen):
    """No process was started with a secret in its arguments, nor, but for the program that was to get it, its environment."""
    assert "execve(" in seen
    wanted = case.settings.get("environment_of")
    for line in seen.splitlines():
        if "execve(" in line and not (wanted and f'"{wanted}"' in line):
            assert not any(value in line for value in case.values()), f"a secret is in an argv or an environment: {line}"
