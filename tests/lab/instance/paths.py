"""Where the lab keeps its files.

Everything lies in the user's cache, outside the checkout: a fresh clone finds the prepared root of the last one.
"""

import os
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
REPOSITORY = LAB.parent.parent
GUEST = Path(__file__).resolve().parent / "guest"


def cache() -> Path:
    """The project's directory in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bootstrap-agent"


def layers() -> Path:
    """Prepared directories, named by what went into them."""
    return cache() / "lab" / "layers"


def state(lab: str) -> Path:
    """What exists only while the lab of this name is up."""
    return cache() / "lab" / "up" / lab


def lock(lab: str) -> Path:
    """The lock of a lab: namespaces and addresses are the machine's, so it is one for all users."""
    return Path("/run/lock") / f"bootstrap-agent-lab-{lab}"
