"""Cases stand on the lab's prepared root and drive the binary that `AGENT_BINARY` names."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))


@pytest.fixture(scope="session")
def binary():
    """The agent under test."""
    path = Path(os.environ["AGENT_BINARY"])
    assert path.is_file(), f"no agent at {path}"
    return path
