"""A plan on any Linux box: an ordinary user, no AWS, no systemd, nothing written."""

import json
import os

import pytest
from box import USER
from box import box as box_of

PLAYBOOK = "background-removal.yaml"
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


@pytest.fixture(scope="module")
def box(binary):
    with box_of(binary) as it:
        yield it


def plan(box, *options):
    """The plan of S1."""
    return box.plan(PLAYBOOK, *options, "--set", "environment=prod")


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
    told = plan(box, "--json")
    assert told.returncode == 10, told
    events = [json.loads(line) for line in told.stdout.splitlines()]
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
    told = plan(box)
    assert told.returncode == 10, told
    said = told.stdout + told.stderr
    assert "cannot tell" in said and "packages-of-the-app" in said, said
    assert "\x1b" not in said, "no colours without a terminal"


def test_not_one_file_changed(box):
    devices = set(os.listdir("/dev/shm"))
    for options in ([], ["--diff"], ["--json"]):
        assert plan(box, *options).returncode == 10
    assert box.files() == box.before
    assert set(os.listdir("/dev/shm")) == devices
    # The comparison sees a change that leaves size and content alone.
    os.utime(box.root / "srv/playbooks/background-removal.yaml")
    assert box.files() != box.before
