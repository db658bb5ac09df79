"""Events that the service does not take: faults 24 and 25."""

import json
import time

import pytest
from account import Row

pytestmark = pytest.mark.full
HOUR, DAY = 3600, 86_400


def shipped(rig, ages, **block):
    """Ships lines whose own times are so many seconds old; message, and the age with which it was stored, in order of the lines."""
    rig.follow({"file": f"{rig.files}/t.log", "timestamp": {"format": "epoch", "after": "at="}}, **block)
    rig.sink.say("keep")
    now = time.time()
    text = "".join(f"line {number} at={now - age:.3f}\n" for number, age in enumerate(ages))
    (rig.files / "t.log").write_text(text)
    rig.start()

    def came():
        events = [event for event in rig.sink.kept() if event["message"].find("line ") >= 0 and '"_aws"' not in event["message"]]
        return len(events) >= len(ages) and events

    events = rig.until(came, "all events", 30)
    time.sleep(1)
    number = lambda event: int(event["message"].split("line ")[1].split()[0])
    ordered = sorted(came(), key=number)
    assert [number(event) for event in ordered] == list(range(len(ages))), "each once"
    assert events
    return [(event["message"], now - event["at"] / 1000) for event in ordered]


def close(age, wanted):
    return abs(age - wanted) < 60


def record(rig, fault, lines, note):
    rig._look_at_memory()
    rig.record(Row(fault, lines, 0, 0, 0, rig.peak, note))


def test_times_at_the_edges_of_what_is_taken(rig):
    ages = [13.9 * DAY, 15 * DAY, -(HOUR + 59 * 60 - 90), -(2 * HOUR + 60), 20 * HOUR, 0]
    came = shipped(rig, ages, retention="30d")
    kept = [close(age, wanted) for (_, age), wanted in zip(came, ages)]
    assert kept == [True, False, True, False, True, True], came
    assert all(close(came[number][1], 0) for number in (1, 3)), "shipped with the time at which they were read"
    assert rig.sink.figures()["violations"] == []
    record(rig, "24 15 days old, 2 h 1 min ahead", len(ages), "shipped with the present time; edges keep their own")


def test_what_the_service_rejects_for_its_time(rig):
    """`expiredLogEventEndIndex`: older than the group keeps events."""
    ages = [3 * DAY, 2 * DAY, HOUR, 0]
    came = shipped(rig, ages, retention="1d")
    assert [close(age, wanted) for (_, age), wanted in zip(came, ages)] == [False, False, True, True], came
    assert rig.sink.figures()["rejected"] == 2
    record(rig, "24 older than the group keeps events", len(ages), f"{rig.sink.figures()['rejected']} rejected, sent once more")


def test_too_old_and_too_new_by_the_services_clock(rig):
    """`tooOldLogEventEndIndex` and `tooNewLogEventStartIndex`, as the clocks differ by less than a signature may."""
    rig.sink.say("clock/280")
    # The shipper lets five minutes of the fourteen days pass by, so its own clock has to be behind by more than the sink's says.
    old = shipped(rig, [14 * DAY - 200, HOUR])
    assert rig.sink.figures()["rejected"] in (0, 1) and close(old[1][1], HOUR)
    rig.stop()
    (rig.files / "t.log").unlink()
    rig.sink.say("reset")
    rig.sink.say("clock/-280")
    new = shipped(rig, [-(2 * HOUR - 200), HOUR])
    rejected = rig.sink.figures()["rejected"]
    assert rejected == 1, "the sink has rejected what is too new for it"
    assert new[0][1] > -(2 * HOUR - 200) + 60, "it has another time"
    record(rig, "24 too old and too new by the service's clock", 4, "sent once more with the service's time")


def test_a_poisonous_event(rig):
    log = rig.log().write(3000)
    with log.path.open("ab") as file:
        file.write(b"POISON one\n")
    log.write(3000)
    with log.path.open("ab") as file:
        file.write(b"POISON two\n")
    log.write(1000)
    rig.start()
    rig.judge("25 two events that the service never takes", note="both in the dead-letter file")
    dead = [json.loads(line)["message"] for line in (rig.state / "dead-letter.jsonl").read_text().splitlines()]
    assert sorted(dead) == ["POISON one", "POISON two"]
    rig.until(lambda: rig.status()["figures"]["dead_lettered"] == 2, "it is counted")
