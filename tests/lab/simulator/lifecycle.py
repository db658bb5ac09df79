"""One instance's way through a group: phases, hooks and their deadlines.

A phase is a stretch that hooks can hold up. Deadlines are settled when somebody
looks, with the time at which they passed, so no thread has to watch them.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
LONGEST_WAIT = 48 * 3600.0
MOST_HEARTBEATS = 100


@dataclass(frozen=True)
class Phase:
    """A named stretch, the state it ends in, and the hooks that hold it up."""

    name: str
    target: str
    transition: str

    @property
    def wait(self) -> str:
        """The state while an action is outstanding."""
        return f"{self.name}:Wait"

    @property
    def proceed(self) -> str:
        """The state between the last action and the end."""
        return f"{self.name}:Proceed"


LAUNCH = Phase("Pending", "InService", LAUNCHING)
TERMINATE = Phase("Terminating", "Terminated", TERMINATING)
WARM_TERMINATE = Phase("Warmed:Terminating", "Warmed:Terminated", TERMINATING)


@dataclass
class Action:
    """One hook that waits for an answer about one instance."""

    hook: str
    transition: str
    started: float
    timeout: float
    default_result: str
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    heartbeats: int = 0
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.beat(self.started)

    def beat(self, now: float) -> None:
        """Start the timer again, up to the cap on the whole action."""
        cap = self.started + min(LONGEST_WAIT, MOST_HEARTBEATS * self.timeout)
        self.deadline = min(now + self.timeout, cap)


@dataclass
class Member:
    """An instance that belongs or has belonged to a group."""

    instance: str
    group: Any
    phase: Phase
    state: str = ""
    actions: dict[str, Action] = field(default_factory=dict)
    finished: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    # When its hooks begin to wait, and which, if they do not yet.
    begins: float | None = None
    waiting_hooks: list[Any] = field(default_factory=list)

    @property
    def warm(self) -> bool:
        """Whether it is in the warm pool, or on the way in or out by its end."""
        return self.state.startswith("Warmed:")

    @property
    def gone(self) -> bool:
        """Whether it has left for good."""
        return self.state in ("Terminated", "Warmed:Terminated", "Detached")


class NoActiveAction(Exception):
    """Nobody waits for this answer."""


class Lifecycle:
    """All members, past and present."""

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self.members: dict[str, Member] = {}
        # How long an instance stays in `Pending` before its hooks begin to wait: EC2 takes its time.
        self.pending_for = 0.0
        self.on_state: Callable[[Member], None] = lambda member: None
        self.on_end: Callable[[Member, bool], None] = lambda member, abandoned: None

    def enter(self, member: Member, phase: Phase, hooks: list[Any], why: str) -> None:
        """Begin a phase: wait for the hooks, or go straight through."""
        now = self._clock.now()
        self.members[member.instance] = member
        member.phase, member.actions = phase, {}
        self.move(member, phase.name, why)
        if self.pending_for and phase is LAUNCH:
            member.begins, member.waiting_hooks = now + self.pending_for, hooks
        else:
            self._begin(member, hooks, now)

    def _begin(self, member: Member, hooks: list[Any], now: float) -> None:
        phase, member.begins = member.phase, None
        for hook in hooks:
            if hook.lifecycle_transition == phase.transition:
                member.actions[hook.name] = Action(
                    hook.name, phase.transition, now, float(hook.heartbeat_timeout), hook.default_result
                )
        if member.actions:
            self.move(member, phase.wait, "held by " + ", ".join(f"`{name}`" for name in member.actions), now)
        else:
            self._end(member, False, now)

    def move(self, member: Member, state: str, why: str, at: float | None = None) -> None:
        """Change the state and write down when and why."""
        member.state = state
        member.history.append({"time": at or self._clock.now(), "state": state, "reason": why})
        self.on_state(member)

    def complete(self, hook: str, result: str, group: str, token: str, instance: str) -> None:
        """CompleteLifecycleAction."""
        member, action = self._find(hook, group, token, instance)
        self._finish(member, action, result, "call", self._clock.now())

    def heartbeat(self, hook: str, group: str, token: str, instance: str) -> None:
        """RecordLifecycleActionHeartbeat."""
        _, action = self._find(hook, group, token, instance)
        action.heartbeats += 1
        action.beat(self._clock.now())

    def settle(self) -> None:
        """Give every action that ran out of time its default result."""
        with self.lock:
            while True:
                now = self._clock.now()
                for member in list(self.members.values()):
                    if member.begins is not None and member.begins <= now:
                        self._begin(member, member.waiting_hooks, member.begins)
                due = [
                    (action.deadline, member.instance, action.hook)
                    for member in self.members.values()
                    for action in member.actions.values()
                    if action.deadline <= now
                ]
                if not due:
                    return
                at, instance, hook = min(due)
                member = self.members[instance]
                action = member.actions[hook]
                self._finish(member, action, action.default_result, "timeout", at)

    def reset(self) -> None:
        """Forget everybody."""
        with self.lock:
            self.members.clear()
            self.pending_for = 0.0

    def _find(self, hook: str, group: str, token: str, instance: str) -> tuple[Member, Action]:
        self.settle()
        for member in self.members.values():
            action = member.actions.get(hook)
            if action is None or member.group.name != group:
                continue
            if action.token == token if token else member.instance == instance:
                return member, action
        by = f"token {token}" if token else f"instance ID {instance}"
        raise NoActiveAction(f"No active Lifecycle Action found with {by}")

    def _finish(self, member: Member, action: Action, result: str, by: str, at: float) -> None:
        del member.actions[action.hook]
        member.finished.append(
            {"hook": action.hook, "transition": action.transition, "result": result, "by": by,
             "time": at, "heartbeats": action.heartbeats, "phase": member.phase.name}
        )
        if result == "ABANDON":
            # What the other hooks would have said no longer matters.
            member.actions.clear()
            self._end(member, True, at)
        elif not member.actions:
            self.move(member, member.phase.proceed, f"`{action.hook}` was answered by {by}", at)
            self._end(member, False, at)

    def _end(self, member: Member, abandoned: bool, at: float) -> None:
        if not abandoned:
            self.move(member, member.phase.target, "nothing holds it", at)
        self.on_end(member, abandoned)
