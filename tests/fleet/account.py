"""What all instances share, and what each of them did to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

from simulator.clock import Clock
from simulator.lifecycle import LAUNCH, LAUNCHING, Lifecycle, Member

from .quotas import Buckets

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
GROUP = "fleet"
HOOK = "lifecycle-hook"
LOG_GROUP = "/aws/ec2/fleet"


@dataclass
class Instance:
    """One machine of the fleet. Its access key says who calls."""

    number: int
    launched: float = 0.0
    id: str = field(init=False)
    access_key: str = field(init=False)
    # Answered and throttled calls by (service, action).
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    throttled: Counter[tuple[str, str]] = field(default_factory=Counter)
    # How much of the hook's time was left when it was answered.
    spare: float | None = None
    log_events: int = 0

    def __post_init__(self) -> None:
        self.id = f"i-{self.number:017x}"
        self.access_key = f"ASIA{self.number:016d}"

    @property
    def address(self) -> str:
        """Its private address."""
        return f"10.0.{self.number // 250}.{self.number % 250 + 1}"


@dataclass
class LogGroup:
    """A log group."""

    streams: set[str] = field(default_factory=set)
    retention: int | None = None


class Account:
    """Used by one thread, the server's; read by others when the fleet is done."""

    def __init__(self, hook_timeout: float, with_log_group: bool = True) -> None:
        self.clock = Clock()
        self.buckets = Buckets(self.clock.now())
        self.lifecycle = Lifecycle(self.clock)
        self.lifecycle.on_end = self._ended
        self.group = SimpleNamespace(name=GROUP)
        self.hook = SimpleNamespace(
            name=HOOK, lifecycle_transition=LAUNCHING, heartbeat_timeout=hook_timeout, default_result="ABANDON"
        )
        self.instances: dict[str, Instance] = {}
        self.by_key: dict[str, Instance] = {}
        self.parameters = {"/fleet/deploy-key": "-----BEGIN PRIVATE KEY-----\nnothing to see\n-----END PRIVATE KEY-----\n"}
        self.parameters |= {f"/fleet/env/SETTING_{n}": f"a value that nobody may see {n}" for n in range(8)}
        self.log_groups = {LOG_GROUP: LogGroup()} if with_log_group else {}

    def order(self, number: int) -> Instance:
        """An instance that will be launched."""
        instance = Instance(number)
        self.instances[instance.id] = self.by_key[instance.access_key] = instance
        return instance

    def launch(self, instance: Instance) -> None:
        """Held by the hook from now on."""
        instance.launched = self.clock.now()
        self.lifecycle.enter(Member(instance.id, self.group, LAUNCH), LAUNCH, [self.hook], "launched")

    def member(self, instance: Instance) -> Member:
        """Where it stands in the group."""
        return self.lifecycle.members[instance.id]

    def in_service(self, instance: Instance) -> float | None:
        """When it went into service."""
        times = (entry["time"] for entry in self.member(instance).history if entry["state"] == "InService")
        return next(times, None)

    def _ended(self, member: Member, abandoned: bool) -> None:
        if abandoned:
            self.lifecycle.move(member, "Terminating", "abandoned")
