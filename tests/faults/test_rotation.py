"""Rotation in every manner, while the shipper follows, is behind, frozen, or away: faults 1 to 9."""

import os
import signal
import time

import pytest
from rig import IN_FLIGHT, RESCAN

# More than the shipper holds in memory.
BEHIND = 60_000


def test_renamed_and_made_anew(rig):
    log = rig.followed(1000)
    for _ in range(5):
        log.write(2000)
        log.rename()
    log.write(1000)
    rig.judge("1 renamed and made anew", note="five times at once")


@pytest.mark.full
def test_the_writer_keeps_the_old_file(rig):
    log = rig.followed(1000)
    with log.path.open("ab") as old:
        log.rename()
        for _ in range(10):
            time.sleep(3)
            log.write_to(old, 100)
            log.write(100)
    rig.judge("2 renamed, and the writer keeps the old file", rest=RESCAN, note="for 30 s")


@pytest.mark.full
def test_copied_and_cut_while_behind(rig):
    log = rig.followed(1000)
    rig.sink.say("down")
    log.write(BEHIND)
    rig.until(lambda: rig.status()["backlog_bytes"] > 6_000_000, "it is behind")
    log.copytruncate()
    log.write(1000)
    # A second time, so that the first copy has moved as well.
    time.sleep(2)
    log.copytruncate()
    log.write(1000)
    rig.sink.say("up")
    rig.judge("3 copied and cut while behind", rest=RESCAN)


@pytest.mark.full
def test_copied_cut_and_grown_past_the_old_place(rig):
    log = rig.followed(1000)
    rig.freeze()
    log.write(500)
    log.copytruncate()
    log.write(5000)
    rig.thaw()
    rig.judge("4 copied, cut and grown past the old place", rest=RESCAN)


@pytest.mark.full
def test_cut_under_a_writer_that_does_not_append(rig):
    log = rig.log()
    rig.sink.say("keep")
    rig.start()
    with log.path.open("wb") as file:
        for _ in range(3):
            log.write_to(file, 1000)
            rig.arrived()
            os.truncate(log.path, 0)
        log.write_to(file, 1000)
        rig.judge("5 cut under a writer that does not append", rest=RESCAN, note="three holes of zeros")
    assert [event for event in rig.sink.kept() if "\0" in event["message"]] == []


@pytest.mark.full
def test_renamed_and_compressed_at_once(rig):
    log = rig.followed(1000)
    rig.freeze()
    log.write(3000)
    log.rename(packed=True)
    log.write(1000)
    rig.thaw()
    rig.judge("6 renamed and compressed at once", rest=RESCAN)


@pytest.mark.full
def test_renamed_twice_between_two_looks(rig):
    log = rig.followed(1000)
    rig.freeze()
    for _ in range(2):
        log.write(1000)
        log.rename()
    log.write(1000)
    rig.thaw()
    rig.judge("7 renamed twice between two looks", rest=RESCAN)


@pytest.mark.full
def test_deleted_while_unread(rig):
    log = rig.followed(1000)
    rig.sink.say("down")
    log.write(BEHIND)
    rig.until(lambda: rig.holds_open(log.path), "it is open")
    log.path.unlink()
    time.sleep(2)
    rig.sink.say("up")
    rig.judge("8 deleted while unread")


@pytest.mark.full
def test_deleted_while_unread_and_stopped(rig):
    log = rig.followed(1000)
    rig.sink.say("down")
    log.write(BEHIND)
    rig.until(lambda: rig.holds_open(log.path), "it is open")
    log.path.unlink()
    took = rig.stop()
    saved = sum(file.stat().st_size for file in (rig.state / "spool").iterdir())
    rig.sink.say("up")
    rig.start()
    rig.judge("8 deleted while unread, and stopped", note=f"{saved / 1e6:.0f} MB saved in {took:.1f} s")
    rig.until(lambda: not list((rig.state / "spool").iterdir()), "what was saved is removed")


@pytest.mark.full
@pytest.mark.parametrize("times, packed, ending", [(1, False, "once"), (3, False, "three times"), (3, True, "three times, gzip")])
def test_rotated_while_it_is_away(rig, times, packed, ending):
    log = rig.followed(1000)
    log.write(500)
    rig.stop()
    for _ in range(times):
        log.write(1000)
        log.rename(packed)
    log.write(1000)
    rig.start()
    rig.judge(f"9 rotated while it is away, {ending}", rest=RESCAN)


@pytest.mark.full
def test_cut_while_it_is_away(rig):
    log = rig.followed(3000)
    rig.stop()
    log.write(1000)
    log.copytruncate()
    log.write(500)
    rig.start()
    rig.judge("9 copied and cut while it is away", rest=RESCAN)


@pytest.mark.full
def test_rotated_after_a_kill_while_behind(rig):
    log = rig.followed(1000)
    rig.sink.say("slow/300")
    log.write(BEHIND)
    rig.until(lambda: rig.sink.source("a")["came"] > 10_000, "it is at it")
    rig.kill()
    log.rename(packed=True)
    log.write(1000)
    rig.sink.say("up")
    rig.start()
    rig.judge("9 killed while behind, then rotated and compressed", bound=IN_FLIGHT, rest=RESCAN)


@pytest.mark.full
def test_frozen(rig):
    log = rig.log()
    rig.start()
    for _ in range(3):
        log.write(20_000)
        rig.until(lambda: rig.sink.source("a")["came"] > 0, "it is at it")
        rig.freeze()
        time.sleep(5)
        log.write(5000)
        log.rename()
        rig.thaw()
        rig.arrived()
    rig.judge("SIGSTOP for 5 s, three times", rest=RESCAN)


@pytest.mark.full
def test_stopped_while_nobody_answers(rig):
    log = rig.followed(1000)
    rig.sink.say("down")
    log.write(BEHIND)
    took = rig.stop(signal.SIGTERM)
    rig.start()
    log.write(1000)
    time.sleep(2)
    took = max(took, rig.stop())
    rig.start()
    rig.sink.say("up")
    rig.judge("17 stopped while nobody answers, twice", note=f"an end took {took:.1f} s at most")
    assert took < 7
