"""What holds for every case. Each law is one function, so that `test_laws.py` can show that it notices its breach."""

import case as cases
import tree


def nothing_written(machine):
    """A dry-run, a check and a refused playbook leave the tree byte-identical."""
    written = machine.written()
    assert written == [], f"it wrote {written}"


def nothing_to_do(done):
    """A run on a machine that is as the playbook wishes says so."""
    assert "nothing to do" in done.stdout + done.stderr, done.stdout + done.stderr


def finished_after_a_cut(case, machine, finished, expected, cut):
    """The run after one that was killed ends as an uncut one does, and says that there was one."""
    said = finished.stdout + finished.stderr
    assert finished.returncode == 0, f"after a cut at {cut}: {said}"
    assert "was cut short" in said, f"after a cut at {cut} it was not reported: {said}"
    after = machine.after(case.values())
    assert after == expected, cases.different(f"the tree after a cut at {cut}", expected, after)


def no_secret(case, machine, outputs):
    """No secret value is in any output or record."""
    values = [value.encode() for value in case.values()]
    for done in outputs:
        assert not any(value in (done.stdout + done.stderr).encode() for value in values), "a secret is in the output"
    assert tree.holds(machine.upper / cases.STATE, values) == [], "a secret is in the records"


def no_secret_started(case, seen):
    """No process was started with a secret in its arguments, nor, but for the program that was to get it, its environment."""
    assert "execve(" in seen
    wanted = case.settings.get("environment_of")
    for line in seen.splitlines():
        if "execve(" in line and not (wanted and f'"{wanted}"' in line):
            assert not any(value in line for value in case.values()), f"a secret is in an argv or an environment: {line}"
