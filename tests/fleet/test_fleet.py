"""What a boot costs a fleet: no more calls than stated, and nobody is too late for the hook. Nothing here depends on time."""

import pytest

from fleet.__main__ import measured
from fleet.quotas import QUOTAS, Bucket

# What a boot may ask of AWS: two secrets' sources are two calls, the verdict is one. The stream is made once, or once more by the
# shipper that takes over when the secrets are known; what is said meanwhile goes out in a few batches.
AT_MOST = {
    ("ssm", "GetParameters"): 1, ("ssm", "GetParametersByPath"): 1, ("autoscaling", "CompleteLifecycleAction"): 1,
    ("logs", "CreateLogStream"): 2, ("logs", "PutLogEvents"): 8,
}
# Each looks after the group's retention at some moment of its first quarter of an hour: a few of them while they boot.
NOW_AND_THEN = {("logs", "PutRetentionPolicy"): 0.5}


def judged(figures):
    """All went into service, with the calls stated."""
    assert figures.failures == []
    assert len(figures.in_service) == figures.size
    a_boot = {api: count / figures.size for api, count in figures.answered.items() if api[0] != "imds"}
    # A heartbeat is due after a third of the hook's time.
    if figures.each[-1] > 100:
        a_boot.pop(("autoscaling", "RecordLifecycleActionHeartbeat"), None)
    too_many = {api: calls for api, calls in a_boot.items() if calls > (AT_MOST | NOW_AND_THEN).get(api, 0)}
    assert too_many == {}, "a boot costs more calls than stated"
    assert a_boot.keys() >= AT_MOST.keys(), "a boot that skips a call has shown nothing"


def test_a_small_fleet_costs_what_is_stated(binary):
    figures, _ = measured(10, 10, binary)
    judged(figures)
    throttled = {service for service, _ in figures.throttled}
    assert throttled.isdisjoint({"ssm", "autoscaling"}), "so few are within any quota"


def test_who_is_too_late_for_the_hook_is_listed(binary):
    figures, _ = measured(1, 1, binary, hook_timeout=0.001)
    assert len(figures.failures) == 1 and "the hook's time ran out" in figures.failures[0], figures.failures


@pytest.mark.full
def test_a_fleet_beyond_its_quotas_comes_into_service(binary):
    figures, _ = measured(100, 100, binary)
    judged(figures)
    assert figures.throttled[("autoscaling", "CompleteLifecycleAction")] > 0, "the quotas were never reached"
    assert min(figures.spare) > 0


@pytest.mark.full
def test_a_fleet_makes_its_log_group_if_it_must(binary):
    figures, _ = measured(30, 30, binary, with_log_group=False)
    assert figures.failures == []
    assert figures.answered[("logs", "CreateLogGroup")] > 0


def test_a_bucket_gives_what_its_quota_says():
    quota = next(quota for quota in QUOTAS if quota.service == "ssm")
    bucket = Bucket(quota, quota.burst, 100.0)
    assert sum(bucket.take(100.0) for _ in range(60)) == 40
    assert sum(bucket.take(100.5) for _ in range(60)) == 20
    assert sum(bucket.take(1000.0) for _ in range(60)) == 40, "what is not used is not saved beyond the burst"
