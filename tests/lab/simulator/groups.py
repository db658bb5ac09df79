"""What a group does with its instances: launch, hold, replace, terminate."""

from __future__ import annotations

from typing import Any

from . import warm_pools
from .clock import Clock
from .lifecycle import LAUNCH, TERMINATE, WARM_TERMINATE, Lifecycle, Member

# A group counts these towards the capacity it wants.
_COUNTED = {"Pending", "Pending:Wait", "Pending:Proceed", "InService"}


class Groups:
    """Stands between moto's groups and the lifecycle of their instances."""

    def __init__(self, clock: Clock) -> None:
        self.lifecycle = Lifecycle(clock)
        self.lifecycle.on_state = self._show
        self.lifecycle.on_end = self._ended
        # moto's own way of starting instances; set when moto is patched.
        self.run_instances: Any = None
        self._states: dict[str, Any] = {}

    # -- capacity ---------------------------------------------------------

    def reconcile(self, group: Any) -> None:
        """Bring the group to its desired capacity, from the warm pool first."""
        missing = (group.desired_capacity or 0) - sum(
            1 for state in group.instance_states if state.lifecycle_state in _COUNTED
        )
        if missing > 0 and not self.suspended(group, "Launch"):
            ready = warm_pools.ready(self, group)[:missing]
            for member in ready:
                warm_pools.take_out(self, member)
            self.launch(group, missing - len(ready))
        elif missing < 0 and not self.suspended(group, "Terminate"):
            for member in self._surplus(group)[:-missing]:
                self.scale_in(member)
        warm_pools.fill(self, group)
        self._refresh_targets(group)

    def launch(self, group: Any, count: int, warm: bool = False) -> None:
        """Start instances and let the group's hooks hold them."""
        for state in self.run_instances(group, count) if count > 0 else []:
            self._states[state.instance_id] = state
            phase = warm_pools.phase(group) if warm else LAUNCH
            member = Member(state.instance_id, group, phase)
            if warm:
                group.instance_states.remove(state)
            self.lifecycle.enter(member, phase, self.hooks(group), "launched by the group")

    def scale_in(self, member: Member) -> None:
        """The group has one too many: back to the pool if it reuses, else terminate."""
        if warm_pools.reuses(member.group) and not member.warm:
            warm_pools.put_back(self, member)
        else:
            self.terminate(member, "taken out of service to shrink the group")

    def terminate(self, member: Member, why: str) -> None:
        """The orderly end, which terminating hooks can hold up."""
        if member.gone or member.phase in (TERMINATE, WARM_TERMINATE):
            return
        phase = WARM_TERMINATE if member.warm else TERMINATE
        self.lifecycle.enter(member, phase, self.hooks(member.group), why)

    def remove(self, member: Member, state: str, why: str) -> None:
        """Out of the group at once: terminated from outside, or detached."""
        if not member.gone:
            member.actions.clear()
            self.lifecycle.move(member, state, why)
            self._forget(member)

    # -- lookups ----------------------------------------------------------

    def member(self, instance: str, state: Any = None, group: Any = None) -> Member | None:
        """The member, taking in one that was attached without a launch."""
        found = self.lifecycle.members.get(instance)
        if (found is None or found.gone) and state is not None:
            found = Member(instance, group, LAUNCH, state=state.lifecycle_state)
            self._states[instance] = state
            self.lifecycle.members[instance] = found
        elif state is not None and state.lifecycle_state != found.state:
            # Standby is moto's own work; ours is to know of it.
            self.lifecycle.move(found, state.lifecycle_state, "changed by request")
        return found

    def of(self, group: Any) -> list[Member]:
        """Everybody who belongs to the group now, warm ones included."""
        for state in group.instance_states:
            self.member(state.instance_id, state, group)
        return [m for m in self.lifecycle.members.values() if m.group is group and not m.gone]

    def warm_states(self, group: Any) -> list[Any]:
        """moto's records of the warm instances, for Describe calls."""
        return [self._states[member.instance] for member in self.of(group) if member.warm]

    def state(self, member: Member) -> Any:
        """moto's record of one instance."""
        return self._states[member.instance]

    def hooks(self, group: Any) -> list[Any]:
        """The hooks the group has at this moment."""
        return group.autoscaling_backend.describe_lifecycle_hooks(group.name)

    def reset(self) -> None:
        """Forget everybody."""
        self.lifecycle.reset()
        self._states.clear()

    # -- what the lifecycle tells us ----------------------------------------

    def _show(self, member: Member) -> None:
        self._states[member.instance].lifecycle_state = member.state

    def _ended(self, member: Member, abandoned: bool) -> None:
        if member.phase in (TERMINATE, WARM_TERMINATE):
            # Either answer lets the instance go.
            if abandoned:
                self.lifecycle.move(member, member.phase.target, "the hook was abandoned")
            self._discard(member)
        elif abandoned:
            doomed = WARM_TERMINATE if member.warm else TERMINATE
            member.phase = doomed
            self.lifecycle.move(member, doomed.name, "the launch was abandoned")
            self.lifecycle.move(member, doomed.target, "the launch was abandoned")
            self._discard(member)
        elif member.warm:
            warm_pools.rest(member)
        else:
            self._refresh_targets(member.group)

    def _discard(self, member: Member) -> None:
        self._forget(member)
        member.group.ec2_backend.terminate_instances([member.instance])
        self.reconcile(member.group)

    def _forget(self, member: Member) -> None:
        group = member.group
        group.instance_states = [s for s in group.instance_states if s.instance_id != member.instance]

    def _surplus(self, group: Any) -> list[Member]:
        states = [
            s for s in group.instance_states
            if s.lifecycle_state in _COUNTED and not s.protected_from_scale_in
        ]
        return [m for s in states if (m := self.member(s.instance_id, s, group))]

    @staticmethod
    def _refresh_targets(group: Any) -> None:
        backend = group.autoscaling_backend
        if group.name in backend.autoscaling_groups:
            backend.update_attached_elbs(group.name)
            backend.update_attached_target_groups(group.name)

    @staticmethod
    def suspended(group: Any, process: str) -> bool:
        """Whether SuspendProcesses has switched this off for the group."""
        return any(p["ProcessName"] == process for p in group.suspended_processes)
