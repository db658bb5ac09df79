"""What is in a directory tree, as text that a person can read and a test can compare."""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Dict, Iterable, List

# What a run writes besides what its steps wish for: the agent's own records, caches and logs of programs.
VOLATILE = re.compile(
    r"^(var/lib/bootstrap-agent|var/cache|var/log|var/lib/(apt|dpkg|systemd|cloud|dbus|private)|var/tmp|run|tmp|proc|dev|sys|"
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock|etc/(machine-id|mtab|ld\.so\.cache)|root/\.cache|"
    r"\.case)(/|$)|__pycache__|/\.cache(/|$)"
)


def names(root: Path) -> Dict[str, Dict[int, str]]:
    """Names of users and groups as that tree's own databases give them."""
    found: Dict[str, Dict[int, str]] = {"passwd": {}, "group": {}}
    for database, column in (("passwd", 2), ("group", 2)):
        path = root / "etc" / database
        for line in path.read_text().splitlines() if path.exists() else []:
            fields = line.split(":")
            if len(fields) > column:
                found[database].setdefault(int(fields[column]), fields[0])
    return found


def describe(upper: Path, root: Path, hidden: Iterable[str] = ()) -> List[str]:
    """One line for each thing that the overlay's upper directory holds, with the content of short text files below it."""
    owners = names(root)
    secrets = [secret for secret in hidden if secret]
    lines: List[str] = []
    for folder, directories, files in os.walk(upper):
        directories.sort()
        inside = Path(folder).relative_to(upper)
        directories[:] = [name for name in directories if not VOLATILE.search(str(inside / name))]
        for name in sorted([*directories, *files]):
            path, shown = upper / inside / name, inside / name
            if VOLATILE.search(str(shown)):
                continue
            status = path.lstat()
            user = owners["passwd"].get(status.st_uid, str(status.st_uid))
            group = owners["group"].get(status.st_gid, str(status.st_gid))
            head = f"{stat.S_IMODE(status.st_mode):04o} {user}:{group} /{shown}"
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                lines.append(f"removed /{shown}")
            elif stat.S_ISLNK(status.st_mode):
                lines.append(f"link {head} -> {os.readlink(path)}")
            elif stat.S_ISDIR(status.st_mode):
                if os.listdir(path) == [] or not _exists_below(root, shown):
                    lines.append(f"directory {head}")
                elif _is_named(shown):
                    lines.append(f"directory {head}")
            else:
                lines.append(f"file {head}")
                lines.extend(f"  | {line}" for line in _content(path, secrets))
    return lines


def _is_named(path: Path) -> bool:
    return len(path.parts) > 1 and path.parts[0] in ("home", "srv", "opt")


def _exists_below(root: Path, path: Path) -> bool:
    return (root / path).is_dir()


def _content(path: Path, secrets: List[str]) -> List[str]:
    data = path.read_bytes()
    for secret in secrets:
        data = data.replace(secret.encode(), b"SECRET")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(text) > 3000:
        return [f"sha256 {hashlib.sha256(data).hexdigest()}"]
    return text.splitlines()


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
