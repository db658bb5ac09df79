"""Control groups: two instances in one would each take the other's services for their own.

Where the host runs systemd, nspawn asks it for a scope and there is nothing to do here.
"""

import os
import sys
import time
from pathlib import Path
from typing import Iterator


def host_has_systemd() -> bool:
    """Whether this machine's own first process is systemd."""
    return Path("/run/systemd/system").is_dir()


def groups(name: str) -> Iterator[Path]:
    """The control groups of an instance where the host has no systemd to keep instances apart."""
    if host_has_systemd():
        return
    top = Path("/sys/fs/cgroup")
    # Version 2 is one hierarchy; of version 1 there is one for each controller, some under a second name.
    version_1 = [path for path in top.iterdir() if not path.is_symlink() and (path / "cgroup.procs").exists()]
    for hierarchy in [top] if (top / "cgroup.procs").exists() else version_1:
        yield hierarchy / "bootstrap-agent-lab" / name


def enter(name: str) -> None:
    """Moves the calling process, which is about to become an instance, into the instance's groups."""
    for group in groups(name):
        try:
            group.mkdir(parents=True, exist_ok=True)
            if group.parts[-3] == "cpuset":
                _allow_every_cpu(group)
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            print(f"control group {group}: {error}", file=sys.stderr)


def leave_nothing(name: str) -> None:
    """Removes an instance's groups with those its systemd made below, and ours above them if it was the last."""
    for group in groups(name):
        for _ in range(40):
            for directory, _, _ in os.walk(group, topdown=False):
                _remove_if_empty(directory)
            if not group.exists():
                break
            time.sleep(0.05)  # its processes are killed, but not all have ended
        _remove_if_empty(group.parent)


def _remove_if_empty(directory: object) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        pass


def _allow_every_cpu(group: Path) -> None:
    """A new group of this hierarchy has no CPU and takes no process until it is given some."""
    for level in (group.parent, group):
        for what in ("cpuset.cpus", "cpuset.mems"):
            (level / what).write_text((level.parent / what).read_text())
