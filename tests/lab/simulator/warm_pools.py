"""Instances that are prepared, put to rest, and wait to be needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .lifecycle import LAUNCH, LAUNCHING, TERMINATING, Member, Phase

if TYPE_CHECKING:
    from .groups import Groups

POOL_STATES = ("Stopped", "Hibernated", "Running")
_READY = tuple(f"Warmed:{state}" for state in POOL_STATES)


def pool(group: Any) -> Any:
    """The pool's configuration, or nothing."""
    return getattr(group, "warm_pool", None)


def phase(group: Any, transition: str = LAUNCHING) -> Phase:
    """The way into the pool; an instance that comes back meets the other hooks."""
    return Phase("Warmed:Pending", f"Warmed:{pool(group).pool_state}", transition)


def reuses(group: Any) -> bool:
    """Whether scale-in returns instances instead of ending them."""
    policy = pool(group) and pool(group).instance_reuse_policy
    return bool(policy) and str(policy.get("ReuseOnScaleIn")).lower() == "true"


def size(group: Any) -> int:
    """How many the pool should hold: the prepared capacity not yet in use."""
    config = pool(group)
    if config is None:
        return 0
    prepared = config.max_group_prepared_capacity
    # -1 is how the API says "back to the group's own maximum".
    top = group.max_size if prepared is None or int(prepared) < 0 else int(prepared)
    return max(int(config.min_size or 0), int(top or 0) - int(group.desired_capacity or 0))


def fill(groups: Groups, group: Any) -> None:
    """Launch what is missing in the pool, and end what is too much."""
    if pool(group) is None:
        return
    members = [m for m in groups.of(group) if m.warm and not m.state.startswith("Warmed:Terminating")]
    missing = size(group) - len(members)
    if missing > 0 and not groups.suspended(group, "Launch"):
        groups.launch(group, missing, warm=True)
    for member in members[: max(0, -missing)]:
        groups.terminate(member, "the warm pool became smaller")


def empty(groups: Groups, group: Any) -> None:
    """End all warm instances: the pool is being deleted."""
    group.warm_pool = None
    for member in groups.of(group):
        if member.warm:
            groups.terminate(member, "the warm pool was deleted")


def ready(groups: Groups, group: Any) -> list[Member]:
    """Instances that could go into service now."""
    return [m for m in groups.of(group) if m.state in _READY]


def take_out(groups: Groups, member: Member) -> None:
    """Start a warm instance and bring it into service: the hooks' second action."""
    if member.state not in _READY:
        raise ValueError(f"`{member.instance}` is `{member.state}`, not ready in a warm pool")
    member.group.ec2_backend.start_instances([member.instance])
    member.group.instance_states.append(groups.state(member))
    groups.lifecycle.enter(member, LAUNCH, groups.hooks(member.group), "taken from the warm pool")


def put_back(groups: Groups, member: Member) -> None:
    """Scale-in under a reuse policy."""
    group = member.group
    group.instance_states.remove(groups.state(member))
    back = phase(group, TERMINATING)
    groups.lifecycle.enter(member, back, groups.hooks(group), "returned to the warm pool")


def rest(member: Member) -> None:
    """Preparation is over: stop the instance unless the pool keeps it running."""
    if member.state != "Warmed:Running":
        member.group.ec2_backend.stop_instances([member.instance])
