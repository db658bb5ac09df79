"""One lab of a name at a time. The kernel releases the lock when its holder dies, however it dies."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path

from .command import LabError
from .report import say


@contextmanager
def held(path: Path, what: str, wait: bool = True):
    """Holds the lock in `path`; says who has it while waiting, or gives up at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if not wait:
                raise LabError(f"{what} is in use by process {holder}") from None
            say(f"waiting for {what}, in use by process {holder}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
