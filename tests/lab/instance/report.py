"""What the person in front of the terminal sees: short lines with times, coloured only on a terminal."""

import os
import sys
import time
from contextlib import contextmanager

_COLOURS = {"dim": "2", "green": "32", "red": "31", "bold": "1"}


def paint(text: str, colour: str) -> str:
    """`text` in a colour, if somebody can see it."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


def say(text: str) -> None:
    """One line for the user; standard output stays free for data."""
    print(f"{paint('lab:', 'dim')} {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str):
    """Announces work that takes a while and says afterwards how long it took."""
    say(f"{what} …")
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(paint(f"{what}: failed after {time.monotonic() - start:.1f} s", "red"))
        raise
    say(f"{what}: {time.monotonic() - start:.1f} s")
