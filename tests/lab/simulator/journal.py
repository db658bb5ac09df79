"""Every request that reached the simulator, for tests to assert on.

Secret values are kept on purpose: a leak test has to be able to find them.
"""

from __future__ import annotations

import fnmatch
import json
import threading
from pathlib import Path
from typing import Any


class Journal:
    """In memory for the control API, and one JSON line each in a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self._next = 1
        self._file = path.open("a", encoding="utf-8") if path else None

    def record(self, entry: dict[str, Any]) -> None:
        """Number the entry and keep it."""
        with self._lock:
            entry["seq"] = self._next
            self._next += 1
            self._entries.append(entry)
            if self._file:
                self._file.write(json.dumps(entry, default=str) + "\n")
                self._file.flush()

    def read(self, since: int = 0, **wanted: str) -> list[dict[str, Any]]:
        """Entries numbered above `since` whose fields match the given patterns."""
        with self._lock:
            entries = list(self._entries)
        return [e for e in entries if e["seq"] > since and _matches(e, wanted)]

    def clear(self) -> None:
        """Forget what is in memory; the file and the numbering go on."""
        with self._lock:
            self._entries = []


def _matches(entry: dict[str, Any], wanted: dict[str, str]) -> bool:
    for field, pattern in wanted.items():
        if field == "name":
            values = entry["names"]
        elif field == "fault":
            values = entry["faults"]
        else:
            values = [entry.get(field)]
        if not any(fnmatch.fnmatchcase(str(value), pattern) for value in values):
            return False
    return True
