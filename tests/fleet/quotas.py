"""How many requests a second an account has, API by API. A bucket is shared by the whole fleet."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quota:
    """One bucket: it holds `burst` tokens at most, and gets `rate` new ones a second."""

    service: str
    # All of the service's when empty.
    actions: tuple[str, ...]
    rate: float
    burst: float


# The defaults of an account, where AWS publishes them; else small guesses, so that a real account is kinder.
QUOTAS = (
    # Documented: 40 transactions a second, shared by the three.
    Quota("ssm", ("GetParameter", "GetParameters", "GetParametersByPath"), 40, 40),
    # Documented: one bucket for all calls of the service. Its size is not: a guess.
    Quota("autoscaling", (), 10, 20),
    # Documented: 50.
    Quota("logs", ("CreateLogStream",), 50, 50),
    # Documented: 5,000, once 800 in small regions.
    Quota("logs", ("PutLogEvents",), 800, 800),
    # Once 5, now said to be 10.
    Quota("logs", ("CreateLogGroup",), 5, 5),
    # A guess.
    Quota("logs", ("PutRetentionPolicy",), 5, 5),
)


@dataclass
class Bucket:
    """A quota at work."""

    quota: Quota
    tokens: float
    filled: float

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        quota = self.quota
        self.tokens = min(quota.burst, self.tokens + (now - self.filled) * quota.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Buckets:
    """All of an account's."""

    now: float
    all: list[Bucket] = field(init=False)

    def __post_init__(self) -> None:
        self.all = [Bucket(quota, quota.burst, self.now) for quota in QUOTAS]

    def take(self, service: str, action: str, now: float) -> bool:
        """Whether a call may be answered; what has no quota always is."""
        bucket = self.of(service, action)
        return bucket is None or bucket.take(now)

    def of(self, service: str, action: str) -> Bucket | None:
        """The bucket a call takes its token from."""
        for bucket in self.all:
            if bucket.quota.service == service and (not bucket.quota.actions or action in bucket.quota.actions):
                return bucket
        return None
