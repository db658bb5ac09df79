"""The simulator's process, in the lab's network, and clients for it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

from simulator.client import Simulator

from . import paths
from .command import LabError
from .network import Network

PORT = 4566


class Aws:
    """AWS as the lab's instances see it."""

    def __init__(self, directory: Path, network: Network):
        self.directory = directory
        self.endpoint = f"http://{network.aws}:{PORT}"
        self._network = network
        self._process: Optional[subprocess.Popen] = None
        # What is asked of the simulator never goes through a proxy of the machine's.
        spared = [*filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY")]), network.aws]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(spared)

    def up(self) -> None:
        """Starts the simulator and waits until it says that it is ready."""
        self.directory.mkdir(parents=True)
        command = [
            sys.executable, "-m", "simulator", "--aws", f"{self._network.aws}:{PORT}",
            "--imds", f"{self._network.metadata}:80", "--journal", self.journal,
        ]
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with open(self.directory / "log", "wb") as log, open(self.directory / "ready", "wb") as ready:
            self._process = subprocess.Popen(
                self._network.inside(*command), stdin=subprocess.DEVNULL, stdout=ready, stderr=log,
                start_new_session=True, env={**quiet, "PYTHONPATH": str(paths.LAB)},
            )
        end = time.monotonic() + 60
        while "ready" not in (self.directory / "ready").read_text():
            if self._process.poll() is not None or time.monotonic() > end:
                raise LabError(f"the simulator did not start\n{self.log()[-3000:]}")
            time.sleep(0.05)

    @property
    def journal(self) -> Path:
        """Every request the simulator has answered, a JSON object a line."""
        return self.directory / "journal.jsonl"

    def log(self) -> str:
        """What the simulator's process has printed."""
        return (self.directory / "log").read_text(errors="replace")

    def control(self) -> Simulator:
        """The simulator's client: boto3 clients, instances, faults, clock, journal, logs, console."""
        return Simulator(f"{self._network.aws}:{PORT}", f"{self._network.metadata}:80")
