"""The agent under test."""

import os
from pathlib import Path

import pytest

from instance.binary import built


@pytest.fixture(scope="session")
def binary():
    """The one `AGENT_BINARY` names, or the checkout's."""
    return Path(os.environ["AGENT_BINARY"]) if "AGENT_BINARY" in os.environ else built()
