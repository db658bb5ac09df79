"""The agent's binary for the guest: the ordinary build where the guest can run it, the static one where it cannot."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import List, Optional, Tuple

from . import paths
from .command import LabError, run
from .report import say, step

# The glibc of the guest, Debian 12.
GUEST_GLIBC = (2, 36)


def built() -> Path:
    """Builds the agent from the checkout. Cargo speaks for itself meanwhile, on standard error."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or paths.cache() / "target")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    with step("building the agent"):
        argv = ["cargo", "build", "--profile", "ci", "--bin", "agent", "--message-format", "json-render-diagnostics"]
        done = _run(argv, environment)
    if done.returncode != 0:
        raise LabError("the agent does not build")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    made = [message["executable"] for message in messages if message.get("executable")]
    if not made:
        raise LabError("cargo named no executable")
    ordinary = Path(made[-1])
    wanted = glibc(ordinary)
    if wanted is None or wanted <= GUEST_GLIBC:
        return ordinary
    version = ".".join(str(part) for part in wanted)
    say(f"this machine's build needs glibc {version}, which the guest does not have; making the static one")
    return _static(environment)


def _run(argv: List[str], environment: dict) -> subprocess.CompletedProcess:
    """Runs a build in the checkout; what it says on standard error goes straight to the terminal."""
    return subprocess.run(
        argv, cwd=paths.REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False, **_caller(),
    )


def _caller() -> dict:
    """Who called `sudo`: what is built belongs to them, not to root."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.geteuid() != 0 or not uid or not gid or paths.REPOSITORY.stat().st_uid != int(uid):
        return {}
    return {"user": int(uid), "group": int(gid), "extra_groups": []}


def glibc(program: Path) -> Optional[Tuple[int, ...]]:
    """The newest glibc a program asks for; `None` if it is static."""
    listed = run(["readelf", "--version-info", program]).stdout
    versions = [tuple(int(part) for part in found.split(".")) for found in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", listed)]
    return max(versions) if versions else None


def _static(environment: dict) -> Path:
    """The last line `packaging/build` prints on standard output is the path of what it made."""
    script = paths.REPOSITORY / "packaging" / "build"
    if not script.exists():
        raise LabError(f"there is no `{script.relative_to(paths.REPOSITORY)}` to make a static agent with")
    with step("building the static agent"):
        done = _run([str(script), "--profile", "ci"], environment)
    if done.returncode != 0 or not done.stdout.strip():
        raise LabError("the static agent does not build")
    return paths.REPOSITORY / done.stdout.strip().splitlines()[-1]
