"""The lab's time: the machine's own plus what tests have added to it."""

from __future__ import annotations

import threading
import time


class Clock:
    """Hook deadlines, credential expiry and the log service read this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the simulated AWS sees it."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> float:
        """Move time by `seconds`; negative values move it back."""
        with self._lock:
            self._offset += seconds
        return self.now()

    def reset(self) -> None:
        """Back to the machine's own time."""
        with self._lock:
            self._offset = 0.0

    @property
    def offset(self) -> float:
        """How far the lab is ahead of the machine."""
        return self._offset
