"""The account that system S1 expects to find: group, hook, parameters, objects."""

from __future__ import annotations

import base64
from typing import Any

from .client import REGION, Simulator

GROUP = "IaC-Prod"
HOOK = "lifecycle-hook"
HEARTBEAT = 450
ROLE = "iac-prod-instance"
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"


def create(
    aws: Simulator,
    parameters: dict[str, str] | None = None,
    objects: dict[str, bytes] | None = None,
    user_data: str | bytes = "",
    region: str = REGION,
    group: str = GROUP,
    hooks: tuple[str, ...] = (HOOK,),
    heartbeat: int = HEARTBEAT,
    default_result: str = "ABANDON",
    instance_type: str = "t3.small",
    desired: int = 1,
    tags: dict[str, str] | None = None,
    tags_in_metadata: bool = False,
    role: str = ROLE,
) -> str:
    """Make it all and return the id of the first instance ("" with `desired=0`).

    `objects` are named `BUCKET/KEY`. With `hooks=()` the instance goes straight
    to `InService`, as an instance that is launched before its hook exists does.
    """
    put_parameters(aws, parameters or {}, region)
    put_objects(aws, objects or {}, region)
    raw = user_data.encode() if isinstance(user_data, str) else user_data
    template: dict[str, Any] = {
        "ImageId": "ami-0abcdef1234567890",
        "InstanceType": instance_type,
        "IamInstanceProfile": {"Name": role},
        "MetadataOptions": {
            "HttpTokens": "required",
            "InstanceMetadataTags": "enabled" if tags_in_metadata else "disabled",
        },
    }
    if raw:
        template["UserData"] = base64.b64encode(raw).decode()
    aws.boto("ec2", region).create_launch_template(LaunchTemplateName=group, LaunchTemplateData=template)
    scaling = aws.boto("autoscaling", region)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=group, MinSize=0, MaxSize=max(4, desired), DesiredCapacity=desired,
        LaunchTemplate={"LaunchTemplateName": group, "Version": "$Latest"},
        AvailabilityZones=[f"{region}a"],
        LifecycleHookSpecificationList=[
            {"LifecycleHookName": hook, "LifecycleTransition": LAUNCHING,
             "HeartbeatTimeout": heartbeat, "DefaultResult": default_result}
            for hook in hooks
        ],
        Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in (tags or {}).items()],
    )
    members = aws.group(group)["instances"]
    return members[0]["instance"] if members else ""


def put_parameters(aws: Simulator, parameters: dict[str, str], region: str = REGION) -> None:
    """Encrypted parameters, as the product's playbooks expect them."""
    ssm = aws.boto("ssm", region)
    for name, value in parameters.items():
        ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def put_objects(aws: Simulator, objects: dict[str, bytes], region: str = REGION) -> None:
    """Objects and, where missing, their buckets."""
    s3 = aws.boto("s3", region)
    held = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name, content in objects.items():
        bucket, _, key = name.partition("/")
        if bucket not in held:
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            s3.create_bucket(Bucket=bucket, **place)
            held.add(bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=content)
