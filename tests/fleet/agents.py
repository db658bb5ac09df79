"""The processes: real agents, each with an identity, a state and a folder of its own, awaited and measured by the kernel."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .account import Account, Instance
from .server import Server

PLAYBOOK = Path(__file__).with_name("playbook.yaml")
# How often it is looked whether one has ended.
_GLANCE = 0.02
_DESCRIPTORS = 65_536


@dataclass
class Boot:
    """One agent's."""

    instance: Instance
    folder: Path
    process: subprocess.Popen[bytes]
    exit_code: int | None = None
    cpu: float = 0.0
    peak_bytes: int = 0

    def why(self) -> str:
        """What it said last."""
        lines = (self.folder / "said").read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-4:]) or "nothing"


class Fleet:
    """Agents at work, and all of them ended when it is left."""

    def __init__(self, account: Account, server: Server, binary: Path) -> None:
        self._account, self._server, self._binary = account, server, binary
        self._top = Path(tempfile.mkdtemp(prefix="fleet-"))
        self._working: dict[int, Boot] = {}
        self.boots: list[Boot] = []
        self.most_at_once = 0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, _DESCRIPTORS), hard), hard))

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._working):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(self._top)

    def boot(self, size: int, at_once: int, patience: float) -> None:
        """Boots so many. The first `at_once` are switched on in one moment, each of the others when one has ended.

        Those that are not done after `patience` seconds are left behind.
        """
        waits, opens = os.pipe()
        for number in range(min(size, at_once)):
            self._start(number, waits)
        self._server.do(lambda: [self._account.launch(boot.instance) for boot in self.boots])
        os.close(opens)
        end = time.monotonic() + patience
        for number in range(at_once, size):
            while len(self._working) >= at_once and time.monotonic() < end:
                self._reap()
            self._start(number, waits, on=True)
        while self._working and time.monotonic() < end:
            self._reap()
        os.close(waits)

    def _start(self, number: int, gate: int, on: bool = False) -> None:
        """A process that becomes the agent as soon as the gate is open."""
        instance = self._server.do(lambda: self._account.order(number))
        if on:
            self._server.do(lambda: self._account.launch(instance))
        folder = self._top / instance.id
        folder.mkdir()
        (folder / "app.log").write_text("the application begins\n")
        waiting = ["sh", "-c", 'read go; exec "$@" </dev/null', "sh"]
        command = [*waiting, self._binary, "run", "--trigger", "boot", "--state-dir", folder / "state", "--set", f"folder={folder}", PLAYBOOK]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": self._server.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self._server.url}/{instance.id}",
        }
        with open(folder / "said", "wb") as said:
            process = subprocess.Popen(command, stdin=gate, stdout=said, stderr=said, env=environment, cwd=folder)
        boot = Boot(instance, folder, process)
        self._working[process.pid] = boot
        self.boots.append(boot)
        self.most_at_once = max(self.most_at_once, len(self._working))

    def _reap(self) -> None:
        if not self._collect():
            time.sleep(_GLANCE)

    def _collect(self) -> bool:
        """Those that have ended by now. Whether there were any."""
        any_ended = False
        # By the ids of our own only: the tests' process has other children.
        for pid, boot in list(self._working.items()):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                any_ended = True
                del self._working[pid]
                boot.process.returncode = boot.exit_code = os.waitstatus_to_exitcode(status)
                boot.cpu, boot.peak_bytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        return any_ended
