"""SSM, Auto Scaling and CloudWatch Logs, as far as a boot needs them. Who calls is known by the access key."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from simulator import log_limits
from simulator.lifecycle import NoActiveAction

from .account import ACCOUNT_ID, REGION, Account, Instance, LogGroup
from .answers import Answer, Refused, json_answer, refusal, throttled, xml_answer

_CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d+/[a-z0-9-]+/([a-z0-9-]+)/aws4_request")
_PAGE = 10


class Services:
    """All three, for one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._actions: dict[tuple[str, str], Callable[[Instance, dict[str, Any]], Answer]] = {
            ("ssm", "GetParameters"): self._get_parameters,
            ("ssm", "GetParametersByPath"): self._get_parameters_by_path,
            ("autoscaling", "CompleteLifecycleAction"): self._complete,
            ("autoscaling", "RecordLifecycleActionHeartbeat"): self._heartbeat,
            ("autoscaling", "DescribeAutoScalingInstances"): self._describe_instances,
            ("autoscaling", "DescribeLifecycleHooks"): self._describe_hooks,
            ("logs", "CreateLogGroup"): self._create_log_group,
            ("logs", "CreateLogStream"): self._create_log_stream,
            ("logs", "PutRetentionPolicy"): self._put_retention,
            ("logs", "PutLogEvents"): self._put_log_events,
        }

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        """One request, counted for the instance that made it."""
        signed = _CREDENTIAL.search(headers.get("authorization", ""))
        if signed is None:
            return refusal("ssm", Refused("MissingAuthenticationTokenException", "Missing Authentication Token"))
        key, service = signed.groups()
        instance = self._account.by_key.get(key)
        if instance is None:
            return refusal(service, Refused("UnrecognizedClientException", "The security token is invalid."))
        action, params = _parse(headers, body)
        if not self._account.buckets.take(service, action, self._account.clock.now()):
            instance.throttled[service, action] += 1
            return throttled(service)
        instance.answered[service, action] += 1
        handler = self._actions.get((service, action))
        try:
            if handler is None:
                raise Refused("UnknownOperationException", f"no `{action}` here")
            return handler(instance, params)
        except Refused as refused:
            return refusal(service, refused)

    def _get_parameters(self, _: Instance, params: dict[str, Any]) -> Answer:
        names = params["Names"]
        if len(names) > _PAGE:
            raise Refused("ValidationException", "Member must have length less than or equal to 10")
        there = [name for name in names if name in self._account.parameters]
        missing = [name for name in names if name not in there]
        return json_answer({"Parameters": [self._parameter(name) for name in there], "InvalidParameters": missing})

    def _get_parameters_by_path(self, _: Instance, params: dict[str, Any]) -> Answer:
        prefix = params["Path"].rstrip("/") + "/"
        names = sorted(n for n in self._account.parameters if n.startswith(prefix) and "/" not in n[len(prefix):])
        begin = int(params.get("NextToken") or 0)
        page = names[begin:begin + _PAGE]
        answer: dict[str, Any] = {"Parameters": [self._parameter(name) for name in page]}
        if begin + _PAGE < len(names):
            answer["NextToken"] = str(begin + _PAGE)
        return json_answer(answer)

    def _parameter(self, name: str) -> dict[str, Any]:
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT_ID}:parameter{name}"
        value = self._account.parameters[name]
        return {"Name": name, "Type": "SecureString", "Value": value, "Version": 1, "ARN": arn, "DataType": "text"}

    def _complete(self, instance: Instance, params: dict[str, Any]) -> Answer:
        action = self._account.member(instance).actions.get(params["LifecycleHookName"])
        if action is not None:
            instance.spare = action.deadline - self._account.clock.now()
        self._lifecycle(params, lambda hook, group, who: self._account.lifecycle.complete(
            hook, params["LifecycleActionResult"], group, "", who
        ))
        return xml_answer("CompleteLifecycleAction", "")

    def _heartbeat(self, _: Instance, params: dict[str, Any]) -> Answer:
        self._lifecycle(params, lambda hook, group, who: self._account.lifecycle.heartbeat(hook, group, "", who))
        return xml_answer("RecordLifecycleActionHeartbeat", "")

    def _lifecycle(self, params: dict[str, Any], call: Callable[[str, str, str], None]) -> None:
        try:
            call(params["LifecycleHookName"], params["AutoScalingGroupName"], params["InstanceId"])
        except NoActiveAction as none:
            raise Refused("ValidationError", str(none)) from none

    def _describe_instances(self, _: Instance, params: dict[str, Any]) -> Answer:
        members = [self._account.lifecycle.members.get(i) for k, i in params.items() if k.startswith("InstanceIds.member.")]
        told = "".join(
            f"<member><InstanceId>{m.instance}</InstanceId><AutoScalingGroupName>{m.group.name}</AutoScalingGroupName>"
            f"<LifecycleState>{m.state}</LifecycleState><AvailabilityZone>{REGION}a</AvailabilityZone>"
            "<HealthStatus>HEALTHY</HealthStatus><ProtectedFromScaleIn>false</ProtectedFromScaleIn></member>"
            for m in members if m is not None
        )
        return xml_answer("DescribeAutoScalingInstances", f"<AutoScalingInstances>{told}</AutoScalingInstances>")

    def _describe_hooks(self, _: Instance, params: dict[str, Any]) -> Answer:
        hook = self._account.hook
        told = (
            f"<member><LifecycleHookName>{hook.name}</LifecycleHookName>"
            f"<AutoScalingGroupName>{params['AutoScalingGroupName']}</AutoScalingGroupName>"
            f"<LifecycleTransition>{hook.lifecycle_transition}</LifecycleTransition>"
            f"<HeartbeatTimeout>{hook.heartbeat_timeout:.0f}</HeartbeatTimeout><DefaultResult>{hook.default_result}</DefaultResult></member>"
        )
        return xml_answer("DescribeLifecycleHooks", f"<LifecycleHooks>{told}</LifecycleHooks>")

    def _create_log_group(self, _: Instance, params: dict[str, Any]) -> Answer:
        if params["logGroupName"] in self._account.log_groups:
            raise Refused("ResourceAlreadyExistsException", "The specified log group already exists")
        self._account.log_groups[params["logGroupName"]] = LogGroup()
        return json_answer({})

    def _create_log_stream(self, _: Instance, params: dict[str, Any]) -> Answer:
        streams = self._log_group(params).streams
        if params["logStreamName"] in streams:
            raise Refused("ResourceAlreadyExistsException", "The specified log stream already exists")
        streams.add(params["logStreamName"])
        return json_answer({})

    def _put_retention(self, _: Instance, params: dict[str, Any]) -> Answer:
        self._log_group(params).retention = params["retentionInDays"]
        return json_answer({})

    def _put_log_events(self, instance: Instance, params: dict[str, Any]) -> Answer:
        if params["logStreamName"] not in self._log_group(params).streams:
            raise Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        try:
            log_limits.check_batch(params["logEvents"])
        except log_limits.Refused as refused:
            raise Refused("InvalidParameterException", str(refused)) from refused
        instance.log_events += len(params["logEvents"])
        return json_answer({"nextSequenceToken": str(time.time_ns())})

    def _log_group(self, params: dict[str, Any]) -> LogGroup:
        group = self._account.log_groups.get(params["logGroupName"])
        if group is None:
            raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
        return group


def _parse(headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
    """Action and parameters, from either dialect."""
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    target = headers.get("x-amz-target")
    if target:
        return target.rpartition(".")[2], json.loads(body or b"{}")
    fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return fields.get("Action", ""), fields
