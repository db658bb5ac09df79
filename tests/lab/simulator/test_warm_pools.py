"""Warm pools: prepared, at rest, and taken into service by a second action."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from . import s1
from .test_hooks import complete, states

EC2_STATE = {"Stopped": "stopped", "Hibernated": "stopped", "Running": "running"}


def put_pool(aws, **settings):
    aws.boto("autoscaling").put_warm_pool(AutoScalingGroupName=s1.GROUP, **settings)


def warm(aws):
    return [m for m in aws.group(s1.GROUP)["instances"] if m["lifecycle_state"].startswith("Warmed:")]


@pytest.mark.parametrize("pool_state", ["Stopped", "Hibernated", "Running"])
def test_prepared_at_rest_and_taken_into_service(aws, pool_state):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=1, MaxGroupPreparedCapacity=1, PoolState=pool_state)
    (member,) = warm(aws)
    instance = member["instance"]
    assert member["lifecycle_state"] == "Warmed:Pending:Wait"
    assert member["target_lifecycle_state"] == f"Warmed:{pool_state}"
    assert aws.boto("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"] == []

    complete(aws, instance)
    view = aws.instance(instance)
    assert view["lifecycle_state"] == f"Warmed:{pool_state}"
    assert view["ec2_state"] == EC2_STATE[pool_state]

    aws.to_service(instance)
    view = aws.instance(instance)
    assert (view["lifecycle_state"], view["ec2_state"]) == ("Pending:Wait", "running")
    assert view["target_lifecycle_state"] == "InService"
    complete(aws, instance)
    assert states(aws, instance) == [
        "Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed", f"Warmed:{pool_state}",
        "Pending", "Pending:Wait", "Pending:Proceed", "InService",
    ]


def test_scaling_out_takes_from_the_pool_first(aws):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=1, MaxGroupPreparedCapacity=1)
    instance = warm(aws)[0]["instance"]
    complete(aws, instance)
    aws.boto("autoscaling").set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=1)
    assert aws.instance(instance)["lifecycle_state"] == "Pending:Wait"
    assert len(warm(aws)) == 1, "the pool keeps its minimum"


def test_an_unprepared_instance_is_not_taken(aws):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=1, MaxGroupPreparedCapacity=1)
    instance = warm(aws)[0]["instance"]
    with pytest.raises(Exception, match="not ready in a warm pool"):
        aws.to_service(instance)
    aws.boto("autoscaling").set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=1)
    assert aws.instance(instance)["lifecycle_state"] == "Warmed:Pending:Wait"


def test_abandon_while_warming_terminates_and_replaces(aws):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=1, MaxGroupPreparedCapacity=1)
    instance = warm(aws)[0]["instance"]
    complete(aws, instance, "ABANDON")
    assert aws.instance(instance)["lifecycle_state"] == "Warmed:Terminated"
    assert aws.instance(instance)["ec2_state"] == "terminated"
    (other,) = warm(aws)
    assert other["instance"] != instance


def test_describe_calls_show_warm_instances(aws):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=2, MaxGroupPreparedCapacity=2)
    scaling = aws.boto("autoscaling")
    pool = scaling.describe_warm_pool(AutoScalingGroupName=s1.GROUP)
    assert pool["WarmPoolConfiguration"]["MinSize"] == 2
    assert {i["LifecycleState"] for i in pool["Instances"]} == {"Warmed:Pending:Wait"}
    assert len(scaling.describe_auto_scaling_instances()["AutoScalingInstances"]) == 2


def test_reuse_returns_an_instance_to_the_pool(aws):
    instance = s1.create(aws)
    complete(aws, instance)
    put_pool(aws, MinSize=0, MaxGroupPreparedCapacity=1, InstanceReusePolicy={"ReuseOnScaleIn": True})
    aws.boto("autoscaling").set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=0)
    assert states(aws, instance)[-2:] == ["Warmed:Pending", "Warmed:Stopped"]


def test_deleting_the_pool_ends_its_instances(aws):
    s1.create(aws, desired=0)
    put_pool(aws, MinSize=1, MaxGroupPreparedCapacity=1)
    instance = warm(aws)[0]["instance"]
    aws.boto("autoscaling").delete_warm_pool(AutoScalingGroupName=s1.GROUP, ForceDelete=True)
    assert aws.instance(instance)["lifecycle_state"] == "Warmed:Terminated"
    assert warm(aws) == []


def test_an_unknown_pool_state_is_refused(aws):
    s1.create(aws, desired=0)
    with pytest.raises(ClientError, match="PoolState"):
        put_pool(aws, PoolState="Asleep")
