"""Log lines as applications write them, which the sink can tell apart and count."""

import time
from pathlib import Path

# Bytes, with the line's end.
LINE = 200


def lines(source: str, first: int, count: int) -> bytes:
    """With source, number and time in front."""
    now = time.time_ns() // 1000
    made = []
    for number in range(first, first + count):
        head = f"{source} {number} {now} INFO request GET /api/v1/items/{number * 7919 % 100003} status=200 duration={number % 977}ms "
        made.append(head + f"client=10.0.{number % 251}.{number % 241} agent=Mozilla/5.0 trace={number * 2654435761 % 2**32:08x}")
    return b"".join(line.encode()[: LINE - 1].ljust(LINE - 1, b".") + b"\n" for line in made)


def write(path: Path, source: str, first: int, count: int) -> None:
    """Appends them to a file."""
    with path.open("ab") as file:
        for begin in range(first, first + count, 50_000):
            file.write(lines(source, begin, min(50_000, first + count - begin)))
