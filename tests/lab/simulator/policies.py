"""Which calls an IAM policy allows: as much of IAM as the policies of instances use, so that one that does not fit is noticed.

Allow statements with actions and resources, both with `*` and `?`. A `Condition` may be about the prefix of a list of objects and about
the service that uses a key for its caller; anything else is not understood and refused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any, NamedTuple

from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from .calls import ACCOUNT, Call
from .credentials import Credentials

_REGION = "us-east-1"
# Calls whose permission has another name than they have.
_RENAMED = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket",
            "s3:HeadBucket": "s3:ListBucket", "s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject",
            "s3:CompleteMultipartUpload": "s3:PutObject"}
_SECRETS = "/aws/reference/secretsmanager/"
# The key that is there without being made; its own policy lets the whole account use it through the parameter store.
_OWN_KEY = "alias/aws/ssm"
# Keys of conditions, and what of a need they are about.
_CONTEXT = {"s3:prefix": "prefix", "kms:ViaService": "via"}


class Need(NamedTuple):
    """One action on one resource."""

    action: str
    resource: str
    # Below which names a list of objects looks.
    prefix: str = ""
    # The service that asks for its caller; nobody when the caller asks itself.
    via: str = ""


class Policies:
    """The policies of roles. A role that has none may do everything, as in a lab that is not about policies."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nobody's rights are restricted."""
        self._documents: dict[str, dict[str, Any]] = {}

    def attach(self, role: str, document: dict[str, Any]) -> None:
        """The one policy of a role."""
        _statements(document)
        self._documents[role] = document

    def lacking(self, call: Call, caller: Credentials | None) -> tuple[str, str, str] | None:
        """Caller, action and resource of the first thing that this call needs and its caller may not do."""
        document = self._documents.get(caller.role) if caller else None
        if caller is None or document is None:
            return None
        request = {"service": call.service, "action": call.action, "params": call.params}
        for need in [*sorted(needs([request])), *_of_others(call)]:
            if not allows(document, need):
                return caller.caller, need.action, need.resource
        return None


def needs(calls: Iterable[dict[str, Any]]) -> set[Need]:
    """What these requests of the simulator's journal need to be allowed."""
    found: set[Need] = set()
    for call in calls:
        action = f"{call['service']}:{call['action']}"
        action = _RENAMED.get(action, action)
        prefix = call["params"].get("prefix", "") if action == "s3:ListBucket" else ""
        found |= {Need(action, resource, prefix) for resource in _resources(call)}
    return found


def allows(policy: dict[str, Any], need: Need) -> bool:
    """Whether some statement allows it."""
    return any(
        _one_of(need.action.lower(), [action.lower() for action in _list(statement["Action"])])
        and _one_of(need.resource, _list(statement["Resource"]))
        and _holds(statement.get("Condition", {}), need)
        for statement in _statements(policy)
    )


def never_used(policy: dict[str, Any], needed: Iterable[Need]) -> set[str]:
    """Actions that the policy allows and nobody needed."""
    used = {need.action.lower() for need in needed}
    allowed = {action for statement in _statements(policy) for action in _list(statement["Action"])}
    return {action for action in allowed if not fnmatch.filter(used, action.lower())}


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    if policy.get("Version") != "2012-10-17":
        raise ValueError("a policy has the version 2012-10-17")
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow" or not set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}:
            raise ValueError(f"not understood: {statement}")
        for operator, pairs in statement.get("Condition", {}).items():
            if operator not in ("StringEquals", "StringLike") or not set(pairs) <= set(_CONTEXT):
                raise ValueError(f"not understood: {statement['Condition']}")
    return list(policy["Statement"])


def _holds(condition: dict[str, dict[str, Any]], need: Need) -> bool:
    pairs = [pair for operands in condition.values() for pair in operands.items()]
    return all(_one_of(getattr(need, _CONTEXT[key]), _list(pattern)) for key, pattern in pairs)


def _resources(call: dict[str, Any]) -> list[str]:
    """The resources a request is about, as policies name them."""
    service, params = call["service"], call["params"]
    if service == "s3":
        bucket, key = params["Bucket"], params.get("Key", "")
        is_list = call["action"].startswith("ListObjects") or call["action"] == "HeadBucket"
        return [f"arn:aws:s3:::{bucket}" + ("" if is_list or not key else f"/{key}")]
    prefix = f"arn:aws:{service}:{_REGION}:{ACCOUNT}"
    if service == "ssm":
        names = params.get("Names") or [params.get("Name") or params.get("Path", "")]
        return [f"{prefix}:parameter/{_bare(name)}" for name in names]
    if service == "logs":
        return [f"{prefix}:log-group:{params['logGroupName']}:log-stream:{params.get('logStreamName', '')}"]
    if service == "autoscaling" and "AutoScalingGroupName" in params and not call["action"].startswith("Describe"):
        return [f"{prefix}:autoScalingGroup:*:autoScalingGroupName/{params['AutoScalingGroupName']}"]
    return ["*"]


def _bare(name: str) -> str:
    """A parameter's name without version or label, as its ARN has it."""
    return name.strip("/").partition(":")[0]


def _of_others(call: Call) -> list[Need]:
    """What the parameter store asks other services for, in the name of its caller."""
    if call.service != "ssm" or call.params.get("WithDecryption") is not True:
        return []
    via = f"ssm.{call.region}.amazonaws.com"
    held = ssm_backends[ACCOUNT][call.region]
    found: list[Need] = []
    for name in map(str, call.params.get("Names") or [call.params.get("Name") or ""]):
        if name.startswith(_SECRETS):
            secret = secretsmanager_backends[ACCOUNT][call.region].secrets.get(name.removeprefix(_SECRETS))
            found += [Need("secretsmanager:GetSecretValue", secret.arn, via=via)] if secret else []
        else:
            found += _key_of(held.get_parameter(name.partition(":")[0]) if name else None, call, via)
    if "Path" in call.params:
        below = held.get_parameters_by_path(call.params["Path"], bool(call.params.get("Recursive")), max_results=10)[0]
        found += [need for parameter in below for need in _key_of(parameter, call, via)]
    return found


def _key_of(parameter: Any, call: Call, via: str) -> list[Need]:
    if parameter is None or parameter.parameter_type != "SecureString" or parameter.keyid in (None, "", _OWN_KEY):
        return []
    key = str(parameter.keyid)
    return [Need("kms:Decrypt", key if key.startswith("arn:") else f"arn:aws:kms:{call.region}:{ACCOUNT}:key/{key}", via=via)]


def _one_of(text: str, patterns: list[str]) -> bool:
    # Account and region of a policy are the reader's own; the lab's stand in for them.
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
