"""Faults: each in the service's own dialect, and exactly as often as asked."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError

from . import s1
from .client import ControlError
from .test_hooks import complete


def ask(aws, service):
    return {
        "ssm": lambda: aws.boto("ssm").get_parameters(Names=["/a"]),
        "logs": lambda: aws.boto("logs").describe_log_groups(),
        "autoscaling": lambda: aws.boto("autoscaling").describe_auto_scaling_groups(),
        "ec2": lambda: aws.boto("ec2").describe_instances(),
        "s3": lambda: aws.boto("s3").get_object(Bucket="artifacts", Key="key"),
    }[service]()


def failure(aws, service):
    with pytest.raises(ClientError) as error:
        ask(aws, service)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize(
    ("service", "throttle", "error500", "error503"),
    [
        ("ssm", (400, "ThrottlingException"), (500, "InternalServerError"), (503, "ServiceUnavailable")),
        ("logs", (400, "ThrottlingException"), (500, "InternalServerError"), (503, "ServiceUnavailableException")),
        ("autoscaling", (400, "Throttling"), (500, "InternalFailure"), (503, "ServiceUnavailable")),
        ("ec2", (503, "RequestLimitExceeded"), (500, "InternalError"), (503, "ServiceUnavailable")),
        ("s3", (503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")),
    ],
)
def test_each_service_in_its_own_words(aws, service, throttle, error500, error503):
    s1.put_objects(aws, {"artifacts/key": b"x"})
    for kind, expected in (("throttle", throttle), ("error500", error500), ("error503", error503)):
        aws.fault(kind, service=service, count=1)
        assert failure(aws, service) == expected
        ask(aws, service)


def test_skip_count_and_hits(aws):
    rule = aws.fault("throttle", service="ssm", skip=1, count=2)
    results = []
    for _ in range(5):
        try:
            ask(aws, "ssm")
            results.append("ok")
        except ClientError:
            results.append("throttled")
    assert results == ["ok", "throttled", "throttled", "ok", "ok"]
    (held,) = aws.faults()
    assert (held["id"], held["seen"], held["hits"]) == (rule, 5, 2)


def test_a_quota_throttles_only_what_exceeds_it(aws):
    rule = aws.fault("limit", service="ssm", per_second=2)
    results = []
    for _ in range(12):
        try:
            ask(aws, "ssm")
            results.append(True)
        except ClientError as error:
            assert "ThrottlingException" in str(error)
            results.append(False)
    assert results[:2] == [True] * 2 and not all(results)
    time.sleep(0.6)
    ask(aws, "ssm")
    (held,) = aws.faults()
    assert (held["id"], held["hits"]) == (rule, results.count(False))


def test_until_follows_the_labs_clock(aws):
    aws.fault("throttle", service="ssm", until=60)
    assert failure(aws, "ssm") == (400, "ThrottlingException")
    aws.advance(61)
    ask(aws, "ssm")


def test_rate_hits_some_and_the_same_ones_again(aws):
    def run():
        aws.clear_faults()
        aws.fault("throttle", service="ssm", rate=0.5)
        results = []
        for _ in range(20):
            try:
                ask(aws, "ssm")
                results.append(True)
            except ClientError:
                results.append(False)
        return results

    first = run()
    assert 0 < sum(first) < 20
    assert run() == first


def test_a_rule_is_aimed_by_name_and_action(aws):
    aws.fault("throttle", service="ssm", action="GetParameters", name="/prod/*")
    ssm = aws.boto("ssm")
    ssm.get_parameters(Names=["/dev/a"])
    ssm.describe_parameters()
    with pytest.raises(ClientError, match="ThrottlingException"):
        ssm.get_parameters(Names=["/dev/a", "/prod/a"])


def test_the_lifecycle_api_throttled_for_a_minute(aws):
    instance = s1.create(aws)
    aws.fault("throttle", service="autoscaling", action="CompleteLifecycleAction", until=60)
    with pytest.raises(ClientError, match="Throttling"):
        complete(aws, instance)
    assert aws.instance(instance)["lifecycle_state"] == "Pending:Wait"
    aws.advance(60)
    complete(aws, instance)


def test_a_denied_lifecycle_call_names_the_group(aws):
    instance = s1.create(aws)
    aws.fault("access_denied", service="autoscaling", action="CompleteLifecycleAction")
    with pytest.raises(ClientError) as denied:
        complete(aws, instance)
    answer = denied.value.response
    assert answer["Error"]["Code"] == "AccessDenied" and answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "autoScalingGroupName/IaC-Prod because" in answer["Error"]["Message"]


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_broken_connection_before_the_work_leaves_nothing_done(aws, kind):
    instance = s1.create(aws)
    aws.fault(kind, action="CompleteLifecycleAction", count=1)
    with pytest.raises(Exception, match="[Cc]onnection"):
        complete(aws, instance)
    assert aws.instance(instance)["lifecycle_state"] == "Pending:Wait"


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_lost_answer_leaves_the_work_done(aws, kind):
    instance = s1.create(aws)
    aws.fault(kind, action="CompleteLifecycleAction", count=1, when="after")
    with pytest.raises(Exception, match="[Cc]onnection"):
        complete(aws, instance)
    assert aws.instance(instance)["lifecycle_state"] == "InService"
    with pytest.raises(ClientError, match="No active Lifecycle Action"):
        complete(aws, instance)


def raw(aws):
    """A bare request, to see on the wire what an SDK would hide."""
    connection = http.client.HTTPConnection(urlsplit(aws.aws_url).netloc, timeout=5)
    headers = {
        "X-Amz-Target": "AmazonSSM.GetParameters",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/ssm/aws4_request, Signature=0",
    }
    connection.request("POST", "/", json.dumps({"Names": ["/a"]}), headers)
    return connection.getresponse()


def test_reset_is_a_reset_and_drop_is_an_end(aws):
    aws.fault("reset", service="ssm", count=1)
    with pytest.raises(ConnectionResetError):
        raw(aws)
    aws.fault("drop", service="ssm", count=1)
    with pytest.raises(http.client.RemoteDisconnected) as ended:
        raw(aws)
    assert "without response" in str(ended.value)


def test_a_truncated_body_announces_more_than_it_sends(aws):
    aws.fault("truncate", service="ssm", count=1)
    answer = raw(aws)
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert len(cut.value.partial) == int(answer.headers["Content-Length"]) // 2


def test_a_truncated_download_surfaces_while_reading(aws):
    s1.put_objects(aws, {"artifacts/key": b"x" * 100_000})
    aws.fault("truncate", service="s3", action="GetObject", name="artifacts/key", count=1)
    body = ask(aws, "s3")["Body"]
    with pytest.raises((ResponseStreamingError, ConnectionClosedError, http.client.HTTPException, OSError)):
        body.read()
    assert ask(aws, "s3")["Body"].read() == b"x" * 100_000


def test_latency_and_any_error_at_all(aws):
    aws.fault("latency", service="ssm", seconds=0.3, count=1)
    ask(aws, "ssm")
    assert aws.journal(service="ssm")[-1]["ms"] >= 300
    aws.fault("error", service="ssm", status=400, code="InvalidKeyId", message="the key is gone", count=1)
    assert failure(aws, "ssm") == (400, "InvalidKeyId")
    assert aws.journal(service="ssm")[-1]["error"] == "InvalidKeyId"


def test_a_typo_in_a_rule_is_refused(aws):
    for rule in ({"kind": "throtle"}, {"kind": "throttle", "servcie": "ssm"}, {"kind": "drop", "when": "later"},
                 {"kind": "limit", "service": "ssm"}):
        with pytest.raises(ControlError):
            aws.fault(**rule)
    assert aws.faults() == []


def test_removing_one_rule(aws):
    one, two = aws.fault("throttle", service="ssm"), aws.fault("throttle", service="logs")
    aws.clear_faults(one)
    assert [rule["id"] for rule in aws.faults()] == [two]
    with pytest.raises(ControlError):
        aws.clear_faults(one)


def test_a_rule_that_never_hit_is_known_after_it_was_lifted(aws):
    one, two, three = (aws.fault("throttle", service=service, count=1) for service in ("ssm", "logs", "ec2"))
    failure(aws, "ssm")
    assert [rule["id"] for rule in aws.idle_faults()] == [two, three]
    aws.clear_faults(two)
    aws.clear_faults()
    assert [rule["id"] for rule in aws.idle_faults()] == [two, three] and one not in (two, three)
    aws.reset()
    assert aws.idle_faults() == []


def test_the_journal_shows_faults(aws):
    aws.fault("drop", service="ssm", count=1)
    with pytest.raises((OSError, http.client.HTTPException)):
        raw(aws)
    (entry,) = aws.journal(service="ssm")
    assert (entry["faults"], entry["error"], entry["status"]) == (["drop"], "drop", 0)
    assert entry["caller_ip"] == "127.0.0.1"
