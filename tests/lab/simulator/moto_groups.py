"""Replaces moto's capacity and terminations: groups run through our lifecycle."""

from __future__ import annotations

from typing import Any

from moto.autoscaling import models as asg
from moto.autoscaling.exceptions import ValidationError
from moto.ec2.models.instances import InstanceBackend, MetadataOptions

from .groups import Groups
from .patching import replace


def install(groups: Groups) -> None:
    """Launches, capacity, Describe calls and terminations."""
    _patch_capacity(groups)
    _patch_terminations(groups)


def _patch_capacity(groups: Groups) -> None:
    """Capacity goes through our lifecycle instead of straight to InService."""

    def run_instances(group: Any, count: int) -> list[Any]:
        before = len(group.instance_states)
        start(group, count, group.get_propagated_tags())
        for state in group.instance_states[before:]:
            # moto lets instances of a group forget where they run.
            state.instance.region_name = group.region
            _follow_template(group, state.instance)
        return group.instance_states[before:]

    def no_direct_start(self: Any, count: int, tags: Any) -> None:
        groups.launch(self, count)

    def set_desired_capacity(self: Any, capacity: int | None) -> None:
        self.desired_capacity = self.min_size if capacity is None else int(capacity)
        groups.reconcile(self)

    def update_attached_target_groups(self: Any, group_name: str) -> None:
        # moto also registers instances that are not in service yet.
        group = self.autoscaling_groups[group_name]
        states, group.instance_states = group.instance_states, group.active_instances()
        try:
            register(self, group_name)
        finally:
            group.instance_states = states

    def describe_auto_scaling_instances(self: Any, instance_ids: list[str]) -> list[Any]:
        states = [s for g in self.autoscaling_groups.values() for s in g.instance_states + groups.warm_states(g)]
        return [s for s in states if not instance_ids or s.instance_id in instance_ids]

    start = replace(asg.FakeAutoScalingGroup, "replace_autoscaling_group_instances", no_direct_start)
    replace(asg.FakeAutoScalingGroup, "set_desired_capacity", set_desired_capacity)
    register = replace(asg.AutoScalingBackend, "update_attached_target_groups", update_attached_target_groups)
    replace(asg.AutoScalingBackend, "describe_auto_scaling_instances", describe_auto_scaling_instances)
    groups.run_instances = run_instances


def _follow_template(group: Any, instance: Any) -> None:
    """Settings of the launch template that moto does not carry over."""
    if group.ec2_launch_template is None:
        return
    data = group.ec2_launch_template.get_version(group.launch_template_version).data
    if data.get("MetadataOptions"):
        instance.metadata_options = MetadataOptions(data["MetadataOptions"])
    if data.get("IamInstanceProfile"):
        instance.iam_instance_profile = data["IamInstanceProfile"]


def _patch_terminations(groups: Groups) -> None:
    def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> Any:
        member = _member(self, groups, instance_id)
        original = member.group.desired_capacity
        if should_decrement:
            member.group.desired_capacity -= 1
        groups.terminate(member, "TerminateInstanceInAutoScalingGroup")
        groups.reconcile(member.group)
        return asg.TerminateInstanceActivity(groups.state(member).instance, original)

    def terminate_instances(self: Any, instance_ids: list[str]) -> Any:
        # The group notices that an instance was ended behind its back.
        answer = end(self, instance_ids)
        for instance_id in instance_ids:
            member = groups.member(instance_id)
            if member is not None and not member.gone:
                target = "Warmed:Terminated" if member.warm else "Terminated"
                groups.remove(member, target, "terminated by EC2")
                groups.reconcile(member.group)
        return answer

    def detach_instances(self: Any, group_name: str, ids: list[str], should_decrement: bool) -> Any:
        for member in groups.of(self.autoscaling_groups[group_name]):
            if member.instance in ids:
                member.actions.clear()
                groups.lifecycle.move(member, "Detached", "detached from the group")
        return detach(self, group_name, ids, should_decrement)

    def delete_auto_scaling_group(self: Any, group_name: str) -> None:
        group = self.autoscaling_groups.get(group_name)
        if group is not None:
            for hook in groups.hooks(group):
                self.delete_lifecycle_hook(group_name, hook.name)
            group.warm_pool = None
            for member in groups.of(group):
                groups.remove(member, "Terminated", "the group was deleted")
                end(self.ec2_backend, [member.instance])
        delete(self, group_name)

    replace(asg.AutoScalingBackend, "terminate_instance", terminate_instance)
    end = replace(InstanceBackend, "terminate_instances", terminate_instances)
    detach = replace(asg.AutoScalingBackend, "detach_instances", detach_instances)
    delete = replace(asg.AutoScalingBackend, "delete_auto_scaling_group", delete_auto_scaling_group)


def _member(backend: Any, groups: Groups, instance_id: str) -> Any:
    for group in backend.autoscaling_groups.values():
        for member in groups.of(group):
            if member.instance == instance_id:
                return member
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
