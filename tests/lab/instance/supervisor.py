"""The hypervisor of one instance: starts it, restarts it when it reboots, keeps its serial console.

A process of its own, in its own session and mount namespace, so that an instance outlives the command that launched it and
its mounts vanish with it. Run as `python -m instance.supervisor DIRECTORY`; the directory holds `machine.json`.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from . import control_groups
from .layers import stack

# nspawn's word for "the guest asked for a reboot" when somebody else is in charge of restarting.
_REBOOT = 133
_KEPT = 64 * 1024
# nspawn leaves this one read-only when the network is one that it has not made.
_INIT = "mount --bind /proc/sys/net /proc/sys/net && mount -o remount,bind,rw /proc/sys/net; exec /usr/lib/lab/init"


def supervise(directory: Path) -> int:
    """Runs the instance until it is powered off or loses its power; the answer is what `state` then holds."""
    machine = json.loads((directory / "machine.json").read_text())
    root = directory / "root"
    stack([Path(lower) for lower in machine["lower"]], directory / "upper", directory / "work", root)
    console = Console(directory / "console.log", machine)
    while True:
        ended = _boot(directory, root, machine, console)
        if ended != _REBOOT:
            break
        console.write(b"\r\n")
    console.post()
    (directory / "state").write_text("stopped" if ended == 0 else f"ended with {ended}")
    return 0


def _boot(directory: Path, root: Path, machine: dict, console: "Console") -> int:
    argv = [
        "systemd-nspawn", "--quiet", "--register=no", "--console=read-only", "--kill-signal=SIGRTMIN+3",
        f"--directory={root}", f"--machine={machine['name']}", f"--uuid={machine['uuid']}",
        f"--network-namespace-path=/run/netns/{machine['namespace']}", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        # In its own network an instance's root does as it likes (firewalls, bridges of containers), and containers have keyrings.
        "--capability=CAP_NET_ADMIN", "--system-call-filter=@keyring",
    ]
    # With systemd on the host nspawn asks it for a scope; elsewhere it stays in the control group made for it here.
    argv += [] if control_groups.host_has_systemd() else ["--keep-unit"]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_LOG_LEVEL": "err"}
    with open(directory / "nspawn.log", "ab") as log:
        process = subprocess.Popen(
            [*argv, "/bin/sh", "-c", _INIT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            env=environment, preexec_fn=lambda: _become(machine["name"]),
        )
    (directory / "nspawn.pid").write_text(str(process.pid))
    console.follow(process.stdout)
    ended = process.wait()
    (directory / "nspawn.pid").unlink(missing_ok=True)
    return ended


def _become(name: str) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: without its hypervisor a machine has no power
    control_groups.enter(name)


class Console:
    """The serial console: a file on the host, and what GetConsoleOutput says in the simulator."""

    def __init__(self, path: Path, machine: dict):
        self._path = path
        self._machine = machine
        self._changed = threading.Event()
        self._posting = threading.Lock()
        threading.Thread(target=self._keep_posting, daemon=True).start()

    def follow(self, pipe) -> None:
        """Copies until the other end closes, which is when the machine is off."""
        while True:
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                return
            self.write(piece)

    def write(self, piece: bytes) -> None:
        with open(self._path, "ab") as file:
            file.write(piece)
        self._changed.set()

    def post(self) -> None:
        """Hands the console's last 64 KiB to the simulator, which is how much EC2 keeps."""
        if not self._machine.get("control") or not self._path.exists():
            return
        url = f"{self._machine['control']}/_lab/console/{self._machine['name']}"
        # One at a time, or what was read first might arrive last and stay.
        with self._posting:
            request = urllib.request.Request(url, data=self._path.read_bytes()[-_KEPT:], method="POST")
            try:
                # Never through a proxy: the address is the lab's own.
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
            except OSError as error:  # the simulator may be gone: the machine runs on
                print(f"console not posted: {error}", file=sys.stderr)

    def _keep_posting(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            self.post()
            time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
