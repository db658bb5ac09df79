"""A lab that was interrupted is in nobody's way, and a lab that is down has left nothing."""

import os
from pathlib import Path

import pytest

from instance import lock, paths
from instance.command import LabError, run
from instance.lab import Lab


@pytest.fixture
def spare():
    """A lab of its own, because these tests take it down."""
    with lock.held(paths.lock("spare"), "the lab `spare`"):
        lab = Lab("spare").up()
        yield lab
        Lab("spare").down()


def traces(name):
    """Everything on this machine that would show that the lab has been there."""
    processes = [
        entry.name for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f"{paths.state(name)}/" in _command_line(entry)
    ]
    return {
        "namespaces": [line for line in run(["ip", "netns", "list"]).stdout.splitlines() if _is_of(line, name)],
        "interfaces": [link for link in os.listdir("/sys/class/net") if link == f"ba-{name}"],
        "tables": [line for line in run(["nft", "list", "tables"]).stdout.splitlines() if line.endswith(f"ba-{name}")],
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{paths.state(name)}/" in line],
        "processes": processes,
        "files": [str(paths.state(name))] if paths.state(name).exists() else [],
    }


def _is_of(namespace, name):
    """Of this lab or one of its machines, and not of another lab whose name begins like it."""
    return namespace.split()[0] == f"ba-{name}" or namespace.startswith(f"ba-{name}-")


def _command_line(entry):
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_down_leaves_nothing(spare):
    machine = spare.launch()
    machine.wait()
    before = traces("spare")
    assert before["namespaces"] and before["interfaces"] and before["tables"] and before["processes"] and before["files"]
    spare.down()
    assert not any(traces("spare").values()), traces("spare")
    groups = [path for path in Path("/sys/fs/cgroup").glob(f"*/bootstrap-agent-lab/{machine.name}")]
    assert groups == []


def test_a_lab_comes_up_over_what_an_interrupted_one_left(spare):
    spare.launch()
    again = Lab("spare").up()
    assert again.machines() == []
    assert again.launch().wait() == "running"


def test_a_lab_in_use_is_not_touched(spare):
    with pytest.raises(LabError, match=f"in use by process {os.getpid()}"):
        with lock.held(paths.lock("spare"), "the lab `spare`", wait=False):
            pass
