"""Cases stand on the lab's prepared root and drive the binary that `AGENT_BINARY` names."""

import os
from pathlib import Path

import case as cases
import laws
import pytest
from booted import Power
from instance import root


@pytest.fixture(scope="session")
def binary():
    """The agent under test."""
    path = Path(os.environ["AGENT_BINARY"])
    assert path.is_file(), f"no agent at {path}"
    return path


@pytest.fixture(scope="session")
def base():
    """The prepared Debian that every case stands on."""
    return root.prepared()


@pytest.fixture(scope="session")
def power():
    """What boots the cases that need systemd."""
    it = Power()
    yield it
    it.off()


@pytest.fixture
def open_case(base, binary, power):
    """Opens a case folder; everything of it is gone when the test ends."""
    opened = []

    def start(folder):
        opened.append(cases.Case(folder, binary, base, power))
        return opened[-1]

    yield start
    for it in opened:
        it.close()


@pytest.fixture
def write_case(open_case, tmp_path):
    """A case written in the test itself: name, playbook, settings."""

    def write(playbook, **others):
        folder = tmp_path / f"case-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "playbook.yaml").write_text("version: 1\n" + playbook)
        for name, text in others.items():
            (folder / name.replace("_", ".")).write_text(text)
        return open_case(folder)

    return write


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets the fixture know whether its test passed: one that failed, or was interrupted, owes nothing."""
    report = (yield).get_result()
    if report.when == "call":
        item.passed = report.passed


@pytest.fixture
def case(request, open_case):
    """The case that a test is parametrised with. A test that did not hold it to every law has failed."""
    laws.held.clear()
    it = open_case(request.param)
    yield it
    if getattr(request.node, "passed", False):
        assert laws.due(request.function.__name__, it.settings) <= laws.held, f"only these laws held: {sorted(laws.held)}"
