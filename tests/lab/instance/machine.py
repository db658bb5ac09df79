"""One instance: an overlay over the prepared root, booted with real systemd, entered, rebooted, or cut from its power."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import control_groups, paths, processes
from .command import LabError, run
from .network import Network

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """An instance of the lab. Everything about it lies in one directory."""

    def __init__(self, directory: Path, network: Network):
        self.directory = directory
        self.name = directory.name
        self._network = network

    @classmethod
    def create(
        cls, directory: Path, network: Network, lower: List[Path], address: str, files: Dict[str, str],
        control: Optional[str] = None, image: Optional["Machine"] = None,
    ) -> "Machine":
        """Makes an instance that has not booted. `image` is a powered-off one whose disk this one starts with."""
        machine = cls(directory, network)
        directory.mkdir(parents=True)
        if image:
            if image.running():
                raise LabError(f"{image.name} is running; power it off before its disk becomes an image")
            run(["cp", "--archive", "--reflink=auto", image.upper, machine.upper])
        else:
            machine.upper.mkdir()
        # Like the EC2 of Xen days: the one place where a machine without DMI says that it is one.
        identity = "ec2" + str(uuid.uuid4())[3:]
        for name, text in {**files, "/etc/machine-uuid": identity + "\n"}.items():
            machine.write(name, text)
        facts = {
            "name": machine.name, "address": address, "lower": [str(path) for path in lower], "uuid": identity,
            "namespace": network.instance(machine.name), "control": control,
        }
        (directory / "machine.json").write_text(json.dumps(facts))
        network.attach(machine.name, address)
        return machine

    @property
    def upper(self) -> Path:
        """What the instance has written: its disk, seen from outside."""
        return self.directory / "upper"

    @property
    def address(self) -> str:
        """The private address."""
        return json.loads((self.directory / "machine.json").read_text())["address"]

    def write(self, name: str, text: str) -> None:
        """Puts a file onto the disk of an instance that is not running."""
        target = self.upper / name.lstrip("/")
        for parent in reversed(target.relative_to(self.upper).parents):
            (self.upper / parent).mkdir(mode=0o755, exist_ok=True)
        target.write_text(text)
        target.chmod(0o644)

    def boot(self) -> "Machine":
        """Switches the power on and returns as soon as there is a first process; `wait` waits for more."""
        if self.running():
            raise LabError(f"{self.name} is running already")
        (self.directory / "state").unlink(missing_ok=True)
        (self.directory / "nspawn.pid").unlink(missing_ok=True)
        search = {**os.environ, "PYTHONPATH": str(paths.LAB)}
        with open(self.directory / "supervisor.log", "ab") as log:
            subprocess.Popen(
                ["unshare", "--mount", "--propagation", "slave", sys.executable, "-m", "instance.supervisor", str(self.directory)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=search,
            )
        self._until(lambda: self.leader() or self._state(), 20, "start")
        if not self.leader():
            raise LabError(f"{self.name} did not start ({self._state()})\n{self.why()}")
        return self

    def running(self) -> bool:
        """Whether the power is on."""
        return self._nspawn() is not None

    def leader(self) -> Optional[int]:
        """The first process of the instance, as the host numbers it."""
        nspawn = self._nspawn()
        # Before the guest's first process there is a short-lived child in the host's own process namespace.
        mine = processes.namespace("self")
        return next((pid for pid in processes.children(nspawn) if processes.namespace(pid) not in (None, mine)), None) if nspawn else None

    def wait(self, seconds: float = 60) -> str:
        """Waits until systemd has finished booting (cloud-init's stages included) and returns what it says."""
        return self._until(self._booted, seconds, "finish booting")

    def wait_for_cloud_init(self, seconds: float = 120) -> str:
        """Waits until cloud-init has run everything, user-data included."""
        return self.exec(["cloud-init", "status", "--wait", "--long"], timeout=seconds, check=False).stdout

    def exec(
        self, argv: Sequence[object], *, user: Optional[str] = None, input: Optional[str] = None,
        timeout: float = 120, check: bool = True,
    ) -> subprocess.CompletedProcess:
        """Runs a program inside and returns what it printed."""
        return run(self.inside(argv, user), input=input, timeout=timeout, check=check)

    def inside(self, argv: Sequence[object], user: Optional[str] = None, terminal: bool = False) -> List[str]:
        """The command line that runs a program inside."""
        leader = self.leader()
        if not leader:
            raise LabError(f"{self.name} is not running")
        environment = [f"PATH={_PATH}", "LANG=C.UTF-8", "HOME=/root"]
        if terminal:
            environment.append(f"TERM={os.environ.get('TERM', 'linux')}")
        become = ["runuser", "-u", user, "--"] if user else []
        words = [str(word) for word in argv]
        return ["nsenter", "--target", str(leader), "--all", "env", "--chdir=/", "-i", *environment, *become, *words]

    def read(self, name: str) -> str:
        """A file of the running instance."""
        return self.exec(["cat", name]).stdout

    def console(self) -> str:
        """Everything the serial console has shown."""
        path = self.directory / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def why(self) -> str:
        """What to show when something about this instance went wrong."""
        texts = [self.console()] + [
            path.read_text(errors="replace")
            for path in (self.directory / "nspawn.log", self.directory / "supervisor.log") if path.exists()
        ]
        return "\n".join("\n".join(text.replace("\r", "").splitlines()[-40:]) for text in texts if text.strip())

    def poweroff(self, seconds: float = 60) -> None:
        """Shuts down in order."""
        self.exec(["systemctl", "poweroff"], check=False)
        self.wait_until_off(seconds)

    def wait_until_off(self, seconds: float) -> str:
        """Waits until the instance has shut itself down and returns how it ended: `stopped` when it did so in order."""
        return self._until(lambda: not self.running() and self._state(), seconds, "power off")

    def reboot(self, seconds: float = 60) -> None:
        """Reboots in order and returns when the new first process is there."""
        before = self.leader()
        self.exec(["systemctl", "reboot"], check=False)
        self._until(lambda: self.leader() not in (None, before), seconds, "reboot")

    def crash(self) -> None:
        """Cuts the power: every process ends at once, nothing is asked; the disk stays as it is."""
        nspawn = self._nspawn()
        leader = self.leader()
        for pid in (nspawn, leader):
            if pid:
                processes.send(pid)
        self._until(lambda: not self.running() and self._state(), 20, "lose its power")

    def suspend(self) -> None:
        """Stops every process where it stands, as hibernation does; the clock goes on without them."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them go on."""
        self._signal(signal.SIGCONT)

    def destroy(self) -> None:
        """Terminates the instance; its disk is gone."""
        if self.running():
            self.crash()
        self._network.detach(self.name)
        control_groups.leave_nothing(self.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: int) -> None:
        listed = run(["ip", "netns", "pids", self._network.instance(self.name)]).stdout
        mine = [int(pid) for pid in listed.split() if processes.namespace(pid) == processes.namespace(self.leader())]
        for pid in mine:
            processes.send(pid, number)

    def _booted(self) -> Optional[str]:
        if not self.leader():
            raise LabError(f"{self.name} is off ({self._state()})\n{self.why()}")
        said = self.exec(["systemctl", "is-system-running"], check=False).stdout.strip()
        return said if said in ("running", "degraded", "maintenance") else None

    def _state(self) -> Optional[str]:
        path = self.directory / "state"
        return path.read_text() if path.exists() else None

    def _nspawn(self) -> Optional[int]:
        try:
            pid = int((self.directory / "nspawn.pid").read_text())
            # A number may have been given to another process since.
            named = f"--machine={self.name}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if named else None

    def _until(self, done, seconds: float, what: str):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = done()
            if answer:
                return answer
            time.sleep(0.05)
        raise LabError(f"{self.name} did not {what} within {seconds:.0f} s\n{self.why()}")
