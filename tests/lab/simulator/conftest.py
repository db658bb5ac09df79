"""One simulator for all tests of it; each test begins with an empty account."""

from __future__ import annotations

import pytest

from .client import Simulator


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """The process, and the file it keeps its journal in."""
    journal = tmp_path_factory.mktemp("simulator") / "journal.jsonl"
    with Simulator.start(journal=journal) as simulator:
        simulator.journal_file = journal
        yield simulator


@pytest.fixture
def aws(running):
    """The same, emptied."""
    running.reset()
    return running
