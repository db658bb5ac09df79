"""Processes of the guests, seen from the host."""

import os
import signal
from pathlib import Path
from typing import List, Optional


def send(pid: int, number: int = signal.SIGKILL) -> None:
    """Sends a signal to a process, which may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def namespace(pid: object) -> Optional[str]:
    """The process namespace a process is in."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def children(parent: int) -> List[int]:
    """The direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold anything; what follows the last bracket is fixed.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found
