"""`tests/lab/try`, `enter` and `down`: the lab for a person."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import List

from . import bootstrap, lock, paths, watch
from .binary import built
from .command import LabError
from .lab import Lab
from .machine import Machine
from .report import paint, say, step

NAME = "try"


def main(argv: List[str]) -> int:
    """One command; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="tests/lab/python -m instance.cli")
    commands = parser.add_subparsers(dest="command", required=True)
    attempt = commands.add_parser("try", help="bootstrap an instance and leave it up")
    attempt.add_argument("playbook", nargs="?", type=Path, default=paths.REPOSITORY / "playbooks" / "background-removal.yaml")
    attempt.add_argument("--binary", type=Path, help="this agent instead of one built from the checkout")
    attempt.add_argument("--seconds", type=float, default=600, help="how long to wait for the verdict")
    enter = commands.add_parser("enter", help="a shell, or a command, in the instance")
    enter.add_argument("--instance", help="which one, if there are several")
    enter.add_argument("argv", nargs=argparse.REMAINDER)
    commands.add_parser("down", help="remove everything")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "enter":
            return _enter(arguments)
        with lock.held(paths.lock(NAME), f"the lab `{NAME}`", wait=False):
            return _try(arguments) if arguments.command == "try" else _down()
    except LabError as error:
        print(paint(f"error: {error}", "red"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; `tests/lab/down` removes what is up")
        return 130


def _try(arguments: argparse.Namespace) -> int:
    playbook = arguments.playbook.resolve()
    if not playbook.is_file():
        raise LabError(f"there is no playbook `{arguments.playbook}`")
    binary = arguments.binary.resolve() if arguments.binary else built()
    lab = Lab(NAME)
    with step("network, simulator, repository"):
        lab.up()
    start = time.monotonic()
    machine = bootstrap.launch(lab, binary, playbook)
    say(f"launched {machine.name} at {machine.address}; what it does:")
    state = watch.until_verdict(lab, machine, arguments.seconds)
    if state == "InService":
        say(paint(f"{machine.name} is InService, {time.monotonic() - start:.1f} s after its launch", "green"))
        say("it stays up: `tests/lab/enter` opens a shell in it, `tests/lab/down` removes it")
        return 0
    say(f"the end of its console:\n{machine.why()}")
    raise LabError(f"{machine.name} is `{state}`, not `InService`; it stays up, see `tests/lab/enter`")


def _enter(arguments: argparse.Namespace) -> int:
    machine = _chosen(arguments.instance)
    words = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    terminal = sys.stdin.isatty()
    if not words:
        say(f"a shell in {machine.name}; Ctrl-D leaves it")
    argv = machine.inside(words or ["bash", "--login"], terminal=terminal)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def _chosen(wanted: str) -> Machine:
    machines = [machine for machine in Lab(NAME).machines() if machine.running()]
    if wanted:
        machines = [machine for machine in machines if machine.name == wanted]
    if not machines:
        raise LabError("no instance is running; `tests/lab/try` launches one")
    if len(machines) > 1:
        raise LabError(f"several instances are running: {', '.join(machine.name for machine in machines)}; say `--instance`")
    return machines[0]


def _down() -> int:
    Lab(NAME).down()
    say("everything is removed; the prepared root stays in the cache")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
