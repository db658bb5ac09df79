"""Follows an instance from its launch to its verdict, live."""

import subprocess
import threading
import time
from collections import Counter
from typing import Callable, List, Optional

from .lab import Lab
from .machine import Machine
from .report import paint, say

UNIT = "bootstrap-agent.service"
# States in which a launch is over, one way or the other.
_GONE = {"Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated", "in no group"}


def until_verdict(lab: Lab, machine: Machine, seconds: float) -> str:
    """Shows what the instance does and returns its last lifecycle state: when it is in service, lost, or time is up."""
    following: List[subprocess.Popen] = []
    follower = threading.Thread(target=_show, args=(machine, following), daemon=True)
    follower.start()
    start, seen, finished_at = time.monotonic(), "", 0.0
    try:
        while time.monotonic() - start < seconds:
            state = lab.state(machine)
            if state != seen:
                say(f"{machine.name} is {paint(state, 'bold')} after {time.monotonic() - start:.1f} s")
                seen = state
            if state == "InService" or state in _GONE or not machine.running():
                break
            # User-data that failed before the agent ran leaves the group waiting for its own time-out: no use watching that.
            failed = _user_data_failed(machine)
            finished_at = (finished_at or time.monotonic()) if failed else 0.0
            if finished_at and time.monotonic() - finished_at > 10:
                say(paint(failed, "red"))
                break
            time.sleep(0.3)
        # The verdict is reported by the run itself: its last lines are still to come.
        _wait(lambda: not machine.running() or _active(machine) not in ("activating", "deactivating"), 10)
        time.sleep(0.5)
    finally:
        for process in following:
            process.terminate()
    return seen


def _show(machine: Machine, following: List[subprocess.Popen]) -> None:
    """Prints cloud-init's output and the agent's journal, each line as it appears."""
    if not _wait(lambda: machine.leader() is not None and _systemd_answers(machine), 30):
        return
    sources = {
        "user-data": ["tail", "--lines=+1", "--retry", "--follow=name", "/var/log/cloud-init-output.log"],
        "agent": ["journalctl", "--follow", "--lines=all", "--output=cat", f"--unit={UNIT}"],
    }
    merged = Merged(list(sources))
    for label, argv in sources.items():
        process = subprocess.Popen(
            machine.inside(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, errors="replace",
        )
        following.append(process)
        threading.Thread(target=merged.copy, args=(process, label), daemon=True).start()


class Merged:
    """Two streams on one screen. User-data follows the run, so each line of the run comes twice; it is shown once."""

    def __init__(self, labels: List[str]):
        self._lock = threading.Lock()
        self._shown = {label: Counter() for label in labels}

    def copy(self, process: subprocess.Popen, label: str) -> None:
        """Prints the lines of one source that the other one has not shown."""
        for line in process.stdout or ():
            text = line.rstrip()
            # cloud-init's tables of interfaces are a screen full of what nobody asked for.
            if text and not text.startswith("ci-info:") and self._new(text, label):
                print(f"{paint(label + ' |', 'dim')} {text}", flush=True)

    def _new(self, text: str, label: str) -> bool:
        with self._lock:
            for other, shown in self._shown.items():
                if other != label and shown[text] > 0:
                    shown[text] -= 1
                    return False
            self._shown[label][text] += 1
            return True


def _systemd_answers(machine: Machine) -> bool:
    return machine.exec(["systemctl", "is-system-running"], check=False).stdout.strip() not in ("", "offline", "unknown")


def _active(machine: Machine) -> str:
    return machine.exec(["systemctl", "is-active", UNIT], check=False).stdout.strip()


def _user_data_failed(machine: Machine) -> Optional[str]:
    """What to say when user-data is over, nothing is running for it any more, and the group is still waiting."""
    final = machine.exec(["systemctl", "show", "--property=ActiveState,Result", "cloud-final.service"], check=False).stdout
    if "ActiveState=activating" in final or "ActiveState=inactive" in final:
        return None
    if _active(machine) in ("activating", "active", "reloading"):
        return None
    return "user-data is over and the agent is not running, but nobody has answered the hook"


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.1)
    return False
