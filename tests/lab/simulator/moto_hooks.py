"""Adds what moto lacks around hooks and warm pools to its Auto Scaling API."""

from __future__ import annotations

from typing import Any

from moto.autoscaling import models as asg
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from . import warm_pools
from .groups import Groups
from .lifecycle import LAUNCHING, LONGEST_WAIT, MOST_HEARTBEATS, TERMINATING, NoActiveAction
from .patching import replace


def install(groups: Groups) -> None:
    """Hooks with their actions, and warm pools with their instances."""
    _patch_definitions()
    _add_actions(groups)
    _patch_warm_pools(groups)


def _patch_definitions() -> None:
    """Hooks can be changed, and can come with the group."""
    def create_lifecycle_hook(
        self: Any, name: str, as_name: str, transition: Any, timeout: Any, result: Any
    ) -> Any:
        held = next(iter(self.describe_lifecycle_hooks(as_name, [name])), None)
        transition = transition or (held and held.lifecycle_transition)
        if transition not in (LAUNCHING, TERMINATING):
            raise ValidationError("Valid requests must contain the LifecycleTransition of a new lifecycle hook.")
        timeout = int(timeout or (held.heartbeat_timeout if held else 3600))
        result = result or (held.default_result if held else "ABANDON")
        hook = create(self, name, as_name, transition, timeout, result)
        hook.global_timeout = int(min(LONGEST_WAIT, MOST_HEARTBEATS * timeout))
        # moto makes both up; nobody is notified here.
        hook.role_arn = hook.notification_target_arn = None
        return hook

    def put_lifecycle_hook(self: Any) -> EmptyResult:
        known_group(self)
        return put(self)

    def create_auto_scaling_group(self: Any) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        backend = self.autoscaling_backend
        if name in backend.autoscaling_groups:
            raise asg.AutoscalingClientError(
                "AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name "
                f"{name} already exists",
            )
        specifications = self._get_params().get("LifecycleHookSpecificationList", [])
        for hook in specifications:
            backend.create_lifecycle_hook(
                hook["LifecycleHookName"], name, hook.get("LifecycleTransition"),
                hook.get("HeartbeatTimeout"), hook.get("DefaultResult"),
            )
        try:
            return create_group(self)
        except Exception:
            for hook in specifications:
                backend.delete_lifecycle_hook(name, hook["LifecycleHookName"])
            raise

    def create_from_cloudformation(_: Any, resource_name: str, resource: Any, account_id: str, region_name: str, **kw: Any) -> Any:
        # Before the group: its first instances are held already.
        for hook in resource["Properties"].get("LifecycleHookSpecificationList", []):
            asg.autoscaling_backends[account_id][region_name].create_lifecycle_hook(
                hook["LifecycleHookName"], resource_name, hook.get("LifecycleTransition"),
                hook.get("HeartbeatTimeout"), hook.get("DefaultResult"),
            )
        return from_cloudformation(resource_name, resource, account_id, region_name, **kw)

    from_cloudformation = asg.FakeAutoScalingGroup.create_from_cloudformation_json
    asg.FakeAutoScalingGroup.create_from_cloudformation_json = classmethod(create_from_cloudformation)
    create = replace(asg.AutoScalingBackend, "create_lifecycle_hook", create_lifecycle_hook)
    put = replace(AutoScalingResponse, "put_lifecycle_hook", put_lifecycle_hook)
    create_group = replace(AutoScalingResponse, "create_auto_scaling_group", create_auto_scaling_group)


def _add_actions(groups: Groups) -> None:
    """CompleteLifecycleAction and RecordLifecycleActionHeartbeat, which moto has not."""

    def complete_lifecycle_action(self: Any) -> EmptyResult:
        result = self._get_param("LifecycleActionResult")
        if result not in ("CONTINUE", "ABANDON"):
            raise ValidationError("Valid requests must contain a LifecycleActionResult of CONTINUE or ABANDON")
        return answer(self, lambda *about: groups.lifecycle.complete(about[0], result, *about[1:]))

    def record_lifecycle_action_heartbeat(self: Any) -> EmptyResult:
        return answer(self, groups.lifecycle.heartbeat)

    def answer(self: Any, act: Any) -> EmptyResult:
        known_group(self)
        token, instance = self._get_param("LifecycleActionToken"), self._get_param("InstanceId")
        if not token and not instance:
            raise ValidationError("Valid requests must contain either an instance id or a lifecycle action token")
        try:
            act(self._get_param("LifecycleHookName"), self._get_param("AutoScalingGroupName"),
                token or "", instance or "")
        except NoActiveAction as none:
            raise ValidationError(str(none)) from none
        return EmptyResult()

    AutoScalingResponse.complete_lifecycle_action = complete_lifecycle_action
    AutoScalingResponse.record_lifecycle_action_heartbeat = record_lifecycle_action_heartbeat


def _patch_warm_pools(groups: Groups) -> None:
    def put_warm_pool(self: Any) -> ActionResult:
        group = known_group(self)
        state = self._get_params().get("PoolState") or "Stopped"
        if state not in warm_pools.POOL_STATES:
            raise ValidationError(f"PoolState must be one of {', '.join(warm_pools.POOL_STATES)}")
        answer = put(self)
        warm_pools.fill(groups, group)
        return answer

    def describe_warm_pool(self: Any) -> ActionResult:
        group = known_group(self)
        return ActionResult(
            {"WarmPoolConfiguration": warm_pools.pool(group), "Instances": groups.warm_states(group)}
        )

    def delete_warm_pool(self: Any) -> EmptyResult:
        warm_pools.empty(groups, known_group(self))
        return EmptyResult()

    put = replace(AutoScalingResponse, "put_warm_pool", put_warm_pool)
    replace(AutoScalingResponse, "describe_warm_pool", describe_warm_pool)
    replace(AutoScalingResponse, "delete_warm_pool", delete_warm_pool)


def known_group(response: Any) -> Any:
    name = response._get_param("AutoScalingGroupName")
    group = response.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return group
