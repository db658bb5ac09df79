"""Cuts a run short where it stands: kill -9 between one event and the next.

The agent's output is a pipe that holds one line: as long as an event is looked at but not taken out, the next one cannot be
said. So a run is never further than the moment that was asked for, however fast it is.
"""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
from typing import Iterator, List, Optional

from instance import processes

_LIBC = ctypes.CDLL(None, use_errno=True)
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ; Python knows the name from 3.10
_PAGE = 4096


class Held:
    """A program whose lines are handed out one at a time; it waits meanwhile."""

    def __init__(self, argv: List[str]):
        self._read, write = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
        fcntl.fcntl(write, _SET_PIPE_SIZE, _PAGE)
        self._copy = os.pipe2(os.O_CLOEXEC)
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.DEVNULL)
        os.close(write)

    def lines(self) -> Iterator[str]:
        """Line by line; the program cannot say the next one before it is asked for."""
        begun = b""
        while True:
            copied = _LIBC.tee(self._read, self._copy[1], 1 << 20, 0)
            if copied < 0:
                raise OSError(ctypes.get_errno(), "tee")
            if copied == 0:
                return
            *whole, begun = (begun + os.read(self._copy[0], copied)).split(b"\n")
            for line in whole:
                yield line.decode()
            os.read(self._read, 1 << 20)

    def kill(self) -> None:
        """Ends the program at once. What we started waits for it outside the machine; the program is its only child."""
        for child in processes.children(self._process.pid):
            processes.send(child, signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """Waits for its end and returns its status."""
        try:
            return self._process.wait(seconds)
        finally:
            for end in (self._read, *self._copy):
                os.close(end)


def after(argv: List[str], nth: int, seconds: float, endings: bool) -> bool:
    """Runs `agent run --json` until the nth change was announced as being made, or, with `endings`, a step has ended; then kill -9.

    False: the run ended before.
    """
    held = Held(argv)
    seen = 0
    last: Optional[str] = None
    for line in held.lines():
        event = json.loads(line)
        last = event["event"]
        if (endings and last == "step_finished") or (last == "change" and event["applying"]):
            seen += 1
            if seen == nth:
                held.kill()
                assert held.wait(seconds) == -signal.SIGKILL, "the run ended before it was killed"
                return True
    held.wait(seconds)
    assert last == "run_finished", f"the run's last event was {last}"
    return False
