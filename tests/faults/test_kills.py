"""kill -9 at every stage, and answers that are lost: faults 16, 18 and 21."""

import os
import random
import time

import pytest
from deaths import WAYS
from rig import IN_FLIGHT

# Enough that no life is long enough to ship it all.
BACKLOG = 25_000


def die(rig, log, times: int, seed: int) -> str:
    """Dies so often, in every way by turns, while lines are written and the log is rotated. How it went."""
    dice = random.Random(seed)
    struck, twice = dict.fromkeys(WAYS, 0), [0]
    for number in range(times):
        came = rig.sink.source("a")
        missing = BACKLOG - (log.written - came["came"])
        if missing > 0:
            log.write(missing)
        if number % 25 == 24:
            log.rename()
        way = WAYS[number % len(WAYS)]
        struck[way] += way(rig, dice)
        twice.append(rig.sink.source("a")["duplicates"])
    assert all(hits > times // len(WAYS) // 2 for hits in struck.values()), f"a way to die that hardly ever strikes shows nothing: {struck}"
    most = max(after - before for before, after in zip(twice, twice[1:]))
    assert most <= IN_FLIGHT, f"seed {seed}: {most} lines twice after one kill"
    ways = ", ".join(f"{hits} {way.__name__.replace('_', ' ')}" for way, hits in struck.items())
    return f"{ways}; at most {most:,} twice after one; seed {seed}"


def test_a_few_kills(rig):
    log = rig.log()
    note = die(rig, log, 20, seed=1)
    rig.start()
    rig.judge("16 killed 20 times", bound=20 * IN_FLIGHT, note=note)


@pytest.mark.full
def test_a_thousand_kills(rig):
    log = rig.log()
    note = die(rig, log, 1000, int(os.environ.get("SEED", random.randrange(10**6))))
    rig.start()
    rig.judge("16 killed 1,000 times", bound=1000 * IN_FLIGHT, rest=11, note=note)


@pytest.mark.full
@pytest.mark.parametrize("how", ["cut-after-storing", "error-after-storing", "half-an-answer"])
def test_an_answer_that_is_lost_after_storing(rig, how):
    log = rig.followed(1000)
    rig.sink.say(how)
    log.write(2000)
    rig.arrived()
    calls = rig.sink.figures()["calls"]
    rig.until(lambda: rig.sink.figures()["calls"] >= calls + 2, "it is tried again")
    rig.sink.say("up")
    log.write(1000)
    row = rig.judge(f"21 {how.replace('-', ' ')}", bound=10 * 2000, note="each try stores them again")
    # Every try but one of each batch is twice, and nothing else.
    assert row.twice <= 2000 * rig.sink.figures()["calls"]


@pytest.mark.full
@pytest.mark.parametrize("damage", ["cut short", "empty", "garbage", "both garbage", "gone"])
def test_a_power_cut_damages_the_record(rig, damage):
    log = rig.log().write(20_000)
    rig.start().arrived()
    # A record on the disk for good is at most a second old.
    time.sleep(3)
    log.write(1000)
    rig.arrived()
    rig.kill()
    record, lasting = rig.state / "state.json", rig.state / "state.prev.json"
    whole = record.read_bytes()
    record.write_bytes({"cut short": whole[: len(whole) // 2], "empty": b"", "gone": b""}.get(damage, os.urandom(300)))
    if damage == "gone":
        record.unlink()
    if damage == "both garbage":
        lasting.write_bytes(os.urandom(300))
    rig.start()
    log.write(500)
    bound = log.written if damage == "both garbage" else IN_FLIGHT
    rig.judge(f"18 power cut, the record is {damage}", bound=bound, note="" if damage == "gone" else "it is said")
    assert damage == "gone" or "the record of how far logs are shipped cannot be used" in rig.said()
