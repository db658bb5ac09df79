"""The journal as a source of the real binary, with systemd's own `journalctl`: fault 30. More is in `tests/journal`."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from account import Row

pytestmark = pytest.mark.full
REMOTE = "/lib/systemd/systemd-journal-remote"


class Journal:
    """A machine's journal, as far as the shipper can tell: entries that are made offline."""

    def __init__(self, rig):
        self.rig, self.folder = rig, rig.folder / "journal"
        self.folder.mkdir()
        programs = rig.folder / "programs"
        programs.mkdir()
        # Boots of entries made offline are no boots of this machine.
        script = f'#!/bin/sh\nfor word; do shift; [ "$word" = --boot ] && word=--merge; set -- "$@" "$word"; done\n' \
                 f'exec {shutil.which("journalctl")} --directory={self.folder} "$@"\n'
        (programs / "journalctl").write_text(script)
        (programs / "journalctl").chmod(0o755)
        rig.process.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
        rig.follow({"unit": "app.service"})
        rig.sink.say("keep")
        self.begin = int(time.time()) - 3600

    def write(self, name: str, first: int, count: int) -> Path:
        """A journal file with these entries; each file is a machine's that has lost what was before."""
        made = []
        for number in range(first, first + count):
            head = f"__REALTIME_TIMESTAMP={(self.begin * 1000 + number) * 1000}\n__MONOTONIC_TIMESTAMP={(number + 1) * 1000}\n_BOOT_ID={1:032x}\n"
            made.append(f"{head}_SYSTEMD_UNIT=app.service\nMESSAGE=entry {number}\n\n")
        path = self.folder / f"{name}.journal"
        subprocess.run([REMOTE, "--split-mode=none", f"--output={path}", "-"], input="".join(made), text=True, check=True, capture_output=True)
        return path

    def came(self):
        return [event["message"] for event in self.rig.sink.kept() if event["message"].startswith("entry ")]

    def until(self, count: int):
        self.rig.until(lambda: len(set(self.came())) >= count, f"{count} entries")
        time.sleep(2)
        return self.came()


@pytest.fixture
def journal(rig):
    return Journal(rig)


def entries(first, count):
    return [f"entry {number}" for number in range(first, first + count)]


def record(rig, fault, lines, note):
    rig._look_at_memory()
    rig.record(Row(fault, lines, 0, 0, 0, rig.peak, note))


def test_vacuumed_while_it_is_away(journal, rig):
    first = journal.write("first", 0, 500)
    rig.start()
    assert journal.until(500) == entries(0, 500)
    rig.stop()
    first.unlink()
    journal.write("second", 700, 300)
    rig.start()
    assert journal.until(800)[500:] == entries(700, 300)
    rig.until(lambda: "the journal has lost" in rig.said(), "it is said")
    rig.until(lambda: rig.status()["figures"]["gaps"] == 1, "it is counted")
    record(rig, "30 the journal was vacuumed while it is away", 800, "the gap is said and counted")


def test_a_damaged_journal(journal, rig):
    journal.write("first", 0, 500)
    rig.start()
    assert journal.until(500) == entries(0, 500)
    # The middle of the file turns to noise, then another file goes on.
    path = journal.folder / "first.journal"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3)
        file.write(os.urandom(size // 3))
    journal.write("second", 500, 300)
    came = journal.until(800)
    assert set(came) == set(entries(0, 800))
    record(rig, "30 a journal file is damaged", 800, "what is behind it is shipped")


def test_no_journalctl(rig):
    log = rig.log().write(1000)
    rig.follow({"file": f"{rig.files}/*.log"}, {"unit": "app.service"})
    empty = rig.folder / "empty"
    empty.mkdir()
    rig.process.environment["PATH"] = str(empty)
    rig.start().arrived()
    assert "there is no `journalctl`" in rig.said()
    log.write(1000)
    rig.judge("30 there is no journalctl", note="said; files are shipped")
