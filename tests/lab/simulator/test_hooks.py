"""Lifecycle hooks: held, answered, kept alive, expired, abandoned."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from . import s1

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def complete(aws, instance, result="CONTINUE", hook=s1.HOOK, **more):
    aws.boto("autoscaling").complete_lifecycle_action(
        LifecycleHookName=hook, AutoScalingGroupName=s1.GROUP, InstanceId=instance,
        LifecycleActionResult=result, **more,
    )


def state(aws, instance):
    found = aws.boto("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance])
    return [entry["LifecycleState"] for entry in found["AutoScalingInstances"]]


def states(aws, instance):
    return [entry["state"] for entry in aws.instance(instance)["history"]]


def test_a_hook_holds_the_launch_until_it_is_answered(aws):
    instance = s1.create(aws)
    assert state(aws, instance) == ["Pending:Wait"]
    view = aws.instance(instance)
    assert view["actions"][0]["hook"] == s1.HOOK
    assert 440 < view["actions"][0]["remaining"] <= 450
    complete(aws, instance)
    assert state(aws, instance) == ["InService"]
    assert states(aws, instance) == ["Pending", "Pending:Wait", "Pending:Proceed", "InService"]
    assert aws.instance(instance)["finished"][0]["by"] == "call"


def test_a_hook_made_after_the_launch_holds_nothing(aws):
    instance = s1.create(aws, hooks=())
    assert state(aws, instance) == ["InService"]
    aws.boto("autoscaling").put_lifecycle_hook(
        LifecycleHookName=s1.HOOK, AutoScalingGroupName=s1.GROUP,
        LifecycleTransition=s1.LAUNCHING, HeartbeatTimeout=450,
    )
    with pytest.raises(ClientError) as refused:
        complete(aws, instance)
    error = refused.value.response
    assert error["Error"]["Code"] == "ValidationError"
    assert error["Error"]["Message"] == f"No active Lifecycle Action found with instance ID {instance}"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    aws.boto("autoscaling").set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=2)
    newest = aws.group(s1.GROUP)["instances"][-1]
    assert newest["lifecycle_state"] == "Pending:Wait"


def test_a_second_answer_finds_nothing(aws):
    instance = s1.create(aws)
    complete(aws, instance)
    with pytest.raises(ClientError, match="No active Lifecycle Action found with instance ID"):
        complete(aws, instance)


def test_abandon_terminates_and_replaces(aws):
    instance = s1.create(aws)
    complete(aws, instance, "ABANDON")
    assert states(aws, instance)[-2:] == ["Terminating", "Terminated"]
    assert aws.instance(instance)["ec2_state"] == "terminated"
    (replacement,) = aws.group(s1.GROUP)["instances"]
    assert replacement["instance"] != instance
    assert replacement["lifecycle_state"] == "Pending:Wait"


def test_without_replacement_the_group_stays_short(aws):
    instance = s1.create(aws)
    aws.replacement(s1.GROUP, False)
    complete(aws, instance, "ABANDON")
    assert aws.group(s1.GROUP)["instances"] == []
    aws.replacement(s1.GROUP, True)
    assert len(aws.group(s1.GROUP)["instances"]) == 1


def test_expiry_gives_the_default_result(aws):
    instance = s1.create(aws)
    aws.advance(449)
    assert state(aws, instance) == ["Pending:Wait"]
    aws.advance(2)
    assert state(aws, instance) == []
    view = aws.instance(instance)
    assert view["lifecycle_state"] == "Terminated"
    assert view["finished"][0]["by"] == "timeout"
    assert len(aws.group(s1.GROUP)["instances"]) == 1


def test_expiry_can_continue(aws):
    instance = s1.create(aws, default_result="CONTINUE")
    aws.advance(451)
    assert state(aws, instance) == ["InService"]


def test_a_heartbeat_restarts_the_timer_up_to_the_cap(aws):
    instance = s1.create(aws, heartbeat=60)
    scaling = aws.boto("autoscaling")

    def beat():
        scaling.record_lifecycle_action_heartbeat(
            LifecycleHookName=s1.HOOK, AutoScalingGroupName=s1.GROUP, InstanceId=instance
        )

    aws.advance(50)
    beat()
    aws.advance(50)
    assert state(aws, instance) == ["Pending:Wait"]
    for _ in range(117):
        beat()
        aws.advance(50)
    # 100 heartbeats of 60 s: not one second more.
    beat()
    remaining = aws.instance(instance)["actions"][0]["remaining"]
    assert 40 < remaining <= 50
    aws.advance(60)
    assert state(aws, instance) == []
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        beat()


def test_the_cap_is_48_hours_for_long_hooks(aws):
    s1.create(aws, heartbeat=7200)
    (hook,) = aws.boto("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=s1.GROUP)["LifecycleHooks"]
    assert hook["GlobalTimeout"] == 172800
    assert hook["DefaultResult"] == "ABANDON"
    assert hook["LifecycleTransition"] == s1.LAUNCHING


def test_the_token_works_instead_of_the_instance(aws):
    instance = s1.create(aws)
    token = aws.instance(instance)["actions"][0]["token"]
    aws.boto("autoscaling").complete_lifecycle_action(
        LifecycleHookName=s1.HOOK, AutoScalingGroupName=s1.GROUP,
        LifecycleActionToken=token, LifecycleActionResult="CONTINUE",
    )
    assert state(aws, instance) == ["InService"]


def test_every_hook_holds_its_own_action(aws):
    instance = s1.create(aws, hooks=("one", "two"))
    complete(aws, instance, hook="one")
    assert state(aws, instance) == ["Pending:Wait"]
    with pytest.raises(ClientError, match="No active"):
        complete(aws, instance, hook="one")
    complete(aws, instance, hook="two")
    assert state(aws, instance) == ["InService"]


def test_one_abandon_outweighs_the_other_hooks(aws):
    instance = s1.create(aws, hooks=("one", "two"))
    complete(aws, instance, "ABANDON", hook="one")
    assert aws.instance(instance)["lifecycle_state"] == "Terminated"
    with pytest.raises(ClientError, match="No active"):
        complete(aws, instance, hook="two")


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_terminating_hook_holds_the_end(aws, result):
    instance = s1.create(aws, hooks=())
    scaling = aws.boto("autoscaling")
    scaling.put_lifecycle_hook(
        LifecycleHookName="drain", AutoScalingGroupName=s1.GROUP, LifecycleTransition=TERMINATING, HeartbeatTimeout=300
    )
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    assert state(aws, instance) == ["Terminating:Wait"]
    assert aws.instance(instance)["ec2_state"] == "running"
    complete(aws, instance, result, hook="drain")
    assert aws.instance(instance)["lifecycle_state"] == "Terminated"
    assert aws.instance(instance)["ec2_state"] == "terminated"
    assert aws.group(s1.GROUP)["instances"] == []


def test_an_instance_ended_by_ec2_is_replaced(aws):
    instance = s1.create(aws)
    aws.boto("ec2").terminate_instances(InstanceIds=[instance])
    assert aws.instance(instance)["lifecycle_state"] == "Terminated"
    (other,) = aws.group(s1.GROUP)["instances"]
    assert other["instance"] != instance


def test_scale_in_and_deleting_the_group_end_instances(aws):
    s1.create(aws, hooks=(), desired=3)
    scaling = aws.boto("autoscaling")
    scaling.set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=1)
    (left,) = aws.group(s1.GROUP)["instances"]
    assert len(aws.group(s1.GROUP)["gone"]) == 2
    scaling.delete_auto_scaling_group(AutoScalingGroupName=s1.GROUP, ForceDelete=True)
    assert aws.instance(left["instance"])["ec2_state"] == "terminated"


def test_detach_leaves_the_group_but_runs_on(aws):
    instance = s1.create(aws, hooks=())
    aws.boto("autoscaling").detach_instances(
        InstanceIds=[instance], AutoScalingGroupName=s1.GROUP, ShouldDecrementDesiredCapacity=True
    )
    view = aws.instance(instance)
    assert (view["lifecycle_state"], view["ec2_state"]) == ("Detached", "running")
    assert state(aws, instance) == []


def test_standby_is_known_everywhere(aws):
    instance = s1.create(aws, hooks=())
    scaling = aws.boto("autoscaling")
    scaling.enter_standby(
        InstanceIds=[instance], AutoScalingGroupName=s1.GROUP, ShouldDecrementDesiredCapacity=True
    )
    assert state(aws, instance) == ["Standby"]
    assert aws.group(s1.GROUP)["instances"][0]["lifecycle_state"] == "Standby"
    scaling.exit_standby(InstanceIds=[instance], AutoScalingGroupName=s1.GROUP)
    assert [m["lifecycle_state"] for m in aws.group(s1.GROUP)["instances"]] == ["InService"]


def test_wrong_names_are_refused(aws):
    instance = s1.create(aws)
    scaling = aws.boto("autoscaling")
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        scaling.complete_lifecycle_action(
            LifecycleHookName=s1.HOOK, AutoScalingGroupName="other", InstanceId=instance, LifecycleActionResult="CONTINUE"
        )
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        complete(aws, instance, hook="other")
    with pytest.raises(ClientError, match="CONTINUE or ABANDON"):
        complete(aws, instance, result="PERHAPS")
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        scaling.put_lifecycle_hook(
            LifecycleHookName="x", AutoScalingGroupName="other", LifecycleTransition=s1.LAUNCHING
        )
    assert state(aws, instance) == ["Pending:Wait"]
