"""Fixtures: the binary under test, the sink, and a `rig` for each test; and the table of what every fault has shown."""

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from account import Account
from rig import Rig
from shipper.sink import Sink

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = pytest.StashKey()


def pytest_configure(config):
    config.stash[TABLE] = Account()


@pytest.fixture(scope="session")
def binary():
    """The agent under test: `tests/lab/test` names it."""
    return Path(os.environ["AGENT_BINARY"])


@pytest.fixture(scope="session")
def folder():
    """On a disk, as logs are; not on a tmpfs."""
    path = Path(tempfile.mkdtemp(prefix="faults-", dir="/var/tmp"))
    # What tests leave behind when they are root is readable by whoever the test ran as.
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def service(request, folder):
    """The sink. The quick tier has no time for a fast one, and no need."""
    quick = "not full" in request.config.option.markexpr
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    words = ["--workspace", "--bin", "log-sink"] if quick else ["--profile", "sink", "--package", "log-sink"]
    subprocess.run(
        ["cargo", "build", "--locked", "--quiet", *words], cwd=REPOSITORY, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    sink = Sink(target / ("debug" if quick else "sink") / "log-sink", folder)
    yield sink
    sink.close()


@pytest.fixture
def sink(service):
    """The same, behaving, and with nothing in it."""
    service.say("up")
    service.say("reset")
    return service


@pytest.fixture
def rig(request, binary, sink, folder, numbers=itertools.count()):
    """A shipper with its files, which go away with the test. A failed test shows what it said."""
    it = Rig(folder / f"{next(numbers)}", binary, sink, request.config.stash[TABLE])
    yield it
    it.close()
    if getattr(request.node, "failed", False):
        request.node.add_report_section("call", "the shipper", it.said()[-5000:])
    shutil.rmtree(it.folder, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets the rig know whether its test failed."""
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


def pytest_terminal_summary(terminalreporter, config):
    """The table; `UPDATE=1` writes it down."""
    account = config.stash[TABLE]
    if account.rows:
        terminalreporter.section("what the faults have shown")
        terminalreporter.write_line(account.text())
    if os.environ.get("UPDATE") and account.rows:
        account.write(Path(__file__).with_name("FIGURES.md"))
