"""Rules that make chosen requests fail.

Before the service acts: `throttle`, `limit` (throttles what exceeds `per_second`,
over all instances, as an account's quota does), `error500`, `error503`, `error`
(any code), `access_denied`, `latency`, `hang`, `empty_page`. `drop` and `reset`
act before it too, or `when: after`, where the service has done its work and only
the answer is lost. `truncate` always cuts an answer short; `skew` lets it be of another time.
"""

from __future__ import annotations

import fnmatch
import itertools
import random
import threading
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from .calls import Call
from .clock import Clock

KINDS = {
    "throttle", "error500", "error503", "error", "access_denied", "latency",
    "hang", "empty_page", "drop", "reset", "truncate", "limit", "skew",
}


@dataclass
class Rule:
    """One fault. The patterns are shell-style; `until` is seconds from now."""

    kind: str
    service: str = "*"
    action: str = "*"
    instance: str = "*"
    name: str = "*"
    count: int | None = None
    rate: float = 1.0
    skip: int = 0
    until: float | None = None
    seconds: float = 1.0
    per_second: float = 0.0
    when: str = "before"
    status: int = 400
    code: str = "ValidationError"
    message: str = "injected"
    id: int = 0
    seen: int = 0
    hits: int = 0
    expires: float | None = None
    spare: float = 0.0
    refilled: float = 0.0

    def within_quota(self) -> bool:
        """A bucket that holds one second's worth; quotas run on real time."""
        now = time.monotonic()
        self.spare = min(self.per_second, self.spare + (now - self.refilled) * self.per_second)
        self.refilled = now
        if self.spare < 1.0:
            return False
        self.spare -= 1.0
        return True

    def named(self, call: Call) -> str | None:
        """Which of the call's resources the rule is aimed at."""
        if self.name == "*":
            return call.names[0] if call.names else ""
        return next((n for n in call.names if fnmatch.fnmatchcase(n, self.name)), None)

    def matches(self, call: Call) -> bool:
        """Whether the rule is about this request at all."""
        return (
            fnmatch.fnmatchcase(call.service, self.service)
            and fnmatch.fnmatchcase(call.action, self.action)
            and fnmatch.fnmatchcase(call.instance, self.instance)
            and self.named(call) is not None
        )


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self.reset()

    def add(self, given: dict[str, Any]) -> dict[str, Any]:
        """Check a rule and put it in force; a typo must not make a test pass."""
        known = {f.name for f in fields(Rule)} - {"id", "seen", "hits", "expires", "spare", "refilled"}
        if unknown := set(given) - known:
            raise ValueError(f"unknown fields {sorted(unknown)}; known are {sorted(known)}")
        if given.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {sorted(KINDS)}")
        if given.get("when", "before") not in ("before", "after"):
            raise ValueError("when must be `before` or `after`")
        if given["kind"] == "limit" and not given.get("per_second", 0) >= 1:
            raise ValueError("limit needs per_second, at least 1")
        rule = Rule(**given)
        if rule.until is not None:
            rule.expires = self._clock.now() + rule.until
        with self._lock:
            rule.id = next(self._ids)
            self._rules.append(rule)
        return asdict(rule)

    def firing(self, call: Call) -> list[Rule]:
        """The rules that hit this request; counts are used up by asking."""
        now = self._clock.now()
        with self._lock:
            return [rule for rule in self._rules if rule.matches(call) and self._hits(rule, now)]

    def _hits(self, rule: Rule, now: float) -> bool:
        if rule.expires is not None and now >= rule.expires:
            return False
        rule.seen += 1
        if rule.seen <= rule.skip or (rule.count is not None and rule.hits >= rule.count):
            return False
        if rule.kind == "limit" and rule.within_quota():
            return False
        if rule.rate < 1.0 and self._random.random() >= rule.rate:
            return False
        rule.hits += 1
        return True

    def list(self) -> list[dict[str, Any]]:
        """Every rule with how often it was seen and has hit."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def idle(self) -> list[dict[str, Any]]:
        """Every rule since the last reset, lifted or in force, that has never hit: what was to be shown with it was not."""
        with self._lock:
            return [asdict(rule) for rule in [*self._lifted, *self._rules] if not rule.hits]

    def remove(self, rule_id: int) -> bool:
        """Lift one rule."""
        with self._lock:
            lifted = [rule for rule in self._rules if rule.id == rule_id]
            self._rules = [rule for rule in self._rules if rule.id != rule_id]
            self._lifted += lifted
            return bool(lifted)

    def clear(self) -> None:
        """Lift all rules and start the dice from the same seed again."""
        with self._lock:
            self._lifted += self._rules
            self._rules = []
            self._random = random.Random(0)

    def reset(self) -> None:
        """The same, and nothing is remembered of them."""
        with self._lock:
            self._rules: list[Rule] = []
            self._lifted: list[Rule] = []
            self._random = random.Random(0)
