"""One shipper, the real binary, with the files it follows: what a fault is played on, and how its outcome is judged."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from account import Account, Row
from log import Log
from shipper.process import Process
from shipper.sink import Sink

# `MemoryMax=` of the service: beyond it, the kernel would kill.
MEMORY = 64.0
# Lines of one full request.
BATCH = 1_048_576 // (199 + 26)
# What a kill may send twice: the four requests that memory holds, and six that were answered while the record was being written.
IN_FLIGHT = (4 + 6) * BATCH
# Longer than the shipper leaves folders alone: what it will find again, it has found by then.
RESCAN = 11


class Rig:
    """Its folder, its configuration, its process, its logs."""

    def __init__(self, folder: Path, binary: Path, sink: Sink, account: Account):
        self.folder, self.sink, self._account = folder, sink, account
        self.files, self.state = folder / "files", folder / "state"
        self.files.mkdir(parents=True)
        self.logs: List[Log] = []
        self.peak = 0.0
        self.group = f"faults/{folder.name}"
        self._config = folder / "configuration"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **sink.environment()}
        command = [str(binary), "ship-logs", "--config", str(self._config), "--state-dir", str(self.state)]
        self.process = Process(command, environment, folder / "said")
        self.follow({"file": f"{self.files}/*.log"})

    def follow(self, *sources: Dict[str, Any], **more: Any) -> None:
        """What it ships from its next start on."""
        self._config.write_text(json.dumps({"group": self.group, "stream": "s", "retention": "7d", "sources": sources, **more}))

    def log(self, name: str = "a.log") -> Log:
        """A log that it is to ship whole. Lines of logs with the same name are counted as one."""
        self.logs.append(Log(self.files / name, name.split(".")[0]))
        return self.logs[-1]

    def followed(self, lines: int) -> Log:
        """A log whose first lines have arrived; what becomes of it from now on is the shipper's business."""
        log = self.log().write(lines)
        self.start().arrived()
        return log

    def start(self, under: Sequence[str] = ()) -> "Rig":
        self.process.start(under)
        return self

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ends it; how long that took."""
        self._look_at_memory()
        return self.process.end(number)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send(signal.SIGCONT)

    def said(self) -> str:
        return self.process.said.read_text() if self.process.said.exists() else ""

    def status(self) -> Dict[str, Any]:
        """Its own figures, as it wrote them last."""
        return json.loads((self.state / "status.json").read_text())

    def holds_open(self, path: Path) -> bool:
        """Whether it has this file open."""
        links = Path(f"/proc/{self.process.pid}/fd").glob("*")
        return any(os.readlink(link).split(" (deleted)")[0] == str(path) for link in links if link.is_symlink())

    def until(self, done: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Waits until something is so; what it answered."""
        end = time.monotonic() + seconds
        while not (answer := done()):
            assert time.monotonic() < end, f"{what}: not within {seconds} s\n{self.said()[-3000:]}"
            time.sleep(0.05)
        return answer

    def arrived(self, seconds: float = 120) -> "Rig":
        """Waits until every line that was written has come."""
        wanted = self._written()

        def done() -> bool:
            sources = self.sink.figures()["tally"]["sources"]
            return all(sources.get(name, {"came": 0})["came"] >= count for name, count in wanted.items())

        try:
            self.until(done, "all lines", seconds)
        except AssertionError:
            came = {name: self.sink.source(name) for name in wanted}
            raise AssertionError(f"lines are missing: {wanted} written, {came}\n{self.said()[-3000:]}") from None
        return self

    def judge(self, fault: str, bound: int = 0, rest: float = 2, note: str = "") -> Row:
        """All lines have come, none more often than promised, none as the service would not have it, and within the memory."""
        self.arrived()
        # What is sent twice by mistake comes late.
        time.sleep(rest)
        self._look_at_memory()
        figures = self.sink.figures()
        came = {name: figures["tally"]["sources"].get(name, {"came": 0, "duplicates": 0}) for name in self._written()}
        lost = sum(count - came[name]["came"] for name, count in self._written().items())
        twice = sum(source["duplicates"] for source in came.values())
        row = Row(fault, sum(self._written().values()), lost, twice, bound, self.peak, note)
        self.record(row)
        assert figures["violations"] == []
        return row

    def record(self, row: Row) -> None:
        """Into the table, if it is as it must be."""
        self._account.add(row)
        assert row.lost == 0 and row.twice <= row.bound and row.peak <= MEMORY, row

    def close(self) -> None:
        self.sink.say("up")
        if self.process.runs():
            self.process.send(signal.SIGCONT)
            self.process.end(signal.SIGKILL)

    def _written(self) -> Dict[str, int]:
        wanted: Dict[str, int] = {}
        for log in self.logs:
            wanted[log.source] = wanted.get(log.source, 0) + log.written
        return wanted

    def _look_at_memory(self) -> None:
        if self.process.runs():
            self.peak = max(self.peak, self.process.memory(peak=True))
