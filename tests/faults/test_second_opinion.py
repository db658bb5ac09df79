"""A third party's log service instead of our own: events in order, in the right streams, with the right times, retention and tags set."""

import time

import pytest
from account import Row
from simulator.client import Simulator


@pytest.fixture
def aws(tmp_path):
    with Simulator.start(journal=tmp_path / "journal.jsonl") as simulator:
        yield simulator


def test_the_simulator_has_it_as_it_was_written(rig, aws):
    rig.follow(
        {"file": f"{rig.files}/plain.log"},
        {"file": f"{rig.files}/timed.log", "stream": "timed", "timestamp": {"format": "rfc3339"}},
        {"file": f"{rig.files}/other.log", "group": "faults/other", "stream": "other", "retention": "3d"},
        tags={"team": "faults"},
    )
    rig.process.environment.update({"AWS_ENDPOINT_URL": aws.aws_url})
    now = int(time.time())
    stamps = [now - 86_400 * 2, now - 3600, now - 3600, now - 1800, now]
    stamp = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    (rig.files / "plain.log").write_text("".join(f"plain {number}\n" for number in range(3000)))
    (rig.files / "timed.log").write_text("".join(f"{stamp(at)} event {number}\n" for number, at in enumerate(stamps)))
    (rig.files / "other.log").write_text("other\n")
    begun = time.time()
    rig.start()

    def all_there():
        groups = aws.log_groups()
        streams = [(rig.group, "s"), (rig.group, "timed"), ("faults/other", "other")]
        if any(stream not in groups.get(group, {"streams": []})["streams"] for group, stream in streams):
            return None
        found = [aws.logs(group, stream) for group, stream in streams]
        retained = all(groups[group]["retention"] for group, _ in streams)
        return found if [len(events) for events in found] == [3000, len(stamps), 1] and retained else None

    plain, timed, other = rig.until(all_there, "all events")
    assert [event["message"] for event in plain] == [f"plain {number}" for number in range(3000)]
    assert all(begun - 1 <= event["timestamp"] / 1000 <= time.time() + 1 for event in plain)
    assert [event["timestamp"] for event in timed] == [at * 1000 for at in stamps]
    assert [event["message"].split(" event ")[1] for event in timed] == ["0", "1", "2", "3", "4"]
    assert [event["message"] for event in other] == ["other"]
    groups = aws.log_groups()
    assert (groups[rig.group]["retention"], groups["faults/other"]["retention"]) == (7, 3)
    assert aws.journal(action="Describe*") == []
    assert aws.boto("logs").list_tags_log_group(logGroupName="faults/other")["tags"] == {"team": "faults"}
    rig._look_at_memory()
    rig.record(Row("a second opinion (moto)", 3006, 0, 0, 0, rig.peak, "order, streams, times, retentions, tags; no Describe"))
