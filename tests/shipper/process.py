"""A shipper as a process with its children: started, ended, measured."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """One command, which can be started again and again."""

    def __init__(self, command: Sequence[str], environment: Dict[str, str], said: Path):
        self.command, self.environment, self.said = list(command), environment, said
        self._running: Optional[subprocess.Popen] = None

    @property
    def pid(self) -> int:
        return self._running.pid

    def start(self, under: Sequence[str] = ()) -> None:
        """Starts it, `under` a command that runs another one."""
        with self.said.open("a") as log:
            self._running = subprocess.Popen([*under, *self.command], env=self.environment, stdout=log, stderr=log)

    def runs(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def send(self, number: int) -> None:
        self._running.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code."""
        return self._running.wait(timeout=seconds)

    def end(self, number: int = signal.SIGTERM) -> float:
        """Ends it; how long that took. Nothing survives SIGKILL, children neither."""
        begin = time.monotonic()
        for child in _family(self.pid)[1:] if number == signal.SIGKILL else []:
            os.kill(child, number)
        self.send(number)
        self.wait()
        return time.monotonic() - begin

    def cpu(self) -> float:
        """Seconds, with its children's."""
        return sum(_cpu(pid) for pid in _family(self.pid))

    def memory(self, peak: bool = False) -> float:
        """MiB of its processes: now, or at most."""
        return sum(_memory(pid, "VmHWM" if peak else "VmRSS") for pid in _family(self.pid))


def _family(leader: int) -> List[int]:
    pids = [leader]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            pids.extend(int(child) for child in task.read_text().split())
    return pids


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0
