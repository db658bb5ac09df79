"""A Linux box that is nobody's instance: no AWS, no systemd, an ordinary user without rights, and every write to it can be seen."""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from instance import layers, paths, root
from instance.command import run

# Whoever is behind this number has no name, no home and no rights here.
USER = "4711"
# A network in which nothing answers and nothing refuses, as in an office where 169.254.169.254 is nobody.
SILENT_NETWORK = (
    "ip link set lo up; ip link add office type veth peer name nobody; ip link set nobody up;"
    " ip address add 192.0.2.2/24 dev office; ip link set office up; ip route add default dev office"
)


class Box:
    """The prepared Debian as a plain directory tree: nothing is booted in it."""

    def __init__(self, directory: Path, binary: Path):
        self.upper, self.root = directory / "upper", directory / "root"
        layers.stack(root.prepared(), self.upper, directory / "work", self.root)
        shutil.copy(binary, self.root / "usr/local/bin/agent")
        shutil.copytree(paths.REPOSITORY / "playbooks", self.root / "srv/playbooks")
        self.before = self.files()

    def run(self, *argv: str) -> subprocess.CompletedProcess:
        """Runs a program as an ordinary user, in a network in which nothing answers."""
        environment = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8"]
        words = ["chroot", f"--userspec={USER}:{USER}", str(self.root), *environment, *argv]
        script = f'{SILENT_NETWORK}; mount -t proc proc {self.root}/proc; exec "$@"'
        return run(["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-ec", script, "sh", *words], check=False, timeout=60)

    def plan(self, playbook: str, *options: str) -> subprocess.CompletedProcess:
        """`agent run --dry-run` of a playbook of the gallery."""
        return self.run("agent", "run", "--dry-run", *options, f"/srv/playbooks/{playbook}")

    def files(self):
        """Everything that was written on top of the prepared Debian, with the times of the last change."""
        return {
            str(path): (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_uid)
            for path in [self.upper, *self.upper.rglob("*")] for stat in [path.lstat()]
        }


@contextmanager
def box(binary: Path) -> Iterator[Box]:
    """One that goes away again."""
    directory = Path(tempfile.mkdtemp(prefix="bootstrap-agent-plan-", dir="/var/tmp"))
    it = Box(directory, binary)
    try:
        yield it
    finally:
        subprocess.run(["umount", "--lazy", str(it.root)], check=True)
        shutil.rmtree(directory)
