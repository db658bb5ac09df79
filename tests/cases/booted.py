"""A machine with real systemd, for the cases of units and services: an instance of the lab without its AWS."""

import subprocess
import uuid
from pathlib import Path
from typing import List

import tree
from chroot import ENVIRONMENT
from instance import control_groups, paths
from instance.lock import held
from instance.machine import Machine
from instance.network import Network

# Where a playbook writes; elsewhere systemd and its journal are at work too.
WATCHED = ["etc", "home", "opt", "root", "srv", "usr", "var/lib/bootstrap-agent"]


class Power:
    """The network that booted cases share, made when the first of them boots."""

    def __init__(self) -> None:
        self._network = Network("cases")
        self._lock = held(paths.lock("cases"), "the lab `cases`")
        self._up = False
        self._launched = 0

    def launch(self, lower: List[Path], directory: Path) -> "Booted":
        """Boots one more machine."""
        if not self._up:
            self._lock.__enter__()
            self._network.down()
            self._network.up()
            self._up = True
        self._launched += 1
        address = str(self._network.subnet[10 + self._launched % 240])
        return Booted(directory / f"i-{uuid.uuid4().hex[:10]}", self._network, lower, address)

    def off(self) -> None:
        """Takes the network away, if it was made."""
        if self._up:
            self._network.down()
            self._lock.__exit__(None, None, None)


class Booted:
    """One booted instance, with the words of `Chroot`."""

    def __init__(self, directory: Path, network: Network, lower: List[Path], address: str):
        directory.parent.mkdir(parents=True, exist_ok=True)
        self.lower = lower
        self._machine = Machine.create(
            directory, network, lower, address, {"/etc/cloud/cloud-init.disabled": "", "/etc/hosts": "127.0.0.1 localhost\n"},
        )
        self.upper = self._machine.upper
        try:
            self._machine.boot().wait()
        except Exception:
            self._machine.destroy()
            raise
        self.is_as_found()

    def is_as_found(self) -> None:
        """From now on, what is there belongs to the machine as it is found."""
        self.found = tree.snapshot(self.upper, WATCHED)
        self.entries = set(tree.describe(self.upper, self.lower))

    def written(self) -> List[str]:
        """Every path that was written since, where a playbook writes."""
        return tree.differences(self.found, tree.snapshot(self.upper, WATCHED))

    def after(self, hidden: List[str]) -> str:
        """What was made since, for a person and for a comparison."""
        return "".join(f"{entry}\n" for entry in tree.describe(self.upper, self.lower, hidden) if entry not in self.entries)

    def command(self, argv: List[str]) -> List[str]:
        """The command line that runs a program inside."""
        return self._machine.inside(["env", *ENVIRONMENT, *argv])

    def run(self, argv: List[str], timeout: float) -> subprocess.CompletedProcess:
        """Runs a program inside to its end."""
        return subprocess.run(self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, errors="replace")

    def close(self) -> None:
        """Cuts its power and removes it."""
        self._machine.destroy()
        control_groups.leave_nothing(self._machine.name)
