"""Which calls an IAM policy allows: as much of IAM as the playbooks' `policy.json` use, so that a wrong one fails a test.

Allow statements with actions and resources, both with `*`. The one `Condition` that is understood is about the prefix of a list of
objects; any other is refused.
"""

import fnmatch
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set

_REGION, _ACCOUNT = "us-east-1", "123456789012"
# Calls whose permission has another name than they have.
_RENAMED = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket",
            "s3:HeadBucket": "s3:ListBucket", "s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject",
            "s3:CompleteMultipartUpload": "s3:PutObject"}


class Need(NamedTuple):
    """One action on one resource."""

    action: str
    resource: str
    # Below which names a list of objects looks.
    prefix: str = ""


def needs(calls: Iterable[Dict[str, Any]]) -> Set[Need]:
    """What these requests of the simulator's journal need to be allowed."""
    found: Set[Need] = set()
    for call in calls:
        action = f"{call['service']}:{call['action']}"
        action = _RENAMED.get(action, action)
        prefix = call["params"].get("prefix", "") if action == "s3:ListBucket" else ""
        found |= {Need(action, resource, prefix) for resource in _resources(call)}
    return found


def allows(policy: Dict[str, Any], need: Need) -> bool:
    """Whether some statement allows it."""
    return any(
        _one_of(need.action.lower(), [action.lower() for action in _list(statement["Action"])])
        and _one_of(need.resource, _list(statement["Resource"]))
        and _holds(statement.get("Condition"), need)
        for statement in _statements(policy)
    )


def never_used(policy: Dict[str, Any], needed: Iterable[Need]) -> Set[str]:
    """Actions that the policy allows and nobody needed."""
    used = {need.action.lower() for need in needed}
    allowed = {action for statement in _statements(policy) for action in _list(statement["Action"])}
    return {action for action in allowed if not fnmatch.filter(used, action.lower())}


def _statements(policy: Dict[str, Any]) -> List[Dict[str, Any]]:
    assert policy["Version"] == "2012-10-17", policy["Version"]
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
    return policy["Statement"]


def _holds(condition: Optional[Dict[str, Any]], need: Need) -> bool:
    if condition is None:
        return True
    assert list(condition) == ["StringLike"] and list(condition["StringLike"]) == ["s3:prefix"], condition
    return _one_of(need.prefix, _list(condition["StringLike"]["s3:prefix"]))


def _resources(call: Dict[str, Any]) -> List[str]:
    """The resources a request is about, as policies name them."""
    service, params = call["service"], call["params"]
    if service == "s3":
        bucket, key = params["Bucket"], params.get("Key", "")
        is_list = call["action"].startswith("ListObjects") or call["action"] == "HeadBucket"
        return [f"arn:aws:s3:::{bucket}" + ("" if is_list or not key else f"/{key}")]
    prefix = f"arn:aws:{service}:{_REGION}:{_ACCOUNT}"
    if service == "ssm":
        names = params.get("Names") or [params.get("Name") or params.get("Path", "")]
        return [f"{prefix}:parameter/{name.lstrip('/').rstrip('/')}" for name in names]
    if service == "logs":
        return [f"{prefix}:log-group:{params['logGroupName']}:*"]
    if service == "autoscaling" and "AutoScalingGroupName" in params and not call["action"].startswith("Describe"):
        return [f"{prefix}:autoScalingGroup:*:autoScalingGroupName/{params['AutoScalingGroupName']}"]
    return ["*"]


def _one_of(text: str, patterns: List[str]) -> bool:
    # Account and region of a policy are the reader's own; the lab's stand in for them.
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _list(value: Any) -> List[str]:
    return value if isinstance(value, list) else [value]
