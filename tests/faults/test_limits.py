"""Machines that have run out of something, and how little the shipper needs: faults 26 to 28, and 32."""

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from account import Row
from rig import RESCAN

pytestmark = pytest.mark.full


@contextmanager
def small_disk(place: Path, size: str):
    """A file system of this size at this place."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path) -> Path:
    """Leaves no byte free; the file that takes them."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def test_no_room_for_the_record(rig):
    log = rig.log().write(1000)
    with small_disk(rig.state, "256k"):
        rig.start().arrived()
        rig.until(lambda: (rig.state / "state.json").exists(), "a record")
        time.sleep(2)
        ballast = fill(rig.state)
        log.write(2000)
        rig.arrived()
        rig.until(lambda: "cannot be recorded" in rig.said(), "it is said")
        rig.kill()
        # What was not recorded is sent again, and nothing else.
        rig.start()
        log.write(100)
        rig.arrived()
        ballast.unlink()
        rig.until(lambda: "is recorded again" in rig.said(), "it is over")
        rig.judge("26 no room for the record, and a kill", bound=2000, note="said, and said when it is over")
        rig.stop()


def test_no_room_for_what_would_vanish(rig):
    log = rig.log().write(1000)
    with small_disk(rig.state, "4m"):
        rig.start().arrived()
        rig.sink.say("down")
        log.write(40_000)
        rig.until(lambda: rig.holds_open(log.path), "it is open")
        log.path.unlink()
        time.sleep(1)
        rig.stop()
        dropped = rig.status()["figures"]["dropped_spool_full"]
        saved = sum(file.stat().st_size for file in (rig.state / "spool").iterdir())
        rig.sink.say("up")
        rig.start()
        lost = (dropped + 199) // 200
        rig.until(lambda: rig.sink.source("a")["came"] >= log.written - lost, "what was saved")
        time.sleep(2)
        came = rig.sink.source("a")
        rig._look_at_memory()
        rig.stop()
    assert dropped > 0 and saved > 0, "the disk was not too small"
    assert log.written - came["came"] == lost and came["duplicates"] == 0
    # Whatever is lost here is counted to the byte.
    note = f"{lost:,} more lines could not be saved, which the status counts to the byte"
    rig.record(Row("26 deleted, stopped, and a tenth of the free disk is too little", log.written - lost, 0, 0, 0, rig.peak, note))


def test_few_descriptors(rig):
    logs = [rig.log(f"f{number}.log").write(100) for number in range(200)]
    rig.start(under=["prlimit", "--nofile=64:64"]).arrived()
    for log in logs:
        log.write(50)
    for log in logs[:50]:
        log.rename()
        log.write(50)
    rig.judge("27 200 files, 64 descriptors", rest=RESCAN)


@pytest.mark.parametrize("what", ["watches", "instances"])
def test_no_inotify(rig, what):
    log = rig.log().write(1000)
    # A user namespace has limits of its own; inside, it is root as before.
    script = f"echo 0 > /proc/sys/user/max_inotify_{what} && exec \"$@\""
    rig.start(under=["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]).arrived()
    log.write(1000)
    begin = time.monotonic()
    rig.arrived()
    took = time.monotonic() - begin
    log.rename()
    log.write(1000)
    rig.judge(f"27 no inotify {what}", rest=RESCAN, note=f"polled: lines are there after {took:.1f} s")


def test_more_hints_than_the_queue_holds(rig):
    log = rig.followed(1000)
    rig.freeze()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(most // 2 + 100):
        (rig.files / f"x{number}").touch()
        (rig.files / f"x{number}").unlink()
    log.write(1000)
    log.rename()
    new = rig.log("b.log").write(1000)
    rig.thaw()
    rig.judge("27 the queue of hints overflows", rest=RESCAN)
    assert new.written == 1000


def processor_seconds(pid: int) -> float:
    """What all its threads have used, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def test_five_thousand_idle_files(rig):
    sources = []
    for folder in range(40):
        (rig.files / f"d{folder}").mkdir()
        sources.append({"file": f"{rig.files}/d{folder}/*.log"})
    rig.follow(*sources)
    logs = [rig.log(f"d{number % 40}/f{number}.log") for number in range(5000)]
    for log in logs:
        log.source = "a"
        log.path.write_text("")
    for number, log in enumerate(logs):
        log.written = number
        log.write(1)
        log.written = 1
    rig.start().arrived()
    # Files that grew a minute ago are looked at now and then.
    time.sleep(75)
    before = processor_seconds(rig.process.pid)
    time.sleep(60)
    used = (processor_seconds(rig.process.pid) - before) / 60
    memory = rig.process.memory()
    rig.judge("28 5,000 idle files, 40 patterns", note=f"{used * 100:.3f} % of a processor, {memory:.1f} MiB at rest")
    assert used < 0.001, f"{used * 100:.3f} % of a processor"


def test_a_hundred_streams(rig):
    sources = [{"file": f"{rig.files}/f{number}.log", "stream": f"s{number}"} for number in range(100)]
    rig.follow(*sources)
    for number in range(100):
        rig.log(f"f{number}.log").write(5000)
    rig.start().arrived()
    rig.sink.say("down")
    for log in rig.logs:
        log.write(1000)
    time.sleep(5)
    rig.sink.say("up")
    rig.judge("32 a hundred streams, with an outage", note="3 MiB of budget")
