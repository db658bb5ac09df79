"""`python -m simulator --aws ADDR:PORT --imds ADDR:PORT --journal FILE`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

# moto reads these once, when it is imported: its catalogue of images costs a
# second of start-up, and the lab has its own.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def address(text: str) -> tuple[str, int]:
    """`ADDR:PORT`, port 0 for any free one."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not ADDR:PORT")
    return host, int(port)


def main() -> None:
    """Listen until told to stop; print where, then `ready`."""
    parser = argparse.ArgumentParser(prog="simulator")
    parser.add_argument("--aws", type=address, action="append", required=True, metavar="ADDR:PORT")
    parser.add_argument("--imds", type=address, action="append", default=[], metavar="ADDR:PORT")
    parser.add_argument("--journal", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    from .app import AwsApp
    from .imds import ImdsApp
    from .listener import Listener
    from .world import World

    world = World(arguments.journal)
    for name, addresses, app in (
        ("aws", arguments.aws, AwsApp(world)),
        ("imds", arguments.imds, ImdsApp(world)),
    ):
        for where in addresses:
            listener = Listener(where, app)
            host, port = listener.server_address[:2]
            print(f"{name} {host}:{port}", file=sys.stderr)
            threading.Thread(target=listener.serve_forever, daemon=True).start()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
