"""CloudWatch Logs: the limits of PutLogEvents, to the byte and the event."""

from __future__ import annotations

import gzip
import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

GROUP, STREAM = "/aws/ec2/app", "i-1"
HOUR, DAY = 3600, 86400


@pytest.fixture
def logs(aws):
    client = aws.boto("logs")
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return client


def event(aws, offset=0.0, message="m"):
    return {"timestamp": int((aws.now() + offset) * 1000), "message": message}


def put(client, events, group=GROUP, stream=STREAM):
    return client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def refused(client, events, match, **where):
    with pytest.raises(ClientError, match=match) as error:
        put(client, events, **where)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error.value.response["Error"]["Code"]


def test_events_come_back_in_order(aws, logs):
    put(logs, [event(aws, -2, "a"), event(aws, -1, "b")])
    put(logs, [event(aws, -3, "earlier")])
    assert [e["message"] for e in aws.logs(GROUP, STREAM)] == ["earlier", "a", "b"]
    assert aws.log_groups() == {GROUP: {"retention": None, "streams": [STREAM]}}


def test_a_batch_may_be_full_but_not_over(aws, logs):
    one = event(aws, message="x" * (1_048_576 - 26))
    put(logs, [one])
    half = "y" * (524_288 - 26)
    put(logs, [event(aws, message=half)] * 2)
    code = refused(logs, [event(aws, message=half), event(aws, message=half + "y")], "Upload too large: 1048577 bytes")
    assert code == "InvalidParameterException"
    refused(logs, [event(aws, message="x" * (1_048_577 - 26))], "Log event too large: 1048577 bytes")


def test_bytes_are_counted_not_characters(aws, logs):
    refused(logs, [event(aws, message="é" * 524_288)], "Log event too large")


def test_ten_thousand_events_and_no_more(aws, logs):
    put(logs, [event(aws)] * 10_000)
    refused(logs, [event(aws)] * 10_001, "less than or equal to 10000")
    refused(logs, [], "greater than or equal to 1")
    assert len(aws.logs(GROUP)) == 10_000


def test_order_and_span(aws, logs):
    refused(logs, [event(aws), event(aws, -1)], "chronological order")
    put(logs, [event(aws, -DAY + 1), event(aws)])
    refused(logs, [event(aws, -DAY - 1), event(aws)], "cannot span more than 24 hours")
    assert len(aws.logs(GROUP)) == 2


def test_an_empty_message_is_refused(aws, logs):
    refused(logs, [event(aws, message="")], "greater than or equal to 1")


def test_too_old_and_too_new_are_rejected_and_the_rest_is_kept(aws, logs):
    events = [
        event(aws, -15 * DAY, "old"), event(aws, -14 * DAY - 60, "old too"),
        event(aws, -5, "kept"), event(aws, 2 * HOUR - 60, "kept too"),
        event(aws, 2 * HOUR + 60, "new"),
    ]
    info = put(logs, events)["rejectedLogEventsInfo"]
    assert info == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    assert [e["message"] for e in aws.logs(GROUP)] == ["kept", "kept too"]


def test_events_past_the_retention_have_expired(aws, logs):
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=3)
    info = put(logs, [event(aws, -4 * DAY), event(aws)])["rejectedLogEventsInfo"]
    assert info == {"expiredLogEventEndIndex": 1}
    assert len(aws.logs(GROUP)) == 1


def test_now_is_the_labs_now(aws, logs):
    before = event(aws)
    aws.advance(15 * DAY)
    assert put(logs, [before])["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    put(logs, [event(aws)])
    (stored,) = aws.logs(GROUP)
    assert abs(stored["ingestion"] / 1000 - aws.now()) < 60


def test_missing_and_existing_groups_and_streams(aws, logs):
    assert refused(logs, [event(aws)], "log group does not exist", group="/none") == "ResourceNotFoundException"
    assert refused(logs, [event(aws)], "log stream does not exist", stream="none") == "ResourceNotFoundException"
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException, match="log group already exists"):
        logs.create_log_group(logGroupName=GROUP)
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException, match="log stream already exists"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.create_log_stream(logGroupName="/none", logStreamName="x")


def test_names_and_retention_are_checked(aws, logs):
    for wrong in ("aws/mine", "with space"):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            logs.create_log_group(logGroupName=wrong)
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.create_log_stream(logGroupName=GROUP, logStreamName="a:b")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.put_retention_policy(logGroupName=GROUP, retentionInDays=8)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    assert aws.log_groups()[GROUP]["retention"] == 7


def test_a_gzipped_body_is_accepted(aws, logs):
    body = {"logGroupName": GROUP, "logStreamName": STREAM, "logEvents": [event(aws, message="squeezed")]}
    request = urllib.request.Request(aws.aws_url, data=gzip.compress(json.dumps(body).encode()), method="POST")
    request.add_header("Content-Encoding", "gzip")
    request.add_header("Content-Type", "application/x-amz-json-1.1")
    request.add_header("X-Amz-Target", "Logs_20140328.PutLogEvents")
    scope = "AKIA/20260101/us-east-1/logs/aws4_request"
    request.add_header("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    assert [e["message"] for e in aws.logs(GROUP)] == ["squeezed"]
