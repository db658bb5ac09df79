"""Running programs. A failure shows the command and the end of what it printed, because that is where the reason is."""

import subprocess
from typing import Optional, Sequence


class LabError(Exception):
    """The lab could not do what it was asked; the message is for a person."""


def run(
    argv: Sequence[object],
    *,
    check: bool = True,
    input: Optional[str] = None,
    timeout: Optional[float] = 600,
    env: Optional[dict] = None,
    cwd: Optional[object] = None,
) -> subprocess.CompletedProcess:
    """Runs a program to its end and returns what it printed."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, input=input, stdin=subprocess.DEVNULL if input is None else None, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, env=env, cwd=cwd,
        )
    except FileNotFoundError as error:
        raise LabError(f"`{words[0]}` is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(words)}` took longer than {timeout} s") from error
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise LabError(f"`{' '.join(words)}` ended with {done.returncode}\n{tail}")
    return done


def succeeds(argv: Sequence[object]) -> bool:
    """Whether a program ends with 0."""
    return run(argv, check=False).returncode == 0
