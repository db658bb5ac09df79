"""What an instance costs while it works: memory of the whole tree and of its largest process, bytes written to disk.

Read from outside, through the host's /proc: every process of the guest is a descendant of its first one. What was there
before the measurement began, and the application itself, are not counted.
"""

import os
import threading
import time
from pathlib import Path
from typing import Dict, Set

PAGE = os.sysconf("SC_PAGE_SIZE")


def children(leader: int) -> Dict[int, int]:
    """Every process below this one, with its parent."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    below = {}
    frontier = [leader]
    while frontier:
        parent = frontier.pop()
        for pid, its_parent in parents.items():
            if its_parent == parent and pid not in below:
                below[pid] = parent
                frontier.append(pid)
    return below


def written(leader: int) -> int:
    """Bytes that went to disk by the guest's first process, those it has reaped, and those that live."""
    total = 0
    for pid in [leader, *children(leader)]:
        try:
            lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return total


class Meter:
    """Samples memory until it is stopped."""

    def __init__(self, leader: int, spare: str):
        self._leader, self._spare = leader, spare
        self._before: Set[int] = set(children(leader))
        self._stop = threading.Event()
        self.tree = self.largest = self.own = self.own_largest = 0
        self.who = ""
        self._written = written(leader)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> Dict[str, object]:
        """Ends the measurement; bytes, and who was the largest."""
        self._stop.set()
        self._thread.join()
        return {
            "tree": self.tree, "largest": self.largest, "who": self.who, "own": self.own, "own_largest": self.own_largest,
            "written": written(self._leader) - self._written,
        }

    def _sample(self) -> None:
        while not self._stop.is_set():
            total = own = 0
            for pid in set(children(self._leader)) - self._before:
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if self._spare.encode() in words:
                        continue
                    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
                except (OSError, ValueError, IndexError):
                    continue
                total += resident
                if any(name in words for name in (b"bin/agent", b"__errand", b"ansible", b"AnsiballZ")):
                    own += resident
                    self.own_largest = max(self.own_largest, resident)
                if resident > self.largest:
                    self.largest, self.who = resident, words.replace(b"\0", b" ").decode(errors="replace")[:60].strip()
            self.tree = max(self.tree, total)
            self.own = max(self.own, own)
            time.sleep(0.05)
