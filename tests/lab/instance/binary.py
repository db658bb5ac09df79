"""The agent's binary for the guest: the static one, as it is shipped, whatever C library this machine has."""

import os
import subprocess
from pathlib import Path

from . import paths
from .command import LabError
from .report import step


def built() -> Path:
    """Builds the agent from the checkout. Cargo speaks for itself meanwhile, on standard error."""
    target = os.environ.get("CARGO_TARGET_DIR") or str(paths.cache() / "target")
    with step("building the agent (the first time takes some ten minutes)"):
        done = subprocess.run(
            [paths.REPOSITORY / "packaging" / "build", "--profile", "ci"], cwd=paths.REPOSITORY, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "CARGO_TARGET_DIR": target}, check=False, **_caller(),
        )
    if done.returncode != 0 or not done.stdout.strip():
        raise LabError("the agent does not build")
    # The last line it prints on standard output is the path of what it made.
    return paths.REPOSITORY / done.stdout.strip().splitlines()[-1]


def _caller() -> dict:
    """Who called `sudo`: what is built belongs to them, not to root."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() != 0 or not uid or not gid or paths.REPOSITORY.stat().st_uid != int(uid):
        return {}
    return {"user": int(uid), "group": int(gid), "extra_groups": []}
