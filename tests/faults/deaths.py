"""Ways to die by SIGKILL: at any moment, at a chosen request, at a chosen system call. Each leaves the rig without a process.

The product knows nothing of this: requests are held by the sink, and system calls are watched by strace.
"""

import random
import signal
import subprocess
import time

from rig import Rig

# What is done between two requests, by the system calls that do it: at the n-th of a thread, the process dies.
SYSTEM_CALLS = {
    "reading": ["pread64", "statx", "openat"],
    "sending": ["writev", "sendto", "write"],
    "hearing the answer": ["recvfrom", "read", "epoll_wait"],
    "recording": ["rename", "fsync", "close"],
}


def at_any_moment(rig: Rig, dice: random.Random) -> bool:
    rig.start()
    time.sleep(dice.uniform(0, 0.4))
    rig.kill()
    return True


def at_a_request(rig: Rig, dice: random.Random) -> bool:
    """While a batch is on its way, or stored and not acknowledged. Whether it came so far."""
    rig.start()
    time.sleep(dice.uniform(0, 0.2))
    rig.sink.say(dice.choice(["hold-before", "hold-after"]))
    rig.until(lambda: rig.sink.figures()["held"] > 0, "a request is held")
    rig.kill()
    rig.sink.say("up")
    rig.until(lambda: rig.sink.figures()["held"] == 0, "nothing is held")
    return True


def at_a_system_call(rig: Rig, dice: random.Random) -> bool:
    """Whether it came so far: not every thread makes so many."""
    stage = dice.choice(sorted(SYSTEM_CALLS))
    call, number = dice.choice(SYSTEM_CALLS[stage]), dice.randint(1, 8)
    watch = ["strace", "--follow-forks", f"--output={rig.folder / 'strace'}", f"--trace={call}"]
    rig.start(under=[*watch, f"--inject={call}:signal=KILL:when={number}"])
    try:
        rig.process.wait(2)
        return True
    except subprocess.TimeoutExpired:
        rig.process.end(signal.SIGKILL)
        return False


WAYS = [at_any_moment, at_a_request, at_a_system_call]
