"""Files that are easily taken for one another: faults 10, 11 and 29."""

import os
import subprocess

import pytest
from rig import RESCAN

pytestmark = pytest.mark.full


def create(path, inode):
    """An empty file, on this inode if the file system gives it out: it gives the lowest that is free. Whether it did."""
    fillers = []
    while len(fillers) < 2000:
        fillers.append(path.with_name(f"filler-{len(fillers)}"))
        fillers[-1].touch()
        if fillers[-1].stat().st_ino == inode:
            break
    fillers.pop().rename(path)
    for filler in fillers:
        filler.unlink()
    return path.stat().st_ino == inode


def test_an_inode_is_given_out_again(rig):
    log = rig.log()
    rig.start()
    reused = 0
    for round in range(5):
        log.write(200)
        rig.arrived()
        inode = log.path.stat().st_ino
        if round % 2:
            # Who follows a file keeps its inode from being given out.
            rig.stop()
        log.path.unlink()
        reused += create(log.path, inode)
        if round % 2:
            log.write(200)
            rig.start()
    log.write(200)
    rig.judge("10 an inode is given out again", rest=RESCAN, note=f"{reused} times, while it is away")
    assert reused > 0, "this file system does not do that"


def test_identical_heads_empty_files_and_one_byte(rig):
    head = b"# a banner that every one of these logs begins with\n" * 60
    for number in range(30):
        log = rig.log(f"f{number}.log")
        log.path.write_bytes(head)
        log.write(100 + number)
    for number in range(10):
        (rig.files / f"empty{number}.log").touch()
        (rig.files / f"byte{number}.log").write_bytes(b"\n")
    rig.start().arrived()
    rig.stop()
    for log in rig.logs:
        log.rename()
        log.path.write_bytes(head)
        log.write(50)
    for number in range(10):
        (rig.files / f"empty{number}.log").rename(rig.files / f"empty{number}.log.1")
        (rig.files / f"empty{number}.log").write_bytes(b"x\n")
    rig.start()
    rig.judge("11 identical heads, empty files, one byte", rest=RESCAN, note="50 files, rotated while it is away")
    foreign = rig.sink.figures()["tally"]["foreign"]
    assert 60 * 30 * 2 + 10 <= foreign <= 60 * 30 * 2 + 10 + 3, "heads, and a line a minute of its own"


def test_a_symbolic_link_is_pointed_at_the_next_file(rig):
    rig.follow({"file": f"{rig.files}/current"})
    link = rig.files / "current"
    logs = [rig.log(f"a.{number}") for number in range(3)]
    rig.start()
    for log in logs:
        # All three are one source.
        log.written = sum(other.written for other in logs)
        begin = log.written
        log.write(1000)
        link.unlink(missing_ok=True)
        link.symlink_to(log.path)
        log.write(500)
        log.written -= begin
        rig.arrived()
    rig.judge("29 a symbolic link moves on", rest=RESCAN)


def test_a_hard_link_is_the_same_file(rig):
    log = rig.log().write(1000)
    os.link(log.path, rig.files / "b.log")
    rig.start().arrived()
    log.write(1000)
    rig.judge("29 a hard link", rest=RESCAN)


def test_the_folder_is_replaced(rig):
    log = rig.log("a.log")
    rig.start()
    for number in range(3):
        log.write(1000)
        rig.arrived()
        rig.files.rename(rig.folder / f"old{number}")
        rig.files.mkdir()
    log.write(1000)
    rig.judge("29 the folder is replaced", rest=RESCAN)


def test_behind_a_bind_mount(rig):
    log = rig.log().write(1000)
    view = rig.folder / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", rig.files, view], check=True)
    try:
        rig.follow({"file": f"{rig.files}/*.log"}, {"file": f"{view}/*.log"})
        rig.start().arrived()
        log.rename()
        log.write(1000)
        rig.judge("29 the same folder twice, by a bind mount", rest=RESCAN)
    finally:
        rig.process.end()
        subprocess.run(["umount", view], check=True)


def test_a_file_of_a_lower_layer_is_copied_up(rig):
    layers = {name: rig.folder / name for name in ("lower", "upper", "work", "files")}
    for layer in layers.values():
        layer.mkdir(exist_ok=True)
    log = rig.log().write(1000)
    log.path.rename(layers["lower"] / log.path.name)
    options = f"lowerdir={layers['lower']},upperdir={layers['upper']},workdir={layers['work']}"
    # An overlay on an overlay has no place to work.
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, rig.files], check=False, capture_output=True).returncode:
        pytest.skip("no overlay can be mounted here")
    try:
        rig.start().arrived()
        log.write(1000)
        rig.arrived()
        log.rename()
        log.write(1000)
        # To the kernel it is another file from then on, and its name is another's again when it is renamed.
        rig.judge("29 a file of a lower layer is copied up", bound=log.written, rest=RESCAN, note="the copy is another file: shipped as such")
    finally:
        rig.process.end()
        subprocess.run(["umount", rig.files], check=True)
