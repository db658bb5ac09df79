"""What a fleet's boots cost: calls by API, time, the hook's time left, and what of it went wrong."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from .account import Account
from .agents import Boot, Fleet
from .quotas import QUOTAS

Api = tuple[str, str]


@dataclass
class Figures:
    """Of one fleet."""

    size: int
    at_once: int
    answered: Counter[Api]
    throttled: Counter[Api]
    # Seconds from the first launch to each `InService`.
    in_service: list[float]
    # Seconds from each launch to its own.
    each: list[float]
    spare: list[float]
    cpu: list[float]
    peak_bytes: int
    failures: list[str]

    @classmethod
    def of(cls, account: Account, fleet: Fleet) -> Figures:
        """When all is over."""
        instances = [boot.instance for boot in fleet.boots]
        first = min(instance.launched for instance in instances)
        reached = [(instance, at) for instance in instances if (at := account.in_service(instance)) is not None]
        return cls(
            size=len(instances), at_once=fleet.most_at_once,
            answered=sum((i.answered for i in instances), Counter()), throttled=sum((i.throttled for i in instances), Counter()),
            in_service=sorted(at - first for _, at in reached), each=sorted(at - i.launched for i, at in reached),
            spare=sorted(i.spare for i in instances if i.spare is not None), cpu=[boot.cpu for boot in fleet.boots],
            peak_bytes=max(boot.peak_bytes for boot in fleet.boots),
            failures=[f"{boot.instance.id}: {why}" for boot in fleet.boots if (why := _failure(account, boot))],
        )

    def calls(self, service: str = "") -> float:
        """Answered calls of AWS for a boot; the metadata service is the machine's own."""
        return sum(count for (of, _), count in self.answered.items() if of != "imds" and service in ("", of)) / self.size

    def throttled_share(self) -> float:
        """Of all calls of AWS, those that were throttled."""
        asked = self.calls() * self.size + self.throttled.total()
        return self.throttled.total() / asked if asked else 0.0

    def floor(self) -> float:
        """How long the quotas alone keep a fleet of this size that asks for everything at once and nothing twice, in seconds."""
        def takes(quota) -> float:
            # What comes after the verdict, and what nobody waits for, keeps nobody.
            if quota.actions == ("PutRetentionPolicy",):
                return 0.0
            needed = sum(n for (service, action), n in self.answered.items()
                         if service == quota.service and (not quota.actions or action in quota.actions))
            return max(0.0, (needed - quota.burst) / quota.rate)

        return max(takes(quota) for quota in QUOTAS)

    def text(self) -> str:
        """For people."""
        lines = [
            f"fleet of {self.size}, {self.at_once} agents at once",
            f"  in service      {len(self.in_service)} of {self.size}; the last after {_last(self.in_service):.1f} s"
            f" (the quotas alone: {self.floor():.1f} s)",
            f"  one boot        median {_at(self.each, 0.5):.1f} s, 95 % within {_at(self.each, 0.95):.1f} s, longest {_last(self.each):.1f} s",
            f"  hook's time     at least {min(self.spare, default=0.0):.0f} s of it were left",
            f"  calls a boot    {self.calls():.2f}; of all calls {self.throttled_share():.1%} were throttled",
        ]
        for api in sorted(set(self.answered) | set(self.throttled)):
            lines.append(f"    {' '.join(api):44} {self.answered[api] / self.size:7.2f} + {self.throttled[api] / self.size:.2f} throttled")
        lines.append(f"  agent           {sum(self.cpu) / self.size:.3f} s of a processor a boot, {self.peak_bytes / 2**20:.0f} MiB at most")
        lines += [f"  failed          {len(self.failures)}"] + [f"    {failure}" for failure in self.failures]
        return "\n".join(lines)

    HEADING = (
        "| fleet | at once | calls a boot | SSM | Auto Scaling | Logs | throttled | last `InService` | the quotas alone | median boot | 95 % "
        "| hook's time left | agent CPU a boot | failed |\n" + "|" + "---:|" * 14
    )

    def row(self) -> str:
        """For the table."""
        cells = [
            f"{self.size:,}", f"{self.at_once:,}", f"{self.calls():.2f}", *(f"{self.calls(s):.2f}" for s in ("ssm", "autoscaling", "logs")),
            f"{self.throttled_share():.1%}", f"{_last(self.in_service):.1f} s", f"{self.floor():.1f} s", f"{_at(self.each, 0.5):.1f} s",
            f"{_at(self.each, 0.95):.1f} s", f"{min(self.spare, default=0.0):.0f} s", f"{sum(self.cpu) / self.size * 1000:.0f} ms",
            str(len(self.failures)),
        ]
        return "| " + " | ".join(cells) + " |"


def _failure(account: Account, boot: Boot) -> str:
    """Why it is no success; empty when it is."""
    answers = account.member(boot.instance).finished
    if boot.exit_code is None:
        return f"still at work when time was up: {boot.why()}"
    if boot.exit_code != 0:
        return f"exit code {boot.exit_code}: {boot.why()}"
    if not answers:
        return f"the hook was never answered: {boot.why()}"
    if answers[0]["by"] != "call":
        return f"the hook's time ran out: {boot.why()}"
    if answers[0]["result"] != "CONTINUE":
        return f"it was abandoned: {boot.why()}"
    return "" if boot.instance.log_events else f"none of its logs arrived: {boot.why()}"


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else 0.0


def _last(values: list[float]) -> float:
    return values[-1] if values else 0.0
