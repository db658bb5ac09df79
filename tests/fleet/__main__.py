"""Boots fleets and says what that cost: `tests/fleet/run [--at-once N] [--no-log-group] SIZE...`"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from .account import Account
from .agents import Fleet
from .figures import Figures
from .server import Server

# As in the playbook.
HOOK_TIMEOUT = 450.0
# A run's deadline, and what its verdict may take after it.
PATIENCE = 900.0


def measured(
    size: int, at_once: int, binary: Path, with_log_group: bool = True, hook_timeout: float = HOOK_TIMEOUT
) -> tuple[Figures, float]:
    """One fleet's figures, and how many seconds of a processor AWS took."""
    account = Account(hook_timeout, with_log_group)
    server = Server(account)
    try:
        with Fleet(account, server, binary) as fleet:
            waves = -(-size // at_once)
            fleet.boot(size, at_once, PATIENCE * waves)
            figures = server.do(lambda: Figures.of(account, fleet))
    finally:
        server.stop()
    return figures, server.cpu


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests/fleet/run", description="Boots fleets of real agents against AWS as an account shares it.")
    parser.add_argument("sizes", metavar="SIZE", type=int, nargs="*", default=[10, 100, 1000], help="how many agents (default: 10 100 1000)")
    parser.add_argument("--at-once", metavar="N", type=int, default=sys.maxsize, help="so many at the same time at most (default: all)")
    parser.add_argument("--binary", type=Path, default=os.environ.get("AGENT_BINARY"), help="the agent (default: AGENT_BINARY)")
    parser.add_argument("--no-log-group", action="store_true", help="the log group is not there: the agents make it")
    arguments = parser.parse_args()
    # So that no agent outlives a command that is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if arguments.binary is None:
        parser.error("no agent: give --binary")
    rows, failed = [], 0
    for size in arguments.sizes:
        before, begun = os.getloadavg()[0], time.monotonic()
        figures, cpu = measured(size, arguments.at_once, arguments.binary, not arguments.no_log_group)
        print(figures.text())
        print(f"  this machine    load {before:.1f} before; the whole took {time.monotonic() - begun:.0f} s, AWS {cpu:.1f} s of a processor\n", flush=True)
        rows.append(figures.row())
        failed += len(figures.failures)
    print("\n".join([Figures.HEADING, *rows]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
