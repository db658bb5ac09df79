"""What is in a directory tree, as text that a person can read and a test can compare."""

import difflib
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

# What a run writes besides what its steps wish for: the agent's own records, caches and logs of programs, git's own files (which
# hold times; the checkout beside them is looked at).
VOLATILE = re.compile(
    r"^(var/lib/bootstrap-agent|var/cache|var/log|var/lib/(apt|dpkg|systemd|cloud|dbus|private)|var/tmp|run|tmp|proc|dev|sys|"
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock|etc/(machine-id|mtab|ld\.so\.cache)|root/\.cache|"
    r"\.case)(/|$)|__pycache__|/\.cache(/|$)|/\.git(\.in-the-making)?(/|$)"
)
# Directories that matter even where they were there before.
_NAMED = ("home", "srv", "opt")


def snapshot(upper: Path, watched: Sequence[str]) -> Dict[str, tuple]:
    """Everything that any write changes, by path."""
    found = {}
    for top in watched:
        for folder, directories, files in os.walk(upper / top):
            for name in [*directories, *files]:
                status = (Path(folder) / name).lstat()
                shown = str((Path(folder) / name).relative_to(upper))
                found[shown] = (status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def differences(before: Dict[str, tuple], after: Dict[str, tuple]) -> List[str]:
    """The paths that are not as they were."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _lookup(layers: Iterable[Path], path: str) -> Optional[Path]:
    """The file that an overlay of these directories shows, first on top."""
    for layer in layers:
        found = layer / path
        if os.path.lexists(found):
            return None if _is_whiteout(found.lstat()) else found
    return None


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _names(layers: List[Path], database: str) -> Dict[int, str]:
    """Names of users or groups as that tree's own database gives them."""
    path = _lookup(layers, f"etc/{database}")
    names: Dict[int, str] = {}
    for line in path.read_text().splitlines() if path else []:
        fields = line.split(":")
        if len(fields) > 2:
            names.setdefault(int(fields[2]), fields[0])
    return names


def describe(upper: Path, lower: List[Path], hidden: Iterable[str] = ()) -> List[str]:
    """One entry for each thing that the overlay's upper directory holds, with the content of short text files below it."""
    users, groups = (_names([upper, *lower], database) for database in ("passwd", "group"))
    secrets = [secret for secret in hidden if secret]
    entries: List[str] = []
    for folder, directories, files in os.walk(upper):
        inside = Path(folder).relative_to(upper)
        directories[:] = sorted(name for name in directories if not VOLATILE.search(str(inside / name)))
        for name in sorted([*directories, *files]):
            path, shown = upper / inside / name, inside / name
            if VOLATILE.search(str(shown)):
                continue
            status = path.lstat()
            user, group = users.get(status.st_uid, str(status.st_uid)), groups.get(status.st_gid, str(status.st_gid))
            head = f"{stat.S_IMODE(status.st_mode):04o} {user}:{group} /{shown}"
            if _is_whiteout(status):
                if _lookup(lower, str(shown)):  # what was made and removed again was never there
                    entries.append(f"removed /{shown}")
            elif stat.S_ISLNK(status.st_mode):
                entries.append(f"link {user}:{group} /{shown} -> {os.readlink(path)}")
            elif stat.S_ISDIR(status.st_mode):
                before = _lookup(lower, str(shown))
                if not before or not os.listdir(path) or (shown.parts[0] in _NAMED and len(shown.parts) > 1):
                    entries.append(f"directory {head}")
            elif stat.S_ISREG(status.st_mode):
                content = _content(path, _lookup(lower, str(shown)), secrets)
                entries.append("\n".join([f"file {head}", *(f"  {line}" for line in content)]))
            else:
                entries.append(f"special {head}")
    return entries


def _content(path: Path, before: Optional[Path], secrets: List[str]) -> List[str]:
    """The lines of a short new text file; of a file that was there before, the lines that came and went."""
    data = path.read_bytes()
    text = _text(data, secrets)
    was = _text(before.read_bytes(), secrets) if before and before.is_file() else None
    if text is not None and was is not None:
        changed = list(difflib.unified_diff(was.splitlines(), text.splitlines(), n=0, lineterm=""))[2:]
        return [line for line in changed if not line.startswith("@@")]
    if text is None or len(text) > 3000:
        return [f"sha256 {hashlib.sha256(data).hexdigest()}"]
    return [f"| {line}" for line in text.splitlines()]


def _text(data: bytes, secrets: List[str]) -> Optional[str]:
    for secret in secrets:
        data = data.replace(secret.encode(), b"SECRET")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    # The day of a password's last change, as /etc/shadow has it.
    return re.sub(r"^([a-z_][a-z0-9_-]*:[!*]*):\d{5}:", r"\1:DAY:", text, flags=re.M)


def holds(directory: Path, needles: Iterable[bytes]) -> List[str]:
    """Files below a directory that hold one of these values."""
    found = []
    for folder, _, files in os.walk(directory):
        for name in files:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                found.extend(f"{path.relative_to(directory)}" for needle in needles if needle in data)
    return sorted(set(found))
