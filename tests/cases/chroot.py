"""A machine without systemd: a root directory made of overlays, in process and network namespaces of its own.

It sees no network but its loopback, so that no case can depend on one, and whatever a run leaves behind ends with it.
"""

import subprocess
from pathlib import Path
from typing import Dict, List

import tree
from instance import layers, processes
from instance.command import run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = [f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", "AWS_EC2_METADATA_DISABLED=true"]
# The first process adopts what others leave, as every first process must; else they would stay as zombies.
_FIRST = """
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --bind /dev "$1/dev"
ip link set lo up
echo up
exec chroot "$1" sh -c 'sleep infinity & wait'
"""


class Chroot:
    """The prepared Debian below, what is written on top."""

    # Everything is looked at: nobody else writes here.
    watched: List[str] = [""]

    def __init__(self, directory: Path, lower: List[Path]):
        self.upper, self.root = directory / "upper", directory / "root"
        self.lower = lower
        layers.stack(lower, self.upper, directory / "work", self.root)
        argv = ["unshare", "--mount", "--propagation", "slave", "--pid", "--net", "--fork", "--kill-child"]
        self._holder = subprocess.Popen(
            [*argv, "sh", "-euc", _FIRST, "sh", str(self.root)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        assert self._holder.stdout and self._holder.stdout.readline() == "up\n", "the machine did not start"
        (self._first,) = processes.children(self._holder.pid)
        self._beside: List[subprocess.Popen] = []
        self.found: Dict[str, tuple] = {}
        self.is_as_found()

    def is_as_found(self) -> None:
        """From now on, what is there belongs to the machine as it is found."""
        self.found = tree.snapshot(self.upper, self.watched)
        self.entries = set(tree.describe(self.upper, self.lower))

    def written(self) -> List[str]:
        """Every path that was written since."""
        return tree.differences(self.found, tree.snapshot(self.upper, self.watched))

    def after(self, hidden: List[str]) -> str:
        """What was made since, for a person and for a comparison."""
        return "".join(f"{entry}\n" for entry in tree.describe(self.upper, self.lower, hidden) if entry not in self.entries)

    def command(self, argv: List[str]) -> List[str]:
        """The command line that runs a program inside."""
        enter = ["nsenter", "--target", str(self._first), "--mount", "--pid", "--net"]
        return [*enter, "chroot", str(self.root), "/usr/bin/env", "-i", *ENVIRONMENT, *argv]

    def beside(self, argv: List[str], directory: Path) -> None:
        """Starts a server in the machine's network, but outside of its root; returns when it has said `up`. It ends with the machine."""
        enter = ["nsenter", "--target", str(self._first), "--pid", "--net"]
        with open(self.upper.parent / "beside.log", "w+") as log:
            server = subprocess.Popen(
                [*enter, *argv], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )
            self._beside.append(server)
            assert server.stdout and server.stdout.readline() == "up\n", Path(log.name).read_text()

    def run(self, argv: List[str], timeout: float) -> subprocess.CompletedProcess:
        """Runs a program inside to its end."""
        return subprocess.run(self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, errors="replace")

    def close(self) -> None:
        """Ends every process and takes the mount away."""
        self._holder.kill()
        for ended in [self._holder, *self._beside]:
            ended.wait()
            if ended.stdout:
                ended.stdout.close()
        run(["umount", "--lazy", self.root], check=False)
