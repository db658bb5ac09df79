"""A plan on any Linux box: an ordinary user, no AWS, no systemd, nothing written."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from instance import layers, paths, root
from instance.command import run

# Whoever is behind this number has no name, no home and no rights here.
USER = "4711"
# A network in which nothing answers and nothing refuses, as in an office where 169.254.169.254 is nobody.
SILENT_NETWORK = (
    "ip link set lo up; ip link add office type veth peer name nobody; ip link set nobody up;"
    " ip address add 192.0.2.2/24 dev office; ip link set office up; ip route add default dev office"
)
TIMES = """
import json, subprocess, sys, time
best, last = None, None
for _ in range(9):
    begin = time.perf_counter()
    last = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    spent = time.perf_counter() - begin
    best = spent if best is None else min(best, spent)
print(json.dumps({"best": best, "code": last.returncode, "out": last.stdout, "err": last.stderr}))
"""


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

    def plan(self, *options: str) -> subprocess.CompletedProcess:
        """`agent run --dry-run` of S1."""
        return self.run("agent", "run", "--dry-run", *options, "--set", "environment=prod", "/srv/playbooks/background-removal.yaml")

    def files(self):
        """Everything that was written on top of the prepared Debian, with the times of the last change."""
        return {
            str(path): (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_uid)
            for path in [self.upper, *self.upper.rglob("*")] for stat in [path.lstat()]
        }


@pytest.fixture(scope="module")
def box(binary):
    directory = Path(tempfile.mkdtemp(prefix="bootstrap-agent-plan-", dir="/var/tmp"))
    it = Box(directory, binary)
    yield it
    subprocess.run(["umount", "--lazy", str(it.root)], check=True)
    shutil.rmtree(directory)


def test_the_box_has_neither_aws_nor_systemd_nor_rights(box):
    assert box.run("id", "-u").stdout.strip() == USER
    assert box.run("test", "-d", "/run/systemd/system").returncode == 1
    asked = box.run("curl", "--silent", "--max-time", "0.2", "http://169.254.169.254/latest/api/token")
    assert asked.returncode == 28, "somebody answered or refused"
    assert box.run("touch", "/srv/new").returncode == 1


def test_under_100_ms(box):
    arguments = ["agent", "run", "--dry-run", "--set", "environment=prod", "/srv/playbooks/background-removal.yaml"]
    done = box.run("/usr/bin/python3", "-c", TIMES, *arguments)
    measured = json.loads(done.stdout)
    assert measured["code"] == 10, measured
    assert measured["best"] < 0.100, f"{measured['best'] * 1000:.0f} ms"


def test_the_plan_says_what_it_cannot_tell(box):
    plan = box.plan("--json")
    assert plan.returncode == 10, plan
    events = [json.loads(line) for line in plan.stdout.splitlines()]
    ended = {event["label"]: event for event in events if event["event"] == "step_finished"}
    endings = {label: event["ending"] for label, event in ended.items()}
    assert set(endings.values()) == {"would_change", "unknown"}, endings
    assert len(ended) == events[0]["steps"] and events[0]["dry_run"] is True
    # The requirements are in a repository that nobody has fetched yet; whether it will be healthy is not known before it runs.
    for label, ending in endings.items():
        if ending == "unknown":
            assert any("cannot tell" in text for text in ended[label]["reason"]["because"]), ended[label]
    assert endings["packages-of-the-app"] == "unknown", endings
    assert [event["ending"] for event in ended.values()][-1] == "unknown", "health cannot be told"


def test_the_plan_for_people_names_the_same_steps(box):
    plan = box.plan()
    assert plan.returncode == 10, plan
    said = plan.stdout + plan.stderr
    assert "cannot tell" in said and "packages-of-the-app" in said, said
    assert "\x1b" not in said, "no colours without a terminal"


def test_not_one_file_changed(box):
    devices = set(os.listdir("/dev/shm"))
    for options in ([], ["--diff"], ["--json"]):
        assert box.plan(*options).returncode == 10
    assert box.files() == box.before
    assert set(os.listdir("/dev/shm")) == devices
    # The comparison sees a change that leaves size and content alone.
    os.utime(box.root / "srv/playbooks/background-removal.yaml")
    assert box.files() != box.before
