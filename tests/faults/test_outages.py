"""A service that is away, busy, slow, or does not believe who asks: faults 19, 20, 22 and 23."""

import time

import pytest
from rig import RESCAN, Rig

pytestmark = pytest.mark.full


def test_away_with_rotations_and_deletions(rig):
    log = rig.followed(1000)
    rig.sink.say("down")
    for _ in range(3):
        log.write(20_000)
        time.sleep(8)
        log.rename()
    log.write(20_000)
    # The oldest is deleted before anybody could ship it.
    log.rotated(3).unlink()
    time.sleep(8)
    rig.sink.say("up")
    back = time.monotonic()
    rig.arrived()
    took = time.monotonic() - back
    rig.judge("19 away, three rotations, the oldest deleted", rest=RESCAN, note=f"all there {took:.1f} s after its return")


@pytest.mark.parametrize("how, text", [("limit/1", "1 call a second"), ("throttle/50", "half of the calls"), ("slow/700", "0.7 s an answer")])
def test_busy(rig, how, text):
    log = rig.log()
    rig.start()
    rig.sink.say(how)
    for _ in range(10):
        log.write(2000)
        time.sleep(1)
    begin = time.monotonic()
    rig.arrived(300)
    took = time.monotonic() - begin
    refused = rig.sink.figures()["refused"]
    rig.judge(f"20 busy: {text}", note=f"{refused} calls refused, all there {took:.0f} s after the last line")


def test_a_fleet_boots_at_once(rig, binary, sink):
    fleet = []
    for number in range(60):
        one = Rig(rig.folder / f"host{number}", binary, sink, rig._account)
        one.group = rig.group
        one.follow({"file": f"{one.files}/*.log"}, stream=f"host{number}")
        fleet.append(one)
        rig.logs.append(one.log(f"h{number}.log").write(100))
    sink.say("limit/10")
    begin = time.monotonic()
    try:
        for one in fleet:
            one.start()
        rig.arrived(400)
        took = time.monotonic() - begin
        sink.say("up")
        for one in fleet:
            one._look_at_memory()
        rig.peak = max(one.peak for one in fleet)
        refused = sink.figures()["refused"]
        rig.judge("20 sixty hosts boot at once, 10 calls a second", note=f"all there after {took:.0f} s, {refused} calls refused")
    finally:
        for one in fleet:
            one.close()


@pytest.mark.parametrize("how, text", [("expired", "credentials have expired"), ("denied", "nothing is allowed"), ("error", "500")])
def test_refused_for_a_while(rig, how, text):
    log = rig.followed(1000)
    rig.sink.say(how)
    log.write(1000)
    rig.until(lambda: "not shipped" in rig.said(), "it is said")
    time.sleep(10)
    rig.sink.say("up")
    back = time.monotonic()
    rig.arrived()
    rig.judge(f"22 {text}", note=f"all there {time.monotonic() - back:.1f} s after its end")
    assert "again" in rig.said()


@pytest.mark.parametrize("hours", [3, -3])
def test_the_clock_is_wrong(rig, hours):
    log = rig.followed(1000)
    rig.sink.say(f"clock/{hours * 3600}")
    log.write(1000)
    rig.arrived()
    # It jumps back to what is right.
    rig.sink.say("clock/0")
    log.write(1000)
    rejected = rig.sink.figures()["rejected"]
    rig.judge(f"22 the clock is {abs(hours)} h {'behind' if hours > 0 else 'ahead'}, then right", note=f"{rejected} sent once more with the right time")


def test_groups_and_streams_are_deleted(rig):
    log = rig.followed(1000)
    for _ in range(3):
        rig.sink.say("forget")
        log.write(1000)
        rig.arrived()
    rig.judge("23 group and stream are deleted, three times")
    rig.until(lambda: rig.sink.figures()["retentions"].get(rig.group) == 7, "the retention is set again")


def test_two_make_the_same_group(rig, binary, sink):
    other = Rig(rig.folder / "other", binary, sink, rig._account)
    other.group = rig.group
    other.follow({"file": f"{other.files}/*.log"})
    rig.log().write(1000)
    rig.logs.append(other.log("b.log").write(1000))
    try:
        rig.start()
        other.start()
        rig.judge("23 two make the same group and stream at once")
    finally:
        other.close()
