"""Words that scenarios share: what the group has heard, and what the account holds."""

import time
from typing import Callable, List

from simulator import s1

# An instance whose boot is not the point starts without cloud-init, in a second.
QUICK = {"/etc/cloud/cloud-init.disabled": ""}


def answers(aws, instance: str) -> List[str]:
    """What has been answered to the hooks of an instance, by calls and by time-outs, in order."""
    return [f"{answer['result']} by {answer['by']}" for answer in aws.instance(instance)["finished"]]


def calls(aws, action: str, **wanted: str) -> List[dict]:
    """The requests of one action."""
    return aws.journal(action=action, **wanted)


def hits(aws, rule: int) -> int:
    """How often a fault has struck: a scenario whose fault never struck has shown nothing."""
    (found,) = [one for one in aws.faults() if one["id"] == rule]
    return found["hits"]


def warm_up(aws, pool_state: str) -> str:
    """A group with a warm pool and one instance on its way into it."""
    s1.create(aws, desired=0)
    aws.boto("autoscaling").put_warm_pool(
        AutoScalingGroupName=s1.GROUP, MinSize=1, MaxGroupPreparedCapacity=1, PoolState=pool_state,
    )
    (member,) = aws.group(s1.GROUP)["instances"]
    return member["instance"]


def until(done: Callable[[], object], seconds: float, what: str) -> object:
    """Waits until something is so and returns what it answered."""
    end = time.monotonic() + seconds
    while True:
        answer = done()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.1)
